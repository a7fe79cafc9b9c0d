"""Which model a candidate is compared with, and which one it starts from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio

from components.shared.artifacts import COMPONENT_ID, NOT_PUSHED, makes_baseline


def counts(blessing: types.Artifact) -> bool:
    """Whether a ModelBlessing artifact makes its model a baseline, see `makes_baseline`."""
    return makes_baseline(
        {
            "blessed": blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY),
            "kind": blessing.get_string_custom_property("kind"),
            COMPONENT_ID: blessing.get_string_custom_property(COMPONENT_ID),
        }
    )


def newest_first(blessings: Iterable[types.Artifact]) -> Iterator[tuple[types.Artifact, int]]:
    """The ModelBlessings that count, each with the id of its model."""
    for blessing in sorted(blessings, key=lambda artifact: artifact.id, reverse=True):
        if counts(blessing):
            yield (
                blessing,
                blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY),
            )


class LatestOtherBlessedModelStrategy(ResolverStrategy):
    """The model that the Blessing component blessed last, other than the candidate itself.

    The stock LatestBlessedModelStrategy takes the newest blessed *model*. Once a run has blessed its
    model, an unchanged second run gets that very model as its baseline, so that the Evaluator cannot
    use its cached result, and the same model is pushed again. And when training A, then B, then A
    again (cached) blesses A last, it still takes B. And it would count TFMA's blessings of models that were then
    refused; a Channel cannot be restricted to what a component further down writes, as that would be a cycle.

    A blessed model whose export the serving validator refused was never served, and is passed over; so is one that
    the Pusher kept back, as a newer one is served.

    With it come the examples that its weights were learned from, so that it is not judged by rows that it knows: its
    own, and where it started from another model, those of that one (not of the whole line: each model was trained on
    later data by the same split than the one before it). None where its own are gone.

    Channels: `model` (Model), `model_blessing` (ModelBlessing), `candidate` (Model), `examples` (Examples).
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        models = {artifact.id: artifact for artifact in input_dict["model"]}
        for blessing, model_id in newest_first(input_dict["model_blessing"]):
            if model_id in models and model_id not in candidates and not not_served(store, model_id):
                return {
                    **input_dict,
                    "model": [models[model_id]],
                    "model_blessing": [blessing],
                    "examples": _learned_from(store, model_id, input_dict.get("examples", [])),
                }
        return {**input_dict, "model": [], "model_blessing": [], "examples": []}


class LatestEarlierBlessedModelStrategy(ResolverStrategy):
    """The model to start from: the one blessed last among those of data that were read before the current ones.

    Not simply the one blessed last: once a run has blessed its model, an unchanged second run would start from that
    very model, and so train again, for ever. Runs on the same data have the same model to start from, whatever was
    trained on later data since; and none starts from a model that may have been trained on its test rows: later data
    have them, and so may the same data split otherwise, for which reason a model of other settings of the split is
    passed over too. A backfill is read after the data that follow it: models of newer ratings than its own are no
    start either.

    Channels: `model` (Model), `model_blessing` (ModelBlessing), `current` (Movies), the movies table of this run,
    which ExampleGen makes with the examples, and which every model has as an input.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        (current,) = input_dict["current"]
        models = {artifact.id: artifact for artifact in input_dict["model"]}
        split, newest = _split(store, current.id), _newest_rating(store, current.id)
        for blessing, model_id in newest_first(input_dict["model_blessing"]):
            if model_id not in models or not_served(store, model_id):
                continue
            movies = _movies_of(store, model_id)
            if movies is None or movies >= current.id or _split(store, movies) != split:
                continue
            if newest and (_newest_rating(store, movies) or 0) > newest:
                continue
            return {**input_dict, "model": [models[model_id]], "model_blessing": [blessing]}
        return {**input_dict, "model": [], "model_blessing": []}


def _learned_from(
    store: mlmd.MetadataStore | None, model_id: int, examples: Iterable[types.Artifact]
) -> list[types.Artifact]:
    """The raw examples that a model was made with, and those of the model it started from, where they are there."""
    if store is None:
        return []
    there = {artifact.id: artifact for artifact in examples if fileio.exists(artifact.uri)}
    own = there.get(_examples_of(store, model_id) or 0)
    base_id = _used(store, model_id, "base_model")
    base = there.get(_examples_of(store, base_id) or 0) if base_id else None
    return [] if own is None else [own, *([base] if base is not None and base.id != own.id else [])]


def _examples_of(store: mlmd.MetadataStore, model_id: int) -> int | None:
    """Id of the raw examples of a model: those that ExampleGen made together with its movies table."""
    movies = _movies_of(store, model_id)
    return _read_with(store, movies) if movies is not None else None


def _read_with(store: mlmd.MetadataStore, movies_id: int) -> int | None:
    """Id of the raw examples that ExampleGen made together with a movies table."""
    for one in store.get_events_by_execution_ids(_makers(store, movies_id)):
        if one.type == metadata_store_pb2.Event.OUTPUT and _is(one, "examples"):
            return one.artifact_id
    return None


def _newest_rating(store: mlmd.MetadataStore, movies_id: int) -> int | None:
    """When the newest rating was given that was read with a movies table, in seconds; None where that is not known."""
    examples_id = _read_with(store, movies_id)
    for one in store.get_artifacts_by_id([examples_id] if examples_id is not None else []):
        if "newest_timestamp" in one.custom_properties:
            return int(one.custom_properties["newest_timestamp"].int_value)
    return None


def _movies_of(store: mlmd.MetadataStore, model_id: int) -> int | None:
    """Id of the movies table that a model was made with."""
    return _used(store, model_id, "movies")


def _used(store: mlmd.MetadataStore, artifact_id: int, key: str) -> int | None:
    """Id of the input with that key of what made an artifact."""
    for one in store.get_events_by_execution_ids(_makers(store, artifact_id)):
        if one.type == metadata_store_pb2.Event.INPUT and _is(one, key):
            return one.artifact_id
    return None


def _makers(store: mlmd.MetadataStore, artifact_id: int) -> list[int]:
    """Ids of the executions that made an artifact, or had it from the cache."""
    events = store.get_events_by_artifact_ids([artifact_id])
    return [event.execution_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT]


def _is(event: metadata_store_pb2.Event, key: str) -> bool:
    return any(step.key == key for step in event.path.steps)


def _split(store: mlmd.MetadataStore, movies_id: int) -> object:
    """The settings of the split, of the ExampleGen that made a movies table."""
    for execution in store.get_executions_by_id(_makers(store, movies_id)):
        if "settings" in execution.custom_properties:
            return json.loads(execution.custom_properties["settings"].string_value).get("split")
    return None


def not_served(store: mlmd.MetadataStore | None, model_id: int) -> bool:
    """Whether the newest InfraBlessing of a model is a refusal, or the Pusher kept it back for its older ratings."""
    by_type = _judged(store, model_id)
    verdict = by_type.get("InfraBlessing")
    refused = verdict is not None and verdict.custom_properties["blessed"].int_value != 1
    return refused or kept_back(store, model_id)


def kept_back(store: mlmd.MetadataStore | None, model_id: int) -> bool:
    """Whether the Pusher kept a model back, as it is of older ratings than the served one."""
    pushed = _judged(store, model_id).get("PushedModel")
    return pushed is not None and NOT_PUSHED in pushed.custom_properties


def _judged(store: mlmd.MetadataStore | None, model_id: int) -> dict[str, metadata_store_pb2.Artifact]:
    """The newest artifact of each type that was made of a model."""
    if store is None:
        return {}
    event = metadata_store_pb2.Event
    used_by = [e.execution_id for e in store.get_events_by_artifact_ids([model_id]) if e.type == event.INPUT]
    made = [e.artifact_id for e in store.get_events_by_execution_ids(used_by) if e.type == event.OUTPUT]
    return {one.type: one for one in sorted(store.get_artifacts_by_id(made), key=lambda one: one.id)}
