"""What a kept model keeps, by a real ML Metadata store."""

from __future__ import annotations

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.garbage import _with_ancestors
from pipeline.store import Store


def test_a_kept_model_keeps_the_one_it_started_from_but_not_the_whole_line():
    config = pb.ConnectionConfig()
    config.fake_database.SetInParent()
    raw = MetadataStore(config)
    kind = raw.put_execution_type(pb.ExecutionType(name="MovieTrainer"))

    def make(name: str, **inputs: int) -> int:
        type_id = raw.put_artifact_type(pb.ArtifactType(name=name))
        (artifact,) = raw.put_artifacts([pb.Artifact(type_id=type_id)])
        (execution,) = raw.put_executions([pb.Execution(type_id=kind)])
        events = [pb.Event(execution_id=execution, artifact_id=artifact, type=pb.Event.OUTPUT)]
        for key, of in inputs.items():
            events.append(pb.Event(execution_id=execution, artifact_id=of, type=pb.Event.INPUT))
            events[-1].path.steps.add().key = key
        raw.put_events(events)
        return artifact

    data = [make("Examples") for _ in range(3)]
    first = make("Model", examples=data[0])
    second = make("Model", examples=data[1], base_model=first)
    third = make("Model", examples=data[2], base_model=second)
    evaluation = make("ModelEvaluation", model=third, baseline_model=first)
    assert _with_ancestors(Store(raw, ""), [evaluation]) == {evaluation, third, data[2], second}
