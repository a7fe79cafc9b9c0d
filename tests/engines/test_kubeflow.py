"""Every task of a compiled PipelineSpec as a local process, as its container would run it: figures, gate, kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.pusher.versions import versions
from pipeline.config import load_config
from tests.conftest import COMMAND, LENIENT, REPOSITORY
from tests.engines.checks import check_same, last_run

pytestmark = pytest.mark.engines

QUICK = ["model.epochs=2", "retrieval.epochs=2", *LENIENT]


class Spec:
    """A compiled spec; a failed task's followers do not start, as under Kubeflow."""

    def __init__(self, marquee: Any, folder: Path, *overrides: str) -> None:
        self.config = load_config(None, overrides)
        path = folder / "pipeline.yaml"
        done = marquee(
            *("kubeflow", "compile", "--image", "any/marquee:1", "--volume", "any"),
            *("--mount", str(folder), "--out", str(path)),
            *(f"--set={one}" for one in overrides),
        )
        assert done.returncode == 0, done.stderr
        self.spec = next(yaml.safe_load_all(path.read_text()))
        self.tasks: dict[str, Any] = self.spec["root"]["dag"]["tasks"]

    def run(
        self, run_id: str, done: set[str] | None = None, kill: str | None = None
    ) -> dict[str, tuple[int, str]]:
        """Exit code and output of each task that was started; `done` are not started again."""
        done = set(done or ())
        ended: dict[str, tuple[int, str]] = {}
        for name in self._order():
            if name in done or not set(self.tasks[name].get("dependentTasks", [])) <= done:
                continue
            ended[name] = self._execute(name, run_id, name == kill)
            if ended[name][0] == 0:
                done.add(name)
        return ended

    def _order(self) -> Iterator[str]:
        left = dict(self.tasks)
        while left:
            ready = [
                one for one, task in left.items() if not left.keys() & set(task.get("dependentTasks", []))
            ]
            assert ready, left.keys()
            for one in ready:
                del left[one]
                yield one

    def _execute(self, name: str, run_id: str, kill: bool) -> tuple[int, str]:
        task = self.tasks[name]
        label = self.spec["components"][task["componentRef"]["name"]]["executorLabel"]
        container = self.spec["deploymentSpec"]["executors"][label]["container"]
        given = task["inputs"]["parameters"]
        values = {key: str(value["runtimeValue"]["constant"]) for key, value in given.items()}
        assert container["command"] == ["marquee"]
        command = [*COMMAND, *(_filled(one, values, run_id) for one in container["args"])]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            start_new_session=True,
            cwd="/",  # nothing of the working directory is in a pod
        )
        if kill:
            folder = self.config.artifact_root / "MovieTrainer" / "model"
            while not (folder.is_dir() and any(folder.iterdir())):
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.1)
            os.killpg(process.pid, signal.SIGKILL)
        try:
            output = process.communicate(timeout=600)[0]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        sys.stdout.write(output)
        return process.returncode, output


def _filled(argument: str, values: dict[str, str], run_id: str) -> str:
    for key, value in values.items():
        argument = argument.replace(f"{{{{$.inputs.parameters['{key}']}}}}", value)
    return argument.replace("{{$.pipeline_job_uuid}}", run_id)


def test_tasks_push_what_the_local_runner_pushes_also_after_a_kill(marquee, movielens_slice, tmp_path):
    of_both = [f"data.path={movielens_slice}", *QUICK]
    local = [f"root={tmp_path / 'local'}", *of_both]
    ran = marquee("run", *[f"--set={one}" for one in local])
    assert ran.returncode == 0, ran.stdout + ran.stderr

    volume = movielens_slice.parent
    pods = [f"root={volume / 'root'}", *of_both]
    spec = Spec(marquee, volume, *pods)
    ended = spec.run("0f3a", kill="movietrainer")
    assert ended["movietrainer"][0] == -signal.SIGKILL
    assert not {"evaluator", "blessing", "pusher"} & ended.keys()
    assert not versions(spec.config.serving_model_dir)

    # Its button Retry starts what had not completed, in the same run.
    again = spec.run("0f3a", done={name for name, (code, _) in ended.items() if code == 0})
    assert {code for code, _ in again.values()} == {0}
    assert "  MovieTrainer          done " in again["movietrainer"][1]
    assert {*ended, *again} == spec.tasks.keys()
    assert "Blessed:" in again["pusher"][1]
    assert len(versions(spec.config.serving_model_dir)) == 1
    check_same(load_config(None, local), load_config(None, pods))


def test_the_data_gate_stops_the_tasks_below_it_and_a_refused_model_fails_the_pusher(marquee, small_slice):
    volume = small_slice.parent
    quick = [
        f"root={volume / 'root'}",
        f"data.path={small_slice}",
        "retrieval=null",
        "model.epochs=1",
        *LENIENT,
    ]
    stopped = Spec(marquee, volume, *quick, "data_gate.minimum.users=1000").run("stopped")
    assert stopped["datagate"][0] == 4
    assert "The data gate refuses these ratings" in stopped["datagate"][1]
    assert not {"transform", "movietrainer", "pusher"} & stopped.keys()

    spec = Spec(marquee, volume, *quick, "evaluation.min_auc=0.999")
    refused = spec.run("refused")
    assert refused["pusher"][0] == 3
    assert {code for name, (code, _) in refused.items() if name != "pusher"} == {0}
    assert last_run(spec.config).summary()["blessed"] is False
    assert not versions(spec.config.serving_model_dir)
