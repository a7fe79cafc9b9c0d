"""Ctrl-C and SIGTERM: what is swallowed comes again, and how commands end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.interrupts import remembered, stop
from pipeline.config import PipelineConfig, load_config
from pipeline.state.locking import holder, locked
from pipeline.state.runs import read_runs
from tests.conftest import COMMAND, LENIENT, REPOSITORY

SIGNALS = [
    pytest.param(signal.SIGINT, 130, "Interrupted", id="SIGINT"),
    pytest.param(signal.SIGTERM, 143, "Terminated by SIGTERM", id="SIGTERM"),
]


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command as the leader of a process group, as a shell starts it."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
        # A test that runs in the background ignores it, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def group(process: subprocess.Popen[str]) -> list[int]:
    """Processes of the group that live, its leader among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == process.pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.fixture
def configured(small_slice, tmp_path) -> tuple[PipelineConfig, list[str]]:
    overrides = [f"data.path={small_slice}", f"root={tmp_path}", "model.epochs=1", *LENIENT]
    return load_config(None, overrides), [f"--set={one}" for one in overrides]


@pytest.fixture
def remembering() -> Iterator[None]:
    # Tests that run in the background ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with remembered():
        yield
    stop.reset()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
def test_what_is_swallowed_is_raised_again_until_the_way_out(remembering, number, code, word):
    """The second signal comes from the clock, a third does nothing any more."""
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    with pytest.raises(KeyboardInterrupt):
        signal.pause()
    assert (stop.signal, stop.exit_code, str(stop)) == (number, code, word)
    with pytest.raises(KeyboardInterrupt):
        stop.check()
    stop.leave()
    signal.raise_signal(number)
    signal.raise_signal(signal.SIGALRM)


def test_the_impatient_do_not_break_into_the_clean_up(remembering):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    assert stop.signal == signal.SIGINT


def test_handlers_are_those_of_before_afterwards():
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    with remembered():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)] == before


@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
@pytest.mark.parametrize("command", [["run"], ["gc", "--keep", "1"]], ids=["run", "gc"])
def test_a_command_that_waits_for_the_lock_ends_with_one_line(configured, number, code, word, command):
    config, options = configured
    with locked(config.pipeline_root, "run"):
        process = start(*command, "--wait", *options)
        assert process.stderr.readline().startswith("Waiting for process")
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err, out) == (code, f"{word}.\n", "")
        assert holder(config.pipeline_root).pid == os.getpid()


@pytest.mark.long
@pytest.mark.parametrize(("number", "code", "word"), SIGNALS[:1])
def test_a_run_that_is_interrupted_is_taken_up_by_the_next(configured, number, code, word):
    """Ctrl-C, three times, in Transform, where Beam makes an error of its own of it."""
    config, options = configured
    process = start("run", *options)
    wait_for(config.artifact_root / "Transform" / "transform_graph", process)
    for _ in range(3):
        os.killpg(process.pid, number)
        time.sleep(0.2)
    check_ended(config, process, code, word, "Transform")
    completed = {node.id for node in read_runs(config)[-1].nodes.values() if node.state == "done"}
    assert "StatisticsGen" in completed
    again = start("run", *options)
    out, err = again.communicate(timeout=600)
    assert (again.returncode, err) == (0, ""), out
    assert "Recovered" not in out
    assert "dead" not in out
    last = read_runs(config)[-1]
    assert last.state == "done"
    assert {node.id for node in last.nodes.values() if node.state == "cached"} >= completed - {
        node.id for node in last.nodes.values() if node.resolver
    }


def check_ended(
    config: PipelineConfig, process: subprocess.Popen[str], code: int, word: str, place: str
) -> None:
    """One line, the exit code, a free lock, no process left, and a run that says what it is."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    assert len(err.splitlines()) == 1, err
    assert err.startswith(f"{word} in {place}: "), err
    assert "Traceback" not in out
    assert holder(config.pipeline_root) is None
    assert (config.pipeline_root / ".lock").read_bytes() == b""
    assert group(process) == []
    assert read_runs(config)[-1].state == "interrupted"
