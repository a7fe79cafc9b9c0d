"""kill -9 at random moments over the whole run: the next run finishes, reuses, and pushes exactly once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from components.pusher import versions
from pipeline.config import PipelineConfig, load_config
from pipeline.state.runs import Run, read_runs
from tests.conftest import COMMAND, LENIENT, REPOSITORY
from tests.faults.checks import check_at_rest, check_put_right

KILLS = int(os.environ.get("MARQUEE_KILLS", "20"))
FIRST = int(os.environ.get("MARQUEE_FIRST_KILL", "1"))  # to take up a battery that was stopped
SEED = 7


def start(options: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "run", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    )


def configured(data: Path, root: Path) -> tuple[PipelineConfig, list[str]]:
    overrides = [f"data.path={data}", f"root={root}", "model.epochs=2", *LENIENT]
    return load_config(None, overrides), [part for one in overrides for part in ("--set", one)]


def where(run: Run | None) -> str:
    """The component in which a run was killed."""
    if run is None:
        return "before the first component"
    unfinished = [node.id for node in run.nodes.values() if node.state == "running"]
    if unfinished:
        return unfinished[0]
    return f"after {list(run.nodes)[-1]}" if run.nodes else "before the first component"


@pytest.mark.faults
def test_kill_at_random_moments(small_slice, tmp_path):
    whole = measured(small_slice, tmp_path / "whole")
    chance = random.Random(SEED)
    print(f"\n\n{KILLS} x kill -9, seed {SEED}, of a run of {whole:.0f} CPU seconds")
    print(
        f"{'at CPU':>8}  {'killed in':<29}{'left':<13}{'completed':>9}{'reused':>8}{'versions':>10}  next run",
        flush=True,
    )
    for number in range(KILLS):
        # One moment in each twentieth, so that the whole run is covered.
        moment = whole * (number + chance.random()) / KILLS
        if number + 1 < FIRST:
            continue
        print(kill_once(small_slice, tmp_path / str(number), moment), flush=True)


def cpu_seconds(pid: int) -> float:
    """What a process has used; unlike the time that has passed, the same however busy the machine is."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(data: Path, root: Path) -> float:
    """CPU seconds of a whole run."""
    _, options = configured(data, root)
    process, used = start(options), 0.0
    while process.poll() is None:
        used = max(used, cpu_seconds(process.pid))
        time.sleep(0.05)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    shutil.rmtree(root)
    return used


def kill_once(data: Path, root: Path, moment: float) -> str:
    config, options = configured(data, root)
    process = start(options)
    while process.poll() is None and cpu_seconds(process.pid) < moment:
        time.sleep(0.01)
    ended = process.poll() is not None
    os.killpg(process.pid, signal.SIGKILL) if not ended else None
    process.communicate()
    check_at_rest(config)
    killed = next(iter(read_runs(config)), None)
    if killed and not ended:
        assert killed.state in ("interrupted", "done"), killed.state  # done: killed while it printed
    nodes = killed.nodes.values() if killed else ()
    completed = {node.id for node in nodes if node.state == "done" and not node.resolver}  # those ask anew
    place, left = ("after its end" if ended else where(killed)), (killed.state if killed else "no run")
    pushed_before = len(versions.versions(config.serving_model_dir))
    output, _ = (process := start(options)).communicate(timeout=600)
    assert process.returncode == 0, f"killed in {place} at {moment:.1f} s:\n{output}"
    check_put_right(config)
    again = read_runs(config)[-1]
    assert again.state in ("done", "cached")
    reused = {node.id for node in again.nodes.values() if node.state == "cached"}
    assert completed <= reused, f"not reused: {completed - reused}"
    pushed = len(versions.versions(config.serving_model_dir))
    assert pushed == 1
    shutil.rmtree(root)
    return (
        f"{moment:>6.1f} s  {place:<29}{left:<13}{len(completed):>9}{len(reused):>8}"
        f"{f'{pushed_before} -> {pushed}':>10}  {again.state}"
    )
