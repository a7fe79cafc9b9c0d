"""Ratings in an object store: the run is that of the same files in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from pipeline.config import load_config
from tests.conftest import LENIENT, REPOSITORY
from tests.engines.checks import check_same
from tests.engines.servers import free_port, server

pytestmark = pytest.mark.engines

SERVERS = Path(os.environ.get("STORES") or REPOSITORY / ".venv-stores/bin")
ADDRESSES = ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST")
SECRET = "a-secret-that-no-log-may-have"


@pytest.fixture(scope="module", params=["s3", "gs"])
def endpoint(request, tmp_path_factory) -> Iterator[tuple[str, str]]:
    """Which store, and a server that talks as it does: moto, or an emulator of Google's."""
    if not (SERVERS / "moto_server").exists():
        pytest.skip("needs .venv-stores, which make test-object-stores sets up")
    port = free_port()
    command = {
        "s3": ["moto_server", "-p", f"{port}"],
        "gs": [
            "gcp-storage-emulator",
            "start",
            "--host=localhost",
            f"--port={port}",
            "--in-memory",
            "--default-bucket=ratings",
        ],
    }[request.param]
    with server([SERVERS / command[0], *command[1:]], port, tmp_path_factory.mktemp("server") / "log"):
        yield request.param, f"localhost:{port}"


@pytest.fixture
def bucket(endpoint, movielens_slice, monkeypatch) -> str:
    scheme, host = endpoint
    for name, value in {
        **dict.fromkeys(ADDRESSES, f"http://{host}"),
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    if scheme == "s3":
        store = fs.S3FileSystem(endpoint_override=host, scheme="http", allow_bucket_creation=True)
        store.create_dir("ratings")
    else:
        store = fs.GcsFileSystem(endpoint_override=host, scheme="http", anonymous=True)
    for path in movielens_slice.iterdir():
        with store.open_output_stream(f"ratings/{movielens_slice.name}/{path.name}") as out:
            out.write(path.read_bytes())
    return f"{scheme}://ratings/{movielens_slice.name}"


def test_the_run_is_that_of_a_folder(marquee, movielens_slice, bucket, tmp_path):
    of_both = ["model.epochs=2", "retrieval=null", *LENIENT]
    local = [f"root={tmp_path / 'local'}", f"data.path={movielens_slice}", *of_both]
    remote = [f"root={tmp_path / 'remote'}", f"data.path={bucket}", *of_both]
    for overrides in (local, remote):
        ran = marquee("run", *[f"--set={one}" for one in overrides])
        assert ran.returncode == 0, ran.stdout + ran.stderr
    check_same(load_config(None, local), load_config(None, remote))
    # A file by its name is the same input; the model card alone has another path.
    named = [*remote[:1], f"data.path={bucket}/{movielens_slice.name}.inter", *of_both, "name=ml-slice"]
    again = marquee("run", *[f"--set={one}" for one in named])
    assert again.returncode == 0, again.stdout + again.stderr
    for name in ("RatingsExampleGen", "Transform", "MovieTrainer", "Blessing"):
        assert re.search(rf"^  {name} +cached", again.stdout, re.MULTILINE), again.stdout
    written = (tmp_path / "remote").rglob("*")
    assert not [path for path in written if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("path", ["ratings/nothing", "no-such-bucket/ratings.csv"])
def test_what_is_not_there_is_told(marquee, bucket, endpoint, tmp_path, path):
    path = f"{endpoint[0]}://{path}"
    ran = marquee("run", f"--set=root={tmp_path}", f"--set=data.path={path}")
    assert ran.returncode not in (0, 2)
    assert ran.stderr.startswith(("Error: The input path", "Error: The folder cannot be read"))
    assert path in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not list(Path(tmp_path).iterdir())


def test_a_server_that_is_away_is_told(marquee, bucket, tmp_path, monkeypatch):
    for name in ADDRESSES:
        monkeypatch.setenv(name, f"http://localhost:{free_port()}")
    ran = marquee("run", f"--set=root={tmp_path}", f"--set=data.path={bucket}")
    assert ran.returncode not in (0, 2)
    assert "cannot be read" in ran.stderr
    assert SECRET not in ran.stderr + ran.stdout
