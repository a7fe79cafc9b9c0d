"""The ground that we lean on: each test fails where TFX or ML Metadata has moved it."""

from __future__ import annotations

import inspect
import logging
from importlib.metadata import version

import pytest
from ml_metadata import errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.shared import tfx_internals
from components.shared.tfx_internals import (
    Connection,
    in_order,
    launches_observed,
    secrets_kept,
    signatures_kept,
)


@pytest.mark.parametrize("package", tfx_internals.CHECKED_WITH)
def test_the_versions_are_those_that_were_checked(package):
    """With another one: read the module again beside the new source, then change the number."""
    assert version(package) == tfx_internals.CHECKED_WITH[package]


def test_the_runner_launches_each_node_by_the_launcher():
    from tfx.orchestration.local import local_dag_runner
    from tfx.orchestration.portable import launcher

    assert local_dag_runner.launcher is launcher
    source = inspect.getsource(local_dag_runner.LocalDagRunner.run_with_ir)
    assert "component_launcher = launcher.Launcher(" in source
    assert "component_launcher.launch()" in source
    assert "self._pipeline_node" in inspect.getsource(launcher.Launcher.__init__)


def test_nodes_are_observed_and_the_launcher_is_as_before(tmp_path):
    """A pipeline of one node of TFX's own, run by the LocalDagRunner."""
    from tfx.dsl.components.common.importer import Importer
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline
    from tfx.orchestration.portable.launcher import Launcher
    from tfx.types.standard_artifacts import Schema

    stock, seen = (Launcher.launch, Launcher._publish_successful_execution), []
    node = Importer(source_uri=str(tmp_path), artifact_type=Schema).with_id("imported")
    pipeline = Pipeline(
        "observed",
        str(tmp_path / "root"),
        components=[node],
        metadata_connection_config=sqlite_metadata_connection_config(str(tmp_path / "mlmd.sqlite")),
    )
    with launches_observed(lambda name, starts: seen.append((name, starts)), lambda: None):
        LocalDagRunner().run(pipeline)
    assert seen == [("imported", True), ("imported", False)]
    assert (Launcher.launch, Launcher._publish_successful_execution) == stock


def test_beam_is_told_the_same_arguments_and_looks_at_each_method_once(monkeypatch):
    import apache_beam as beam
    from apache_beam.testing.util import assert_that, equal_to
    from apache_beam.transforms import core

    class Lines(beam.DoFn):
        def process(self, element, window=beam.DoFn.WindowParam, sep=","):
            yield from element.split(sep)

    stock, looked = core.get_function_args_defaults, []
    monkeypatch.setattr(core, "get_function_args_defaults", lambda of: looked.append(of) or stock(of))
    counted = core.get_function_args_defaults
    names = ["process", "setup", "start_bundle", "finish_bundle"]
    with signatures_kept():
        for _ in range(3):
            dofn = Lines()
            assert [core.get_function_arguments(dofn, name) for name in names] == [
                stock(getattr(dofn, name)) for name in names
            ]
            core.get_function_arguments(dofn, "process")[0].clear()  # is the caller's own
        with beam.Pipeline() as pipeline:
            made = pipeline | beam.Create(["a,b"]) | beam.ParDo(Lines())
            assert_that(made, equal_to(["a", "b"]))
    methods = [of.__func__ for of in looked if inspect.ismethod(of)]
    assert Lines.process in methods
    assert len(methods) == len(set(methods))
    assert core.get_function_args_defaults is counted


@pytest.mark.parametrize("fails_at", [1, 2, 3], ids=["before", "before-the-record", "after"])
def test_a_check_that_fails_ends_the_run_and_records_nothing_more(tmp_path, fails_at):
    """A pipeline of one node with an executor."""
    from tfx.dsl.component.experimental.decorators import component
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline

    checks, seen, file = [], [], tmp_path / "mlmd.sqlite"

    def check() -> None:
        checks.append(None)
        if len(checks) == fails_at:
            raise RuntimeError("lost")

    pipeline = Pipeline(
        "checked",
        str(tmp_path / "root"),
        components=[component(does_nothing)().with_id("node")],
        metadata_connection_config=sqlite_metadata_connection_config(str(file)),
    )
    with (
        launches_observed(lambda name, starts: seen.append(starts), check),
        pytest.raises(RuntimeError, match="lost"),
    ):
        LocalDagRunner().run(pipeline)
    assert seen == ([True] if fails_at > 1 else [])
    store = MetadataStore(sqlite_metadata_connection_config(str(file))) if file.exists() else None
    states = [one.last_known_state for one in store.get_executions()] if store else []
    assert states == {1: [], 2: [mlmd.Execution.RUNNING], 3: [mlmd.Execution.COMPLETE]}[fails_at]


def does_nothing():
    """The executor of a component."""


def test_an_executor_knows_its_run_and_execution(tmp_path):
    from tfx.dsl.components.base.base_executor import BaseExecutor

    class Nothing(BaseExecutor):
        def Do(self, input_dict, output_dict, exec_properties):  # noqa: N802
            """Does nothing."""

    context = BaseExecutor.Context(tmp_dir=str(tmp_path), unique_id="7", pipeline_run_id="2026")
    assert tfx_internals.run_and_execution(Nothing(context)) == ("2026", 7)
    assert tfx_internals.run_and_execution(Nothing()) == ("", 0)


def test_folders_of_an_execution_are_where_tfx_puts_them(tmp_path):
    from tfx.orchestration.portable.outputs_utils import OutputsResolver
    from tfx.proto.orchestration import pipeline_pb2

    node = pipeline_pb2.PipelineNode()
    node.node_info.id = "Node"
    node.outputs.outputs["model"].artifact_spec.type.name = "Model"
    runtime = pipeline_pb2.PipelineRuntimeSpec()
    runtime.pipeline_root.field_value.string_value = str(tmp_path)
    runtime.pipeline_run_id.field_value.string_value = "run"
    resolver = OutputsResolver(node, pipeline_pb2.PipelineInfo(), runtime)
    ((model,),) = resolver.generate_output_artifacts(5).values()
    made = {
        model.uri,
        resolver.get_executor_output_uri(5).rpartition("/")[0],
        resolver.get_stateful_working_directory(mlmd.Execution(id=5)),
    }
    for folder in made:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    other = tmp_path / "Node" / "model" / "6"
    other.mkdir(parents=True)
    found = {str(one) for one in tfx_internals.execution_folders(tmp_path, "Node", 5)}
    assert made <= found
    assert str(other) not in found


@pytest.fixture
def connected():
    connection = mlmd.ConnectionConfig()
    connection.fake_database.SetInParent()
    return connection


def test_artifacts_come_in_the_order_of_their_ids(connected, monkeypatch):
    store = MetadataStore(connected)
    type_id = store.put_artifact_type(mlmd.ArtifactType(name="T"))
    one, two = store.put_artifacts([mlmd.Artifact(type_id=type_id, uri=uri) for uri in "ab"])
    stock = MetadataStore.get_artifacts_by_id
    monkeypatch.setattr(MetadataStore, "get_artifacts_by_id", lambda self, ids: stock(self, sorted(ids)))
    before = MetadataStore.get_artifacts_by_id
    with in_order():
        assert [found.id for found in store.get_artifacts_by_id([two, one])] == [two, one]
    assert MetadataStore.get_artifacts_by_id is before


def test_errors_of_a_connection_go_through_the_function(connected):
    class ToldError(Exception):
        pass

    store = Connection(connected, lambda error: ToldError(str(error)))
    with pytest.raises(ToldError, match="Type id"):
        store.put_artifacts([mlmd.Artifact(uri="a")])
    # It connects again.
    store.put_artifact_type(mlmd.ArtifactType(name="T"))
    with pytest.raises(errors.NotFoundError):
        store.get_artifact_type("none")


@pytest.mark.parametrize("secret", ["secret", 'a"b\\c', "pässwörd", "100%", "two words\t"])
def test_the_log_does_not_hold_the_password_however_it_is_written(secret, caplog):
    """Whatever the message says of it, and as whatever: the deployment of a pipeline is a protobuf in a protobuf."""
    connection = mlmd.ConnectionConfig()
    connection.mysql.password = secret
    logger = logging.getLogger("absl")
    caplog.set_level(logging.INFO, "absl")
    with caplog.at_level(logging.INFO), secrets_kept([secret]):
        logger.info("Using connection config:\n %s", connection)
        logging.getLogger("another").info("it is %s, %r", secret, secret)
        logger.info("too few arguments: %s %s", secret)
        logger.info("something else")
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 3
    assert not any(form in text for text in texts for form in (secret, repr(secret)[1:-1], str(connection)))
    assert "***" in texts[0]
    assert texts[-1] == "something else"


def test_without_a_secret_the_log_is_as_it_is(caplog):
    caplog.set_level(logging.INFO, "absl")
    with caplog.at_level(logging.INFO), secrets_kept([""]):
        logging.getLogger("absl").info("Using connection config:\n %s", "x")
    assert [record.getMessage() for record in caplog.records] == ["Using connection config:\n x"]
