"""Which model a candidate is compared with, and which one it starts from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.common.resolver import ResolverStrategy

from components.versions import COMPONENT_ID, makes_baseline


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

    A blessed model whose export the serving validator refused was never served, and is passed over.

    Channels: `model` (Model), `model_blessing` (ModelBlessing), `candidate` (Model).
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        models = {artifact.id: artifact for artifact in input_dict["model"]}
        for blessing, model_id in newest_first(input_dict["model_blessing"]):
            if model_id in models and model_id not in candidates and not _unfit(store, model_id):
                return {**input_dict, "model": [models[model_id]], "model_blessing": [blessing]}
        return {**input_dict, "model": [], "model_blessing": []}


class LatestEarlierBlessedModelStrategy(ResolverStrategy):
    """The model to start from: the one blessed last among those of data that were read before the current ones.

    Not simply the one blessed last: once a run has blessed its model, an unchanged second run would start from that
    very model, and so train again, for ever. Runs on the same data have the same model to start from, whatever was
    trained on later data since; and none starts from a model that may have been trained on its test rows: later data
    have them, and so may the same data split otherwise, for which reason a model of other settings of the split is
    passed over too.

    Channels: `model` (Model), `model_blessing` (ModelBlessing), `current` (Movies), the movies table of this run,
    which ExampleGen makes with the examples, and which every model has as an input.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        (current,) = input_dict["current"]
        models = {artifact.id: artifact for artifact in input_dict["model"]}
        split = _split(store, current.id)
        for blessing, model_id in newest_first(input_dict["model_blessing"]):
            if model_id not in models or _unfit(store, model_id):
                continue
            movies = _movies_of(store, model_id)
            if movies is not None and movies < current.id and _split(store, movies) == split:
                return {**input_dict, "model": [models[model_id]], "model_blessing": [blessing]}
        return {**input_dict, "model": [], "model_blessing": []}


def _movies_of(store: mlmd.MetadataStore, model_id: int) -> int | None:
    """Id of the movies table that a model was made with."""
    event = metadata_store_pb2.Event
    made = [e.execution_id for e in store.get_events_by_artifact_ids([model_id]) if e.type == event.OUTPUT]
    for one in store.get_events_by_execution_ids(made):
        if one.type == event.INPUT and any(step.key == "movies" for step in one.path.steps):
            return one.artifact_id
    return None


def _split(store: mlmd.MetadataStore, movies_id: int) -> object:
    """The settings of the split, of the ExampleGen that made a movies table."""
    event = metadata_store_pb2.Event
    made = [e.execution_id for e in store.get_events_by_artifact_ids([movies_id]) if e.type == event.OUTPUT]
    for execution in store.get_executions_by_id(made):
        if "settings" in execution.custom_properties:
            return json.loads(execution.custom_properties["settings"].string_value).get("split")
    return None


def _unfit(store: mlmd.MetadataStore | None, model_id: int) -> bool:
    """Whether the newest InfraBlessing of a model is a refusal."""
    if store is None:
        return False
    event = metadata_store_pb2.Event
    used_by = [e.execution_id for e in store.get_events_by_artifact_ids([model_id]) if e.type == event.INPUT]
    made = [e.artifact_id for e in store.get_events_by_execution_ids(used_by) if e.type == event.OUTPUT]
    verdicts = [artifact for artifact in store.get_artifacts_by_id(made) if artifact.type == "InfraBlessing"]
    newest = max(verdicts, key=lambda artifact: artifact.id, default=None)
    return newest is not None and newest.custom_properties["blessed"].int_value != 1
