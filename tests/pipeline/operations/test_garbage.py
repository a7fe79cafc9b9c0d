"""What is kept with a kept model, by a real ML Metadata store; the rest is in tests/e2e/test_release.py."""

from __future__ import annotations

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.operations import garbage
from pipeline.state.store import Output, Store


def test_the_values_of_a_kept_model_and_those_that_runs_go_on_reusing_are_kept_with_their_trials():
    """But not the data that they were searched on, nor a search that a later one has replaced."""
    connection = mlmd.ConnectionConfig()
    connection.fake_database.SetInParent()  # SQLite in memory
    raw = MetadataStore(connection)
    type_id = raw.put_context_type(mlmd.ContextType(name="pipeline"))
    raw.put_contexts([mlmd.Context(type_id=type_id, name="p")])
    store = Store(raw, "p")

    def execute(node: str, inputs: dict[str, int], **outputs: tuple[str, str]) -> list[int]:
        by_id = {artifact.id: artifact for artifact in store.artifacts()}
        execution = store.start(node, node, {key: by_id[id_] for key, id_ in inputs.items()}, {})
        return store.complete(
            execution,
            node,
            [
                Output(key, kind, f"/{key}", {"purpose": purpose} if purpose else {})
                for key, (kind, purpose) in outputs.items()
            ],
        )

    def search(examples: int, purpose: str) -> list[int]:
        return execute(
            "MovieTuner",
            {"examples": examples},
            best_hyperparameters=("HyperParameters", purpose),
            tuner_results=("TunerResults", ""),
        )

    (old,) = execute("Transform", {}, examples=("Examples", ""))
    of_model, replaced, newest, other = (search(old, purpose) for purpose in ("a", "a", "a", "b"))
    (new,) = execute("Transform", {}, examples=("Examples", ""))
    (model,) = execute("MovieTrainer", {"examples": new, "hyperparameters": of_model[0]}, model=("Model", ""))

    kept = garbage._with_ancestors(store, {model})
    assert kept == {model, new, of_model[0]}
    kept |= garbage._tuned(store, kept)
    assert kept == {model, new, *of_model, *newest, *other}
    assert not kept & {old, *replaced}


def test_a_kept_model_keeps_the_one_it_started_from_but_not_the_whole_line():
    config = mlmd.ConnectionConfig()
    config.fake_database.SetInParent()
    raw = MetadataStore(config)
    kind = raw.put_execution_type(mlmd.ExecutionType(name="MovieTrainer"))

    def make(name: str, **inputs: int) -> int:
        type_id = raw.put_artifact_type(mlmd.ArtifactType(name=name))
        (artifact,) = raw.put_artifacts([mlmd.Artifact(type_id=type_id)])
        (execution,) = raw.put_executions([mlmd.Execution(type_id=kind)])
        events = [mlmd.Event(execution_id=execution, artifact_id=artifact, type=mlmd.Event.OUTPUT)]
        for key, of in inputs.items():
            events.append(mlmd.Event(execution_id=execution, artifact_id=of, type=mlmd.Event.INPUT))
            events[-1].path.steps.add().key = key
        raw.put_events(events)
        return artifact

    data = [make("Examples") for _ in range(3)]
    first = make("Model", examples=data[0])
    second = make("Model", examples=data[1], base_model=first)
    third = make("Model", examples=data[2], base_model=second)
    evaluation = make("ModelEvaluation", model=third, baseline_model=first)
    assert garbage._with_ancestors(Store(raw, ""), [evaluation]) == {evaluation, third, data[2], second}
