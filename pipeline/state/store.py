"""ML Metadata of one pipeline: where it is, and what is written to it apart from TFX; needs no TensorFlow."""

from __future__ import annotations

import os
import socket
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ml_metadata import errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.shared.errors import ConfigError, MarqueeError
from components.shared.storage import storage_error
from components.shared.tfx_internals import NODE, PIPELINE, PIPELINE_RUN, Connection
from pipeline.config import PipelineConfig

_PORTS = {"mysql": 3306, "postgresql": 5432}
# What ML Metadata says of whatever kept it from connecting to PostgreSQL.
_NO_CONNECTION, _PATIENCE_SECONDS = "connection pointer is NULL", 5.0


@dataclass(frozen=True)
class Output:
    """One artifact that an execution has made."""

    key: str
    type: str
    uri: str
    properties: Mapping[str, str | int | float]


def connection_config(config: PipelineConfig) -> mlmd.ConnectionConfig:
    """What ML Metadata is to connect to.

    Raises:
        ConfigError: The environment variable with the password is not set.
    """
    connection = mlmd.ConnectionConfig()
    server = config.metadata
    if server.kind == "sqlite":
        connection.sqlite.filename_uri = str(config.metadata_path)
        connection.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        return connection
    password = os.environ.get(server.password_env, "") if server.password_env else ""
    if server.password_env and not password:
        raise ConfigError(
            "The password of ML Metadata's server is missing.",
            where=f"key metadata.password_env: environment variable {server.password_env}",
            found="not set, or empty",
            fix=f"export {server.password_env}=..., or set metadata.password_env to null to log in without one",
        )
    port = server.port or _PORTS[server.kind]
    if server.kind == "mysql":
        connection.mysql.host, connection.mysql.port = server.host, port
        connection.mysql.database, connection.mysql.user = server.database, server.user
        connection.mysql.password = password
    else:
        connection.postgresql.host, connection.postgresql.port = server.host, str(port)
        connection.postgresql.dbname, connection.postgresql.user = server.database, server.user
        connection.postgresql.password = password
    return connection


def open_store(config: PipelineConfig) -> Store | None:
    """Connects to ML Metadata; None if it is SQLite and the file is not there, or empty.

    Raises:
        MarqueeError: It cannot be reached, or the file is not one of ML Metadata.
        ConfigError: As `connection_config`.
    """
    connection = connection_config(config)
    if config.metadata.kind == "sqlite" and not _is_there(config.metadata_path):
        return None
    try:
        raw = Connection(
            connection,
            lambda error: _failed(error, config, connection, "ML Metadata cannot be read or written."),
        )
        return Store(raw, config.name)
    except (errors.StatusError, RuntimeError) as error:
        raise _failed(error, config, connection, "ML Metadata cannot be opened.") from None


def _is_there(file: Path) -> bool:
    """Whether there is an SQLite file with something in it, of which ML Metadata would not make its own first.

    Raises:
        MarqueeError: It is no SQLite file, or another program's.
    """
    if not file.exists() or (file.is_file() and file.stat().st_size == 0):
        return False
    try:
        # Not mode=ro: what a dead process has left in the journal is to be rolled back.
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.OperationalError:
        return True  # it may be locked for the moment, and ML Metadata waits; else it says what is wrong
    except sqlite3.DatabaseError as error:
        found = str(error)
    else:
        if not tables or "MLMDEnv" in tables:
            return bool(tables)
        found = "tables of another program: " + ", ".join(sorted(tables)[:3])
    raise MarqueeError(
        "ML Metadata cannot be opened.",
        where=str(file),
        found=found,
        expected="a database of ML Metadata",
        fix="bring the file back from a copy, or move it away: the next run makes a new one, without the past runs",
    )


def _failed(
    error: BaseException, config: PipelineConfig, connection: mlmd.ConnectionConfig, problem: str
) -> MarqueeError:
    server = config.metadata
    sqlite = server.kind == "sqlite"
    full_or_read_only = storage_error(error, config.metadata_path, problem) if sqlite else None
    if full_or_read_only:
        return full_or_read_only
    return MarqueeError(
        problem,
        where=str(config.metadata_path)
        if sqlite
        else f"{server.kind} server {server.host}:{server.port or _PORTS[server.kind]}, database"
        f" {server.database}, user {server.user}",
        found=_why_not(error, config) or _without_password(str(error), connection).splitlines()[0],
        fix="see that the file can be read and written and is not damaged"
        if sqlite
        else "see that the server runs and lets this user in; the keys are those under `metadata`",
    )


def unreachable(error: BaseException, config: PipelineConfig, problem: str) -> MarqueeError | None:
    """The error to show if TFX could not connect to PostgreSQL; else None."""
    if _NO_CONNECTION not in str(error):
        return None
    return _failed(error, config, connection_config(config), problem)


def _why_not(error: BaseException, config: PipelineConfig) -> str:
    """Why there is no connection, where ML Metadata keeps to itself what PostgreSQL's library says; else ""."""
    server = config.metadata
    if _NO_CONNECTION not in str(error):
        return ""
    try:
        socket.create_connection((server.host, server.port or _PORTS[server.kind]), _PATIENCE_SECONDS).close()
    except OSError as refused:
        return f"no connection: {refused.strerror or refused}"
    return (
        f"it listens, but does not let user {server.user} into database {server.database}, or does not answer: its log"
        " says why, such as a wrong password"
    )


class Store:
    """ML Metadata, of which only one pipeline is seen.

    Args:
        raw: The connection.
        name: The pipeline.
    """

    def __init__(self, raw: MetadataStore, name: str) -> None:
        self.raw, self.name = raw, name

    @cached_property
    def pipeline(self) -> mlmd.Context | None:
        """The pipeline's context; None before its first run."""
        return self.raw.get_context_by_type_and_name(PIPELINE, self.name)

    def run_contexts(self) -> list[mlmd.Context]:
        """Contexts of the pipeline's runs, oldest first."""
        if not self.pipeline:
            return []
        found = self.raw.get_children_contexts_by_context(self.pipeline.id)
        return sorted((one for one in found if one.type == PIPELINE_RUN), key=lambda one: one.id)

    def executions(self) -> list[mlmd.Execution]:
        """All executions of the pipeline, oldest first."""
        found = self.raw.get_executions_by_context(self.pipeline.id) if self.pipeline else []
        return sorted(found, key=lambda execution: execution.id)

    def artifacts(self, type_name: str | None = None) -> list[mlmd.Artifact]:
        """Artifacts of the pipeline, oldest first, in whatever state."""
        found = self.raw.get_artifacts_by_context(self.pipeline.id) if self.pipeline else []
        return sorted(
            (one for one in found if type_name in (None, one.type)), key=lambda artifact: artifact.id
        )

    def names(self, execution: mlmd.Execution) -> tuple[str, str]:
        """Node id and run id of an execution; the run id is "" where it is of no run."""
        by_type = {one.type: one.name for one in self.raw.get_contexts_by_execution(execution.id)}
        return by_type.get(NODE, "").removeprefix(f"{self.name}."), by_type.get(PIPELINE_RUN, "")

    def start(
        self,
        type_name: str,
        node: str,
        inputs: Mapping[str, mlmd.Artifact],
        properties: Mapping[str, str | int | float],
    ) -> mlmd.Execution:
        """Registers a running execution of the pipeline which is of no run."""
        type_id = self.raw.put_execution_type(mlmd.ExecutionType(name=type_name), can_add_fields=True)
        execution = mlmd.Execution(
            type_id=type_id, name=str(uuid.uuid4()), last_known_state=mlmd.Execution.RUNNING
        )
        set_properties(execution.custom_properties, properties)
        pairs = [(artifact, _event(mlmd.Event.INPUT, key)) for key, artifact in inputs.items()]
        execution.id, _, _ = self.raw.put_execution(execution, pairs, self._contexts(node), True, False, True)
        return execution

    def complete(self, execution: mlmd.Execution, node: str, outputs: Iterable[Output]) -> list[int]:
        """Marks an execution as complete with its outputs, in one transaction; returns their ids."""
        pairs = []
        for output in outputs:
            type_id = self.raw.put_artifact_type(
                mlmd.ArtifactType(name=output.type), can_add_fields=True, can_omit_fields=True
            )
            artifact = mlmd.Artifact(type_id=type_id, uri=output.uri, state=mlmd.Artifact.LIVE)
            set_properties(artifact.custom_properties, output.properties)
            pairs.append((artifact, _event(mlmd.Event.OUTPUT, output.key)))
        execution.last_known_state = mlmd.Execution.COMPLETE
        _, ids, _ = self.raw.put_execution(execution, pairs, self._contexts(node), True, False, True)
        return ids

    def _contexts(self, node: str) -> list[mlmd.Context]:
        assert self.pipeline
        node_type = self.raw.put_context_type(mlmd.ContextType(name=NODE), can_add_fields=True)
        return [self.pipeline, mlmd.Context(type_id=node_type, name=f"{self.name}.{node}")]


def set_properties(target: Any, values: Mapping[str, str | int | float]) -> None:
    """Sets custom properties of an artifact or execution."""
    for name, value in values.items():
        if isinstance(value, str):
            target[name].string_value = value
        elif isinstance(value, int):
            target[name].int_value = value
        else:
            target[name].double_value = value


def properties(of: mlmd.Artifact | mlmd.Execution) -> dict[str, Any]:
    """Properties and custom properties together."""
    found = {}
    for name, value in [*of.properties.items(), *of.custom_properties.items()]:
        kind = value.WhichOneof("value")
        found[name] = getattr(value, kind) if kind else None
    return found


def _event(kind: mlmd.Event.Type, key: str) -> mlmd.Event:
    event = mlmd.Event(type=kind)
    event.path.steps.add().key = key
    event.path.steps.add().index = 0
    return event


def _without_password(text: str, connection: mlmd.ConnectionConfig) -> str:
    for password in passwords(connection):
        text = text.replace(password, "***")
    return text


def passwords(connection: mlmd.ConnectionConfig) -> list[str]:
    """What must not be shown of a connection."""
    return [one for one in (connection.mysql.password, connection.postgresql.password) if one]
