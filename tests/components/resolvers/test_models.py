"""Which blessed model a candidate meets, and which one it starts from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx.types import standard_artifacts

from components.resolvers.models import LatestEarlierBlessedModelStrategy, LatestOtherBlessedModelStrategy
from components.shared.artifact_types import Movies


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


class Trained:
    """Ingests and models in a store, as TFX records them."""

    def __init__(self, store: MetadataStore) -> None:
        self.store = store
        self.models: list[standard_artifacts.Model] = []
        self.blessings: list[standard_artifacts.ModelBlessing] = []
        self.examples: dict[int, int] = {}  # by the movies table of the same ingest

    def ingest(self, method: str = "user_time", newest: int | None = None) -> int:
        """Id of a new movies table, and of ratings the newest of which is of that time."""
        outputs = [("movies", "Movies"), ("examples", "Examples")]
        movies, examples = self._execute([], outputs, settings=json.dumps({"split": {"method": method}}))
        self.examples[movies] = examples
        if newest is not None:
            (artifact,) = self.store.get_artifacts_by_id([examples])
            artifact.custom_properties["newest_timestamp"].int_value = newest
            self.store.put_artifacts([artifact])
        return movies

    def keep_back(self, of: int) -> None:
        """As the Pusher does with a model of older ratings than those of the served one."""
        (pushed,) = self._execute([("model", of)], [("pushed_model", "PushedModel")])
        (artifact,) = self.store.get_artifacts_by_id([pushed])
        artifact.custom_properties["not_pushed"].string_value = "its ratings are older"
        self.store.put_artifacts([artifact])

    def train(self, movies: int, base: int | None = None, **verdict: str | bool) -> int:
        """Id of a model of these data, which is blessed unless said otherwise."""
        inputs = [("movies", movies), *([("base_model", base)] if base else [])]
        (made,) = self._execute(inputs, [("model", "Model")])
        self.models.append(model(made))
        self.bless(made, **verdict)
        return made

    def bless(self, of: int, **verdict: str | bool) -> None:
        self.blessings.append(blessing(1000 + len(self.blessings), of, **verdict))

    def base_of(self, movies: int) -> int | None:
        """Id of the model that a run on these data starts from."""
        current = Movies()
        current.id = movies
        inputs = {"model": self.models, "model_blessing": self.blessings, "current": [current]}
        resolved = LatestEarlierBlessedModelStrategy().resolve_artifacts(self.store, inputs)
        return resolved["model"][0].id if resolved["model"] else None

    def learned_by_baseline(self, candidate: int, folder: Path, gone: int | None = None) -> list[int]:
        """Movies tables of the ingests that the baseline of a candidate has learned from; those of one are gone."""
        examples = []
        for movies, number in self.examples.items():
            one = standard_artifacts.Examples()
            one.id, one.uri = number, str(folder / str(number))
            if movies != gone:
                Path(one.uri).mkdir(parents=True, exist_ok=True)
            examples.append(one)
        inputs = {
            "model": self.models,
            "model_blessing": self.blessings,
            "candidate": [model(candidate)],
            "examples": examples,
        }
        resolved = LatestOtherBlessedModelStrategy().resolve_artifacts(self.store, inputs)
        by_examples = {number: movies for movies, number in self.examples.items()}
        return [by_examples[one.id] for one in resolved["examples"]]

    def _execute(
        self, inputs: list[tuple[str, int]], outputs: list[tuple[str, str]], **properties: str
    ) -> list[int]:
        pb = metadata_store_pb2
        execution = pb.Execution(type_id=self.store.put_execution_type(pb.ExecutionType(name="component")))
        for key, value in properties.items():
            execution.custom_properties[key].string_value = value
        (execution_id,) = self.store.put_executions([execution])
        types = [self.store.put_artifact_type(pb.ArtifactType(name=name)) for _, name in outputs]
        made = list(self.store.put_artifacts([pb.Artifact(type_id=type_id) for type_id in types]))
        events = []
        for kind, pairs in (
            (pb.Event.INPUT, inputs),
            (pb.Event.OUTPUT, [(key, artifact) for (key, _), artifact in zip(outputs, made, strict=True)]),
        ):
            for key, artifact in pairs:
                event = pb.Event(execution_id=execution_id, artifact_id=artifact, type=kind)
                event.path.steps.add().key = key
                events.append(event)
        self.store.put_events(events)
        return made


@pytest.fixture
def log(store) -> Trained:
    return Trained(store)


def test_the_first_model_starts_cold(log):
    assert log.base_of(log.ingest()) is None


def test_runs_on_the_same_data_start_from_the_same_model(log):
    """Also once they have blessed models of their own, or later data have been trained on."""
    first = log.ingest()
    old = log.train(first)
    assert log.base_of(first) is None
    second = log.ingest()
    assert log.base_of(second) == old
    new = log.train(second, base=old)
    assert log.base_of(second) == old
    log.train(second, base=old)
    assert log.base_of(second) == old
    assert log.base_of(first) is None
    assert log.base_of(log.ingest()) == log.models[-1].id != new


def test_what_was_not_blessed_is_no_start(log):
    first = log.ingest()
    old = log.train(first)
    log.train(first, blessed=False)
    log.train(first, by="Evaluator")
    assert log.base_of(log.ingest()) == old


def test_after_a_rollback_the_next_model_starts_from_the_one_that_is_served(log):
    first, second = log.ingest(), log.ingest()
    old = log.train(first)
    log.train(second, base=old)
    log.bless(old, by="rollback")
    assert log.base_of(log.ingest()) == old


def test_a_model_of_another_split_may_have_seen_the_test_rows(log):
    old = log.train(log.ingest("time"))
    log.train(log.ingest("user_hash"))
    assert log.base_of(log.ingest("user_time")) is None
    assert log.base_of(log.ingest("time")) == old


def test_a_backfill_does_not_start_from_a_model_that_knows_its_test_rows(log):
    """It is read after the newer data, which have them."""
    first = log.train(log.ingest(newest=10))
    newer = log.train(log.ingest(newest=30), base=first)
    backfill = log.ingest(newest=20)
    assert log.base_of(backfill) == first
    assert log.base_of(log.ingest(newest=30)) == newer
    assert log.base_of(log.ingest(newest=5)) is None


def test_what_the_pusher_kept_back_is_neither_a_start_nor_a_baseline(log, tmp_path):
    first = log.ingest(newest=30)
    served = log.train(first)
    backfill = log.ingest(newest=20)
    kept = log.train(backfill)
    following = log.ingest(newest=40)
    candidate = log.train(following, blessed=False)
    assert log.base_of(following) == kept
    assert log.learned_by_baseline(candidate, tmp_path) == [backfill]
    log.keep_back(kept)
    assert log.base_of(following) == served
    assert log.learned_by_baseline(candidate, tmp_path) == [first]


def test_with_the_baseline_come_the_examples_that_it_was_trained_on(log, tmp_path):
    first, second, third = log.ingest(), log.ingest("time"), log.ingest()
    candidate = log.train(third)
    assert log.learned_by_baseline(candidate, tmp_path) == []
    old = log.train(first)
    assert log.learned_by_baseline(candidate, tmp_path) == [first]
    log.train(second)
    assert log.learned_by_baseline(candidate, tmp_path) == [second]
    log.train(second, base=old)
    assert log.learned_by_baseline(candidate, tmp_path) == [second, first]  # it began as the old one
    assert log.learned_by_baseline(candidate, tmp_path / "other", gone=second) == []
