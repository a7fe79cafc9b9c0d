"""The whole pipeline on a Flink cluster of this machine, and a task manager killed under it."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from components.pusher.versions import versions
from components.shared.artifacts import EXAMPLE_GEN
from pipeline.config import load_config
from tests.conftest import LENIENT
from tests.engines import flink
from tests.engines.checks import check_same
from tests.faults.checks import check_at_rest, check_put_right

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(flink.missing() is not None, reason=flink.missing() or ""),
]

QUICK = ["model.epochs=2", "retrieval.epochs=2", *LENIENT]


def test_flink_makes_what_the_direct_runner_makes(marquee, movielens_slice, tmp_path, monkeypatch):
    of_both = [f"data.path={movielens_slice}", *QUICK]
    direct = [f"root={tmp_path / 'direct'}", *of_both]
    with flink.cluster(tmp_path / "flink") as cluster:
        monkeypatch.setenv("JOB_PORT", str(cluster.job_port))
        on_flink = [f"root={tmp_path / 'on-flink'}", f"beam.args={flink.beam_arguments(2)}", *of_both]
        for overrides in (direct, on_flink):
            ran = marquee("run", *[f"--set={one}" for one in overrides])
            assert ran.returncode == 0, ran.stdout + ran.stderr
        check_same(load_config(None, direct), load_config(None, on_flink))
        states = [job["state"] for job in cluster.ask("/jobs/overview")["jobs"]]
        assert set(states) == {"FINISHED"}
        assert len(states) >= 3  # ingest, statistics, Transform, and Evaluator
        print(f"{len(states)} jobs of Flink {cluster.ask('/overview')['flink-version']}, all finished")


def test_a_run_ends_with_a_sentence_where_a_task_manager_is_killed_and_the_next_takes_it_up(
    small_slice, marquee, tmp_path, monkeypatch
):
    arguments = [
        f"root={tmp_path / 'root'}",
        f"data.path={small_slice}",
        f"beam.args={flink.beam_arguments(2)}",
        "retrieval=null",
        "model.epochs=1",
        *LENIENT,
    ]
    options = [f"--set={one}" for one in arguments]
    config = load_config(None, arguments)
    with flink.cluster(tmp_path / "killed") as cluster:
        monkeypatch.setenv("JOB_PORT", str(cluster.job_port))
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(marquee, "run", *options)
            _wait_for_tasks(cluster, running)
            cluster.kill(next(iter(cluster.task_managers)))
            ran = running.result()
    assert ran.returncode == 1
    assert "Error: RatingsExampleGen failed." in ran.stderr
    assert "failed in state FAILED" in ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    assert not list((config.artifact_root / EXAMPLE_GEN).glob("examples/*"))
    assert not versions(config.serving_model_dir)
    check_at_rest(config)
    with flink.cluster(tmp_path / "again") as cluster:
        monkeypatch.setenv("JOB_PORT", str(cluster.job_port))
        again = marquee("run", *options)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(versions(config.serving_model_dir)) == 1
    check_put_right(config)
    print(ran.stderr)


def _wait_for_tasks(cluster: flink.Cluster, running: Future[object]) -> None:
    """Until the first job has tasks that run: workers are at work, and nothing is written yet."""
    deadline = time.monotonic() + 120
    while not any(job["tasks"]["running"] for job in cluster.ask("/jobs/overview")["jobs"]):
        assert not running.done(), running.result()
        assert time.monotonic() < deadline
        time.sleep(0.2)
