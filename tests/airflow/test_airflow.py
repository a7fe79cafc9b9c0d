"""Both DAGs under a real scheduler of Airflow: what each run comes to, in Airflow and through the command."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.config import load_config
from pipeline.state.locking import holder
from pipeline.state.runs import read_runs
from tests.conftest import COMMAND, REPOSITORY
from tests.faults.checks import check_put_right

pytestmark = pytest.mark.airflow

AIRFLOW = os.environ.get("AIRFLOW") or str(REPOSITORY / ".venv-airflow/bin/airflow")
PATIENCE = 900  # seconds, for a run of 15 tasks that are started one after the other
SETTINGS = {
    "data": {},
    "model": {"epochs": 2},
    "retrieval": None,
    "evaluation": {"min_auc": 0, "max_log_loss": 9},
    "blessing": {
        "floors": {one: {"rule": "warn"} for one in ("movie_mean", "bias_logistic_regression", "popularity")},
        "changes": {one: {"rule": "warn"} for one in ("log_loss", "auc", "ranking")},
    },
}


class Airflow:
    """A scheduler with its own home; DAGs are asked for in its database."""

    def __init__(self, home: Path) -> None:
        self.home, self.dags = home, home / "dags"
        self.dags.mkdir(parents=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{Path(AIRFLOW).parent}{os.pathsep}{os.environ['PATH']}",  # tasks are started as `airflow`
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor",
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "5",
        }

    def __call__(self, *arguments: str) -> None:
        done = subprocess.run(
            [AIRFLOW, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def read(self, query: str, *values: str) -> list[tuple[str, ...]]:
        with sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=30) as connection:
            return connection.execute(query, values).fetchall()

    def wait(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline, (self.home / "scheduler.log").read_text()[-3000:]
            time.sleep(0.5)

    def state(self, dag: str, run: str) -> str:
        found = self.read("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", dag, run)
        return found[0][0] if found else ""

    def tasks(self, dag: str, run: str) -> dict[str, tuple[str, int]]:
        """State and number of the try of each task."""
        found = self.read(
            "SELECT task_id, state, try_number FROM task_instance WHERE dag_id = ? AND run_id = ?", dag, run
        )
        return {task: (state, int(tries)) for task, state, tries in found}

    def log(self, dag: str, run: str, task: str) -> str:
        folder = self.home / "logs" / f"dag_id={dag}" / f"run_id={run}" / f"task_id={task}"
        return "".join(path.read_text() for path in sorted(folder.glob("*.log")))


@pytest.fixture(scope="module")
def airflow(tmp_path_factory) -> Iterator[Airflow]:
    if not Path(AIRFLOW).exists():
        pytest.skip("needs .venv-airflow, which make test-airflow sets up")
    made = Airflow(tmp_path_factory.mktemp("airflow"))
    made("db", "migrate")
    with (made.home / "scheduler.log").open("w") as log:
        process = subprocess.Popen(
            [AIRFLOW, "scheduler"], env=made.environment, stdout=log, stderr=log, start_new_session=True
        )
        yield made
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


class Pipeline:
    """A pipeline of its own, whose DAGs read its configuration file at each run."""

    def __init__(self, airflow: Airflow, folder: Path, data: Path, name: str) -> None:
        self.airflow, self.name = airflow, name
        self.file = folder / f"{name}.yaml"
        self.values = {**SETTINGS, "name": name, "root": str(folder / "root"), "data": {"path": str(data)}}
        self.configure({})
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run(
            [*COMMAND, "airflow", "--out", str(folder / "made"), "--config", str(self.file)],
            check=True,
            env=environment,
        )
        for path in (folder / "made").iterdir():
            # Tests do not wait ten minutes, and the command is of this checkout.
            text = path.read_text().replace("timedelta(minutes=10)", "timedelta(seconds=1)")
            text = text.replace("[*COMMAND", f"['env', 'PYTHONPATH={REPOSITORY}', *COMMAND")
            (airflow.dags / path.name).write_text(text)

    def configure(self, changes: dict) -> None:
        self.file.write_text(yaml.safe_dump({**self.values, **changes}))

    @property
    def config(self):
        return load_config(str(self.file))

    def trigger(self, dag: str, run: str) -> None:
        self.airflow.wait(
            lambda: bool(self.airflow.read("SELECT 1 FROM serialized_dag WHERE dag_id = ?", dag))
        )
        self.airflow("dags", "unpause", dag)
        self.airflow("dags", "trigger", dag, "--run-id", run)

    def ended(self, dag: str, run: str) -> str:
        self.airflow.wait(lambda: self.airflow.state(dag, run) in ("success", "failed"))
        return self.airflow.state(dag, run)

    def status(self, marquee) -> dict:
        (run,) = json.loads(marquee("status", "--json", "--last", "1", "--config", str(self.file)).stdout)[
            "runs"
        ]
        return run


@pytest.fixture(scope="module", params=["", "_components"], ids=["one task", "a task a component"])
def pipeline(request, airflow, small_slice, tmp_path_factory) -> tuple[Pipeline, str]:
    name = f"slice{request.param}"
    return Pipeline(airflow, tmp_path_factory.mktemp(name), small_slice, name), f"{name}{request.param}"


def test_runs_under_the_scheduler(pipeline, airflow, marquee):
    made, dag = pipeline
    one_task = not dag.endswith("_components")

    # A normal run.
    made.trigger(dag, "normal")
    assert made.ended(dag, "normal") == "success", airflow.tasks(dag, "normal")
    pushed = made.status(marquee)
    assert pushed["state"] == "done"
    assert pushed["version"]
    last = "run" if one_task else "Pusher"
    log = airflow.log(dag, "normal", last)
    assert re.search(r"Pusher +done", log)
    assert "Blessed: AUC" in log

    # A refused one is not tried again.
    made.configure({"evaluation": {"min_auc": 0.999}})
    made.trigger(dag, "refused")
    assert made.ended(dag, "refused") == "failed"
    assert airflow.tasks(dag, "refused")[last] == ("failed", 1)
    assert "Not blessed, not pushed" in airflow.log(dag, "refused", last)
    refused = made.status(marquee)
    assert (refused["blessed"], "version" in refused) == (False, False)

    # Bad data stop it, and nothing below the gate has run.
    made.configure({"data_gate": {"minimum": {"users": 1000}}})
    made.trigger(dag, "stopped")
    assert made.ended(dag, "stopped") == "failed"
    gate = "run" if one_task else "DataGate"
    assert airflow.tasks(dag, "stopped")[gate] == ("failed", 1)
    assert "The data gate refuses these ratings" in airflow.log(dag, "stopped", gate)
    if not one_task:
        assert airflow.tasks(dag, "stopped")["Transform"][0] == "upstream_failed"
    stopped = read_runs(made.config)[-1]
    assert stopped.state == "failed"
    assert "MovieTrainer" not in stopped.nodes

    # One that is killed in the middle is taken up by the retry.
    made.configure({"model": {"epochs": 3}})
    made.trigger(dag, "killed")
    folder = made.config.artifact_root / "MovieTrainer" / "model"
    before = set(folder.iterdir())
    airflow.wait(lambda: bool(set(folder.iterdir()) - before))
    at_work = holder(made.config.pipeline_root)
    assert at_work
    os.kill(at_work.pid, signal.SIGKILL)
    assert made.ended(dag, "killed") == "success", airflow.tasks(dag, "killed")
    assert airflow.tasks(dag, "killed")["run" if one_task else "MovieTrainer"] == ("success", 2)
    taken_up = made.status(marquee)
    assert taken_up["state"] == "done"
    assert taken_up["version"] != pushed["version"]
    assert "interrupted" not in {node.state for node in read_runs(made.config)[-1].nodes.values()}
    check_put_right(made.config)


def test_parsing_the_files_takes_no_tfx(pipeline, airflow):
    """In a process with Airflow alone: CPU seconds beside those of importing Airflow."""
    program = (
        "import sys, runpy, time; import airflow; from airflow.operators.python import PythonOperator;"
        "began = time.process_time(); [runpy.run_path(one) for one in sys.argv[1:]];"
        "print(time.process_time() - began, any(name.split('.')[0] in ('tfx', 'tensorflow') for name in sys.modules))"
    )
    files = [str(path) for path in airflow.dags.glob("*.py")]
    done = subprocess.run(
        [str(Path(AIRFLOW).with_name("python")), "-c", program, *files],
        env=airflow.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, has_tfx = done.stdout.splitlines()[-1].split()
    assert has_tfx == "False"
    assert float(seconds) < 2
