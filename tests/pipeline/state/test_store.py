"""ML Metadata on SQLite and on servers by config."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.shared.errors import ConfigError, MarqueeError
from pipeline.config import load_config
from pipeline.state.runs import read_runs
from pipeline.state.store import Output, connection_config, open_store, properties

POSTGRES = Path("/usr/lib/postgresql")
SERVER = ["metadata.host=db.example", "metadata.database=shared", "metadata.user=ml"]


def configured(tmp_path: Path, *overrides: str):
    return load_config(None, [f"root={tmp_path}", *overrides])


def test_sqlite_under_the_root_is_the_default(tmp_path):
    config = configured(tmp_path)
    connection = connection_config(config)
    assert connection.sqlite.filename_uri == str(config.metadata_path)
    assert open_store(config) is None  # reading makes no file
    assert read_runs(config) == []
    assert not config.pipeline_root.exists()


@pytest.mark.parametrize(("kind", "port"), [("mysql", 3306), ("postgresql", 5432)])
def test_a_server_by_config(tmp_path, monkeypatch, kind, port):
    monkeypatch.setenv("MARQUEE_METADATA_PASSWORD", "secret")
    connection = connection_config(configured(tmp_path, f"metadata.kind={kind}", *SERVER))
    assert connection.WhichOneof("config") == kind
    server = getattr(connection, kind)
    database = server.database if kind == "mysql" else server.dbname
    assert (server.host, int(server.port), database) == ("db.example", port, "shared")
    assert (server.user, server.password) == ("ml", "secret")
    other = connection_config(configured(tmp_path, f"metadata.kind={kind}", "metadata.port=7777"))
    assert int(getattr(other, kind).port) == 7777


def test_the_password_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("MARQUEE_METADATA_PASSWORD", raising=False)
    config = configured(tmp_path, "metadata.kind=mysql")
    with pytest.raises(ConfigError, match="MARQUEE_METADATA_PASSWORD") as error:
        connection_config(config)
    assert "export MARQUEE_METADATA_PASSWORD=" in str(error.value)
    without = configured(tmp_path, "metadata.kind=mysql", "metadata.password_env=")
    assert connection_config(without).mysql.password == ""
    monkeypatch.setenv("OTHER", "secret")
    named = configured(tmp_path, "metadata.kind=mysql", "metadata.password_env=OTHER")
    assert connection_config(named).mysql.password == "secret"


def test_a_kind_that_there_is_not(tmp_path):
    with pytest.raises(ConfigError, match=r"metadata\.kind"):
        configured(tmp_path, "metadata.kind=postgres")


@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_a_server_that_is_not_there(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("MARQUEE_METADATA_PASSWORD", "secret")
    config = configured(tmp_path, f"metadata.kind={kind}", "metadata.host=127.0.0.1", "metadata.port=1")
    with pytest.raises(
        MarqueeError, match=f"{kind} server 127.0.0.1:1, database marquee, user marquee"
    ) as error:
        open_store(config)
    assert "secret" not in str(error.value)


def test_a_file_of_another_program(tmp_path):
    config = configured(tmp_path)
    config.pipeline_root.mkdir(parents=True)
    with closing(sqlite3.connect(config.metadata_path)) as connection:
        connection.execute("CREATE TABLE bookmarks (id INTEGER)")
    with pytest.raises(MarqueeError, match="tables of another program: bookmarks"):
        open_store(config)


def test_an_empty_file_is_like_none(tmp_path):
    config = configured(tmp_path)
    config.pipeline_root.mkdir(parents=True)
    config.metadata_path.touch()
    assert open_store(config) is None


def test_a_folder_for_the_file(tmp_path):
    config = configured(tmp_path)
    config.metadata_path.mkdir(parents=True)
    with pytest.raises(MarqueeError, match="cannot be opened"):
        open_store(config)


def test_a_damaged_file(tmp_path):
    config = configured(tmp_path)
    config.pipeline_root.mkdir(parents=True)
    config.metadata_path.write_bytes(b"not SQLite" * 1000)
    with pytest.raises(MarqueeError, match="cannot be opened") as error:
        open_store(config)
    assert str(config.metadata_path) in str(error.value)
    assert "file is not a database" in str(error.value)
    assert "move it away" in str(error.value)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory) -> Iterator[list[str]]:
    """Overrides for a PostgreSQL server started for these tests."""
    found = sorted(POSTGRES.glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    folder = tmp_path_factory.mktemp("postgres")
    # A server does not run as root, and its user must reach the folder.
    for path in (folder, *folder.parents[:3]):
        path.chmod(0o777 if path == folder else path.stat().st_mode | 0o011)
    (folder / "password").write_text("secret")
    (folder / "password").chmod(0o644)
    binary, data = found[-1].parent, folder / "data"
    port = 40000 + os.getpid() % 20000
    initdb = [str(binary / "initdb"), "-D", str(data), "-U", "marquee", "-A", "scram-sha-256"]
    done = subprocess.run(
        [*user, *initdb, f"--pwfile={folder / 'password'}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"PostgreSQL cannot be set up here: {done.stderr.strip()}")
    control = [*user, str(binary / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
    listening = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
    subprocess.run([*control, "-o", listening, "start"], check=True, stdout=subprocess.DEVNULL)
    yield [
        "metadata.kind=postgresql",
        "metadata.host=127.0.0.1",
        f"metadata.port={port}",
        "metadata.password_env=MARQUEE_TEST_PASSWORD",
    ]
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)


def test_postgresql_holds_several_pipelines_apart(postgres, tmp_path, monkeypatch):
    """The database is made, what is written is read back, and one pipeline does not see the other's."""
    monkeypatch.setenv("MARQUEE_TEST_PASSWORD", "secret")
    script = """
import sys
from ml_metadata.proto import metadata_store_pb2 as mlmd
from pipeline.config import load_config
from pipeline.state.store import Output, open_store
store = open_store(load_config(None, sys.argv[1:]))
kind = store.raw.put_context_type(mlmd.ContextType(name="pipeline"))
store.raw.put_contexts([mlmd.Context(type_id=kind, name=store.name)])
store = open_store(load_config(None, sys.argv[1:]))
execution = store.start("marquee.Test", "node", {}, {"reason": store.name})
store.complete(execution, "node", [Output("out", "Thing", "/uri", {"of": store.name, "n": 1, "x": 0.5})])
"""
    for name in ("one", "two"):
        subprocess.run(
            [sys.executable, "-c", script, f"name={name}", *postgres], check=True, capture_output=True
        )
    for name in ("one", "two"):
        store = open_store(configured(tmp_path, f"name={name}", *postgres))
        (artifact,) = store.artifacts("Thing")
        assert properties(artifact) == {"of": name, "n": 1, "x": 0.5}
        (execution,) = store.executions()
        assert store.names(execution) == ("node", "")
        assert read_runs(configured(tmp_path, f"name={name}", *postgres)) == []


def test_explain_and_schema_diff_read_the_server(postgres, tmp_path, monkeypatch, marquee):
    """There is no SQLite file, and yet the run is found."""
    monkeypatch.setenv("MARQUEE_TEST_PASSWORD", "secret")
    options = ["name=three", *postgres, f"root={tmp_path}"]
    store = open_store(load_config(None, options))
    kinds = {
        kind: store.raw.put_context_type(mlmd.ContextType(name=kind)) for kind in ("pipeline", "pipeline_run")
    }
    of, run = store.raw.put_contexts(
        [
            mlmd.Context(type_id=kinds["pipeline"], name="three"),
            mlmd.Context(type_id=kinds["pipeline_run"], name="r1"),
        ]
    )
    store.raw.put_parent_contexts([mlmd.ParentContext(child_id=run, parent_id=of)])
    folder = tmp_path / "report"
    (folder / "Split-train").mkdir(parents=True)
    (folder / "decision.json").write_text('{"blessed": true}')
    (folder / "Split-train" / "SchemaDiff.pb").touch()
    (folder / "Split-train" / "FeatureStats.pb").touch()
    for node, key in (
        ("Blessing", "report"),
        ("ExampleValidator", "anomalies"),
        ("StatisticsGen", "statistics"),
    ):
        execution = store.start(node, node, {}, {})
        store.complete(execution, node, [Output(key, "Thing", str(folder), {})])
        store.raw.put_attributions_and_associations(
            [], [mlmd.Association(execution_id=execution.id, context_id=run)]
        )
    sets = [part for one in options for part in ("--set", one)]
    explained = marquee("explain", "--json", *sets)
    assert json.loads(explained.stdout) == {"run": "r1", "blessed": True}, explained.stderr
    differs = marquee("schema", "diff", "--json", *sets)
    assert json.loads(differs.stdout) == {"run": "r1", "violations": []}, differs.stderr


def test_postgresql_refuses_a_wrong_password(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("MARQUEE_TEST_PASSWORD", "wrong-one")
    with pytest.raises(MarqueeError, match="cannot be opened") as error:
        open_store(configured(tmp_path, *postgres))
    assert "wrong-one" not in str(error.value)


def test_a_run_without_the_password_is_refused_before_anything_is_written(marquee, tmp_path, monkeypatch):
    monkeypatch.delenv("MARQUEE_METADATA_PASSWORD", raising=False)
    done = marquee("run", "--set", f"root={tmp_path / 'root'}", "--set", "metadata.kind=mysql")
    assert (done.returncode, done.stdout) == (2, "")
    assert "MARQUEE_METADATA_PASSWORD" in done.stderr
    assert not (tmp_path / "root").exists()
