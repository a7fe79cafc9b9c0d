"""The whole pipeline on Beam's PortableRunner, with workers in processes of their own; no Java."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.config import load_config
from tests.conftest import LENIENT
from tests.engines.checks import check_same
from tests.engines.servers import free_port, server, worker_pool

pytestmark = pytest.mark.engines


@pytest.fixture
def job_server(tmp_path: Path):
    port = free_port()
    command = [
        *(sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"),
        f"--port={port}",
        f"--staging_dir={tmp_path / 'staging'}",
    ]
    with server(command, port, tmp_path / "jobs.log"):
        yield port


def test_portable_runner_makes_what_the_direct_runner_makes(
    marquee, movielens_slice, tmp_path, job_server, monkeypatch
):
    of_both = [f"data.path={movielens_slice}", "model.epochs=2", "retrieval.epochs=2", *LENIENT]
    direct = [f"root={tmp_path / 'direct'}", *of_both]
    with worker_pool(tmp_path) as workers:
        monkeypatch.setenv("JOB_PORT", str(job_server))
        monkeypatch.setenv("WORKER_PORT", str(workers))
        arguments = [
            "--runner=PortableRunner",
            "--job_endpoint=localhost:${JOB_PORT}",
            "--environment_type=EXTERNAL",
            "--environment_config=localhost:${WORKER_PORT}",
        ]
        portable = [f"root={tmp_path / 'portable'}", f"beam.args={arguments}", *of_both]
        for overrides in (direct, portable):
            ran = marquee("run", *[f"--set={one}" for one in overrides])
            assert ran.returncode == 0, ran.stdout + ran.stderr
        check_same(load_config(None, direct), load_config(None, portable))
        # Another port is no other run.
        assert "Nothing has changed" in marquee("run", *[f"--set={one}" for one in portable]).stdout
