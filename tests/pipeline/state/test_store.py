"""ML Metadata on SQLite and on servers by config."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ml_metadata import errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.shared.errors import ConfigError, MarqueeError
from components.shared.tfx_internals import backslashes_kept
from pipeline.config import load_config
from pipeline.state.runs import read_runs
from pipeline.state.store import Output, connection_config, open_store, properties
from tests.postgres import PASSWORD, PASSWORD_ENV
from tests.postgres import postgres as postgres_server

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
def postgres() -> Iterator[list[str]]:
    """Overrides for a PostgreSQL server started for these tests."""
    with postgres_server() as server:
        yield server.overrides


def test_postgresql_holds_several_pipelines_apart(postgres, tmp_path, monkeypatch):
    """The database is made, what is written is read back, and one pipeline does not see the other's."""
    monkeypatch.setenv(PASSWORD_ENV, PASSWORD)
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


TEXTS = [
    '{"config": "{\\"name\\": \\"auc\\"}"}',
    "\\",
    "'; DROP TABLE Type; --\\'",
    "a \ue05c, \ue05cb and \\b",
    "é \\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_with_backslashes_comes_back_from_postgresql(postgres, tmp_path, monkeypatch, text):
    """From a connection of ours, and from one as TFX makes it in a run."""
    monkeypatch.setenv(PASSWORD_ENV, PASSWORD)
    config = configured(tmp_path, *postgres)
    raw = open_store(config).raw
    kind = raw.put_execution_type(mlmd.ExecutionType(name="Texts"))
    execution = mlmd.Execution(type_id=kind, custom_properties={"text": mlmd.Value(string_value=text)})
    (ours,) = raw.put_executions([execution])
    assert execution.custom_properties["text"].string_value == text
    with backslashes_kept(connection_config(config)):
        stock = MetadataStore(connection_config(config))
        (of_tfx,) = stock.put_executions([execution])
        found = stock.get_executions_by_id([ours, of_tfx])
        found += open_store(config).raw.get_executions_by_id([ours, of_tfx])
    found += raw.get_executions_by_id([ours, of_tfx])
    assert [one.custom_properties["text"].string_value for one in found] == [text] * 6


def test_postgresql_still_refuses_a_backslash_of_the_stock_connection(postgres, tmp_path, monkeypatch):
    """Once it does not, `backslashes_kept` can go."""
    monkeypatch.setenv(PASSWORD_ENV, PASSWORD)
    stock = MetadataStore(connection_config(configured(tmp_path, *postgres)), enable_upgrade_migration=True)
    with pytest.raises(errors.InternalError, match="syntax error"):
        stock.put_artifact_type(mlmd.ArtifactType(name="a\\b"))


def test_explain_and_schema_diff_read_the_server(postgres, tmp_path, monkeypatch, marquee):
    """There is no SQLite file, and yet the run is found."""
    monkeypatch.setenv(PASSWORD_ENV, PASSWORD)
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
    monkeypatch.setenv(PASSWORD_ENV, "wrong-one")
    with pytest.raises(MarqueeError, match="cannot be opened") as error:
        open_store(configured(tmp_path, *postgres))
    assert "does not let user marquee into database marquee" in str(error.value)
    assert "wrong-one" not in str(error.value)


def test_a_postgresql_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(PASSWORD_ENV, PASSWORD)
    overrides = ["metadata.kind=postgresql", "metadata.host=127.0.0.1", "metadata.port=1"]
    with pytest.raises(MarqueeError, match="no connection: Connection refused") as error:
        open_store(configured(tmp_path, *overrides, f"metadata.password_env={PASSWORD_ENV}"))
    assert PASSWORD not in str(error.value)


def test_a_run_without_the_password_is_refused_before_anything_is_written(marquee, tmp_path, monkeypatch):
    monkeypatch.delenv("MARQUEE_METADATA_PASSWORD", raising=False)
    done = marquee("run", "--set", f"root={tmp_path / 'root'}", "--set", "metadata.kind=mysql")
    assert (done.returncode, done.stdout) == (2, "")
    assert "MARQUEE_METADATA_PASSWORD" in done.stderr
    assert not (tmp_path / "root").exists()
