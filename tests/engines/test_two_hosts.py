"""Two hosts on one root, with ML Metadata on PostgreSQL: one is stopped, cut off or killed in the middle of a run.

A host is a process with a name and process ids of its own, by Linux's namespaces. The root is on a disk of this
machine: what a network file system's locks do is not tested here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from components.pusher.versions import versions
from components.shared.artifacts import EXAMPLE_GEN, TRAINER
from pipeline.config import PipelineConfig, load_config
from pipeline.state.locking import holder
from pipeline.state.runs import read_runs
from tests.conftest import COMMAND, LENIENT, REPOSITORY
from tests.engines.checks import FIGURES, last_run
from tests.engines.servers import free_port
from tests.faults.checks import check_at_rest, check_put_right
from tests.postgres import PASSWORD, PASSWORD_ENV, Server, postgres

pytestmark = pytest.mark.engines

_MAY = [] if os.getuid() == 0 else ["--map-root-user"]
UNSHARE = ["unshare", *_MAY, "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]


class Host:
    """A command on a host of that name."""

    made: ClassVar[list[Host]] = []

    def __init__(self, name: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*UNSHARE, "sh", "-c", 'hostname "$0" && exec "$@"', name, *COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        self.made.append(self)

    def send(self, number: int) -> None:
        """A signal to each process of the host."""
        for pid in sorted(_descendants(self.process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=600)
        assert PASSWORD not in out + err
        return self.process.returncode, out, err

    def until(self, folder: Path, known: Collection[Path]) -> None:
        """Waits for something that it makes in a folder."""
        while not set(folder.glob("*")) - set(known):
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in map(int, children) for one in (child, *_descendants(child))]


@pytest.fixture(autouse=True)
def no_host_is_left() -> Iterator[None]:
    """Where a test fails, a host may be standing still."""
    yield
    for host in Host.made:
        if host.process.poll() is None:
            host.send(signal.SIGKILL)
            host.process.kill()
    Host.made.clear()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    may = subprocess.run([*UNSHARE, "hostname", "alpha"], capture_output=True, text=True, check=False)
    if may.returncode:
        pytest.skip(f"Hosts of other names cannot be made here: {may.stderr.strip()}")
    os.environ[PASSWORD_ENV] = PASSWORD
    with postgres() as running:
        yield running
    del os.environ[PASSWORD_ENV]


def configured(server: Server, data: Path, root: Path) -> tuple[PipelineConfig, list[str]]:
    """A root with a pipeline of its own on the server."""
    overrides = [f"data.path={data}", f"root={root}", f"name={root.name}", "model.epochs=2", *LENIENT]
    overrides += ["retrieval=null", *server.overrides]
    return load_config(None, overrides), [f"--set={one}" for one in overrides]


@pytest.fixture(scope="module")
def undisturbed(server, small_slice, tmp_path_factory) -> dict[str, float]:
    """The figures of a run of one host alone."""
    config, options = configured(server, small_slice, tmp_path_factory.mktemp("alone"))
    code, out, err = Host("alpha", "run", *options).ended()
    assert code == 0, out + err
    return figures(config)


def figures(config: PipelineConfig) -> dict[str, float]:
    summary = last_run(config).summary()
    return {name: summary[name] for name in FIGURES}


def check_end(config: PipelineConfig, expected: dict[str, float]) -> None:
    """One version, nothing half done, the figures of an undisturbed run, and the password nowhere."""
    check_put_right(config)
    assert len(versions(config.serving_model_dir)) == 1
    assert holder(config.pipeline_root) is None
    run = last_run(config)
    assert run.summary()["blessed"]
    found = figures(config)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)
    check_no_password(config)
    print(f"  {run.state}: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()), flush=True)


def check_no_password(config: PipelineConfig) -> None:
    files = [path for path in config.pipeline_root.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


def show(what: str, text: str, pattern: str) -> None:
    """Prints the lines that are the point, which must be there."""
    lines = [line.strip() for line in text.splitlines() if re.search(pattern, line)]
    assert lines, text
    print("\n  ".join([f"\n{what}:", *lines]), flush=True)


def in_trainer(name: str, options: list[str], config: PipelineConfig) -> Host:
    """A host in the middle of the Trainer, where it stands still."""
    models = config.artifact_root / TRAINER / "model"
    before = list(models.glob("*"))
    host = Host(name, "run", *options)
    host.until(models, before)
    time.sleep(1)
    host.send(signal.SIGSTOP)
    assert read_runs(config)[-1].nodes[TRAINER].state == "running"
    return host


def test_a_host_that_stands_still_keeps_its_lock_and_ends_well(server, small_slice, tmp_path, undisturbed):
    """Meanwhile the other one is refused or waits, and PostgreSQL is started again."""
    config, options = configured(server, small_slice, tmp_path / "still")
    alpha = in_trainer("alpha", options, config)
    code, out, err = Host("beta", "run", *options).ended()
    assert (code, out) == (75, "")
    show("beta is refused", err, "found|to fix")
    assert re.search(r"process 1 on alpha \(marquee run\), started \d+ \w+ ago", err)
    assert "end it on alpha" in err
    code, _, err = Host("beta", "gc", "--keep", "1", *options).ended()
    assert code == 75, err
    code, out, err = Host("beta", "status", *options).ended()
    assert code == 0, err
    show("status on beta meanwhile", out, "running")
    waiting = Host("beta", "run", "--wait", *options)
    assert waiting.process.stderr.readline().startswith("Waiting for process 1 on alpha (marquee run)")
    server.stop()
    server.start()
    assert waiting.process.poll() is None
    alpha.send(signal.SIGCONT)
    code, out, err = alpha.ended()
    assert (code, err) == (0, ""), out
    code, out, err = waiting.ended()
    assert code == 0, out + err
    show("beta has waited", out, "Nothing has changed")
    assert [run.state for run in read_runs(config)] == ["done", "cached"]
    check_end(config, undisturbed)


def test_the_other_host_takes_up_what_a_dead_one_had_completed(server, small_slice, tmp_path, undisturbed):
    """The whole host goes at once; its note stays in the lock."""
    config, options = configured(server, small_slice, tmp_path / "dead")
    alpha = in_trainer("alpha", options, config)
    completed = {node.id for node in last_run(config).nodes.values() if node.state == "done"}
    assert EXAMPLE_GEN in completed
    alpha.process.kill()
    alpha.process.wait()
    assert '"host": "alpha"' in (config.pipeline_root / ".lock").read_text()
    check_at_rest(config)
    code, out, err = Host("beta", "status", *options).ended()
    assert code == 0, err
    show("status on beta after the kill", out, "interrupted|Nothing has been pushed")
    code, out, err = Host("beta", "run", *options).ended()
    assert (code, err) == (0, ""), out
    show("beta goes on", out, "dead process|Recovered|Blessed|Served")
    assert "process 1 on alpha" in out
    nodes = last_run(config).nodes.values()
    assert completed <= {node.id for node in nodes if node.state == "cached" or node.resolver}
    code, out, err = Host("beta", "status", *options).ended()
    assert code == 0, err
    show("status on beta at the end", out, "interrupted|done|Pushed to")
    check_end(config, undisturbed)


def test_a_host_that_lost_its_lock_stops_and_spoils_nothing(server, small_slice, tmp_path, undisturbed):
    """As where a file server gives away the lock of a host that is cut off; here somebody removes its file."""
    config, options = configured(server, small_slice, tmp_path / "cut-off")
    alpha = in_trainer("alpha", options, config)
    (config.pipeline_root / ".lock").unlink()
    beta = in_trainer("beta", options, config)
    alpha.send(signal.SIGCONT)
    code, out, err = alpha.ended()
    assert code == 75, out + err
    show("alpha comes back while beta is at work", err, r"\S")
    assert err.startswith("Error: The lock of this pipeline was lost")
    assert "process 1 on beta" in err
    assert not re.search("Served|Report", out)  # a report would be of the run of beta
    assert holder(config.pipeline_root).host == "beta"
    beta.send(signal.SIGCONT)
    code, out, err = beta.ended()
    assert (code, err) == (0, ""), out
    show("beta goes on", out, "Recovered|Blessed|Served")
    check_end(config, undisturbed)


def test_a_server_that_goes_away_ends_the_run_and_the_next_takes_it_up(
    server, small_slice, tmp_path, undisturbed
):
    config, options = configured(server, small_slice, tmp_path / "away")
    alpha = in_trainer("alpha", options, config)
    server.stop()
    try:
        alpha.send(signal.SIGCONT)
        code, out, err = alpha.ended()
        assert code == 1, out + err
        show("the server is gone", err, "\\S")
        assert err.startswith("Error: MovieTrainer failed: ML Metadata cannot be reached.\n")
        code, out, err = Host("beta", "status", *options).ended()
        assert code == 1, out + err
        show("status without the server", err, "\\S")
    finally:
        server.start()
    code, out, err = Host("beta", "run", *options).ended()
    assert (code, err) == (0, ""), out
    show("beta goes on", out, "Recovered|Blessed|Served")
    check_end(config, undisturbed)


@pytest.mark.parametrize("command", ["run", "status", "gc --keep 1"])
@pytest.mark.parametrize("why", ["nobody-listens", "wrong-password"])
def test_a_refused_connection_is_told_without_the_password(
    server, small_slice, tmp_path, monkeypatch, command, why
):
    config, options = configured(server, small_slice, tmp_path / "refused")
    config.pipeline_root.mkdir(parents=True)
    if why == "wrong-password":
        monkeypatch.setenv(PASSWORD_ENV, PASSWORD[::-1])
    else:
        options.append(f"--set=metadata.port={free_port()}")
    code, out, err = Host("beta", *command.split(), *options).ended()
    assert code == 1, out + err
    assert "Traceback" not in err
    assert PASSWORD[::-1] not in out + err
    show(f"{command}, {why}", err, "\\S")
    assert err.startswith("Error: ML Metadata cannot be opened.\n")
    assert {"nobody-listens": "Connection refused", "wrong-password": "does not let user marquee"}[why] in err
    assert not [path for path in config.pipeline_root.rglob("*.log") if PASSWORD[::-1] in path.read_text()]
