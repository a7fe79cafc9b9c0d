"""Which data the current ones are compared with, by a real ML Metadata store."""

from __future__ import annotations

from pathlib import Path

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as pb
from tfx.types import Artifact, standard_artifacts

from components.resolvers.data import LatestBlessedDataStrategy


class Metadata:
    """A store, and runs in it as TFX records them."""

    def __init__(self, folder: Path) -> None:
        config = pb.ConnectionConfig()
        config.fake_database.SetInParent()
        self.store, self.folder = mlmd.MetadataStore(config), folder
        self.by_id: dict[int, Artifact] = {}
        self._run_type = self.store.put_context_type(pb.ContextType(name="pipeline_run"))
        self._execution_type = self.store.put_execution_type(pb.ExecutionType(name="component"))

    def artifact(self, kind: type[Artifact], /, **properties: int | str) -> Artifact:
        artifact = kind()
        artifact.type_id = self.store.put_artifact_type(artifact.artifact_type)
        (self.folder / str(len(self.by_id))).mkdir()
        artifact.uri = str(self.folder / str(len(self.by_id)))
        for name, value in properties.items():
            if isinstance(value, str):
                artifact.set_string_custom_property(name, value)
            else:
                artifact.set_int_custom_property(name, value)
        (artifact.id,) = self.store.put_artifacts([artifact.mlmd_artifact])
        self.by_id[artifact.id] = artifact
        return artifact

    def execute(self, context: pb.Context, inputs: dict[str, Artifact], outputs: dict[str, Artifact]) -> None:
        events = []
        for kind, artifacts in ((pb.Event.INPUT, inputs), (pb.Event.OUTPUT, outputs)):
            for key, artifact in artifacts.items():
                event = pb.Event(type=kind, artifact_id=artifact.id)
                event.path.steps.add().key = key
                events.append((None, event))
        execution = pb.Execution(type_id=self._execution_type)
        pairs = []
        for _, event in events:
            (artifact,) = self.store.get_artifacts_by_id([event.artifact_id])
            pairs.append((artifact, event))
        self.store.put_execution(execution, pairs, [context])

    def run(self, examples: Artifact, statistics: Artifact, blessing: Artifact) -> None:
        number = len(self.store.get_contexts()) + 1
        context = pb.Context(type_id=self._run_type, name=f"run-{number}")
        (context.id,) = self.store.put_contexts([context])
        self.execute(context, {}, {"examples": examples})
        self.execute(context, {"examples": examples}, {"statistics": statistics})
        model = self.by_id[blessing.get_int_custom_property("current_model_id")]
        self.execute(context, {"examples": examples}, {"model": model})
        self.execute(context, {"examples": examples, "model": model}, {"blessing": blessing})

    def resolve(self, current: Artifact) -> list[int]:
        def of(kind: type[Artifact]) -> list[Artifact]:
            return [artifact for artifact in self.by_id.values() if isinstance(artifact, kind)]

        resolved = LatestBlessedDataStrategy().resolve_artifacts(
            self.store,
            {
                "model_blessing": of(standard_artifacts.ModelBlessing),
                "examples": of(standard_artifacts.Examples),
                "statistics": of(standard_artifacts.ExampleStatistics),
                "current": [current],
            },
        )
        return [artifact.id for key in ("examples", "statistics") for artifact in resolved[key]]


@pytest.fixture
def metadata(tmp_path: Path) -> Metadata:
    return Metadata(tmp_path)


def data(metadata: Metadata) -> tuple[Artifact, Artifact]:
    return metadata.artifact(standard_artifacts.Examples), metadata.artifact(
        standard_artifacts.ExampleStatistics
    )


def blessing(metadata: Metadata, blessed: bool = True, by: str = "Blessing") -> Artifact:
    """A verdict on a new model."""
    model = metadata.artifact(standard_artifacts.Model)
    return metadata.artifact(
        standard_artifacts.ModelBlessing, blessed=int(blessed), current_model_id=model.id, component_id=by
    )


def ids(pair: tuple[Artifact, Artifact]) -> list[int]:
    return [artifact.id for artifact in pair]


def test_first_run_has_none(metadata):
    assert metadata.resolve(data(metadata)[0]) == []


def test_an_unchanged_second_run_has_what_the_first_had(metadata):
    first = data(metadata)
    metadata.run(*first, blessing(metadata))
    assert metadata.resolve(first[0]) == []


def test_new_data_meet_those_of_the_last_blessed_run(metadata):
    first, second, third = data(metadata), data(metadata), data(metadata)
    metadata.run(*first, blessing(metadata))
    assert metadata.resolve(second[0]) == ids(first)
    metadata.run(*second, blessing(metadata))
    assert metadata.resolve(third[0]) == ids(second)
    assert metadata.resolve(second[0]) == ids(first)  # unchanged third run


def test_what_was_not_blessed_is_no_baseline(metadata):
    first, second, third = data(metadata), data(metadata), data(metadata)
    metadata.run(*first, blessing(metadata))
    metadata.run(*second, blessing(metadata, blessed=False))
    assert metadata.resolve(third[0]) == ids(first)


def test_a_backfill_that_was_not_pushed_is_no_baseline(metadata):
    first, second, third = data(metadata), data(metadata), data(metadata)
    metadata.run(*first, blessing(metadata))
    backfill = blessing(metadata)
    metadata.run(*second, backfill)
    assert metadata.resolve(third[0]) == ids(second)
    model = metadata.by_id[backfill.get_int_custom_property("current_model_id")]
    kept = metadata.artifact(standard_artifacts.PushedModel, pushed=0, not_pushed="its ratings are older")
    metadata.execute(metadata.store.get_contexts()[-1], {"model": model}, {"pushed_model": kept})
    assert metadata.resolve(third[0]) == ids(first)


def test_tfma_alone_does_not_bless(metadata):
    first, second, third = data(metadata), data(metadata), data(metadata)
    metadata.run(*first, blessing(metadata))
    metadata.run(*second, blessing(metadata, by="Evaluator"))
    assert metadata.resolve(third[0]) == ids(first)


def test_a_rollback_goes_back_to_the_data_of_that_model(metadata):
    first, second, third = data(metadata), data(metadata), data(metadata)
    earlier = blessing(metadata)
    metadata.run(*first, earlier)
    metadata.run(*second, blessing(metadata))
    model_id = earlier.get_int_custom_property("current_model_id")
    metadata.artifact(standard_artifacts.ModelBlessing, blessed=1, current_model_id=model_id, kind="rollback")
    assert metadata.resolve(third[0]) == ids(first)


def test_a_blessing_from_the_cache_stands_for_the_run_that_made_it(metadata):
    first, second = data(metadata), data(metadata)
    made = blessing(metadata)
    metadata.run(*first, made)
    metadata.run(*first, made)
    assert metadata.resolve(second[0]) == ids(first)


def test_data_that_are_gone_are_passed_over(metadata):
    first, second, third = data(metadata), data(metadata), data(metadata)
    metadata.run(*first, blessing(metadata))
    metadata.run(*second, blessing(metadata))
    Path(second[0].uri).rmdir()
    assert metadata.resolve(third[0]) == ids(first)
