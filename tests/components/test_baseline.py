"""Which blessed model a candidate meets."""

from __future__ import annotations

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx.types import standard_artifacts

from components.baseline import LatestOtherBlessedModelStrategy


def model(number: int) -> standard_artifacts.Model:
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(
    number: int, of: int, blessed: bool = True, by: str | None = "Blessing"
) -> standard_artifacts.ModelBlessing:
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = number
    artifact.set_int_custom_property("blessed", int(blessed))
    artifact.set_int_custom_property("current_model_id", of)
    if by in ("forced", "rollback"):
        artifact.set_string_custom_property("kind", by)
    elif by:
        artifact.set_string_custom_property("component_id", by)
    return artifact


@pytest.mark.parametrize(
    ("blessings", "candidate", "expected"),
    [
        pytest.param([], 1, None, id="first run"),
        pytest.param([blessing(10, of=1)], 1, None, id="unchanged second run"),
        pytest.param([blessing(10, of=1)], 2, 1, id="new candidate"),
        pytest.param([blessing(10, of=1), blessing(11, of=2, blessed=False)], 3, 1, id="refused in between"),
        pytest.param([blessing(10, of=1), blessing(11, of=2)], 2, 1, id="second, unchanged"),
        pytest.param([blessing(10, of=1), blessing(11, of=2), blessing(12, of=1)], 3, 1, id="blessed again"),
        pytest.param([blessing(10, of=1), blessing(11, of=2)], 1, 2, id="back to the first"),
        pytest.param([blessing(10, of=1), blessing(11, of=2, by=None)], 3, 1, id="by TFMA alone, here"),
        pytest.param([blessing(10, of=1, by="Evaluator")], 3, None, id="by TFMA alone, elsewhere"),
        pytest.param([blessing(10, of=9)], 1, None, id="model is gone"),
        pytest.param([blessing(10, of=1), blessing(11, of=2, by="forced")], 3, 2, id="by force"),
        pytest.param(
            [blessing(10, of=1), blessing(11, of=2), blessing(12, of=1, by="rollback")],
            3,
            1,
            id="rolled back",
        ),
    ],
)
def test_baseline_is_the_model_blessed_last_other_than_the_candidate(blessings, candidate, expected):
    models = [model(number) for number in (1, 2, 3)]
    inputs = {"model": models, "model_blessing": blessings, "candidate": [model(candidate)]}
    resolved = LatestOtherBlessedModelStrategy().resolve_artifacts(None, inputs)
    assert [artifact.id for artifact in resolved["model"]] == ([] if expected is None else [expected])
    assert [artifact.id for artifact in resolved["candidate"]] == [candidate]


@pytest.fixture
def store() -> MetadataStore:
    config = metadata_store_pb2.ConnectionConfig()
    config.fake_database.SetInParent()  # SQLite in memory
    return MetadataStore(config)


@pytest.mark.parametrize(("verdicts", "expected"), [([], 2), ([1], 2), ([0], 1), ([0, 1], 2), ([1, 0], 1)])
def test_a_model_that_is_not_fit_for_serving_is_passed_over(store, verdicts, expected):
    def put(type_name: str, **properties: int) -> int:
        type_id = store.put_artifact_type(metadata_store_pb2.ArtifactType(name=type_name))
        artifact = metadata_store_pb2.Artifact(type_id=type_id)
        for key, value in properties.items():
            artifact.custom_properties[key].int_value = value
        return store.put_artifacts([artifact])[0]

    first, second = put("Model"), put("Model")
    assert (first, second) == (1, 2)
    validator = store.put_execution_type(metadata_store_pb2.ExecutionType(name="ServingValidator"))
    for blessed in verdicts:
        execution = store.put_executions([metadata_store_pb2.Execution(type_id=validator)])[0]
        event = metadata_store_pb2.Event
        store.put_events(
            [
                event(execution_id=execution, artifact_id=second, type=event.INPUT),
                event(
                    execution_id=execution,
                    artifact_id=put("InfraBlessing", blessed=blessed),
                    type=event.OUTPUT,
                ),
            ]
        )
    inputs = {
        "model": [model(1), model(2)],
        "model_blessing": [blessing(10, of=1), blessing(11, of=2)],
        "candidate": [model(3)],
    }
    resolved = LatestOtherBlessedModelStrategy().resolve_artifacts(store, inputs)
    assert [artifact.id for artifact in resolved["model"]] == [expected]
