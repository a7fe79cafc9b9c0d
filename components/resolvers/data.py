"""Which data the current ones are compared with."""

from __future__ import annotations

from collections.abc import Iterable

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio

from components.resolvers.models import kept_back, newest_first

# Not INTERNAL_OUTPUT, which is how Resolvers pass on what others made.
_OUTPUT = metadata_store_pb2.Event.OUTPUT


class LatestBlessedDataStrategy(ResolverStrategy):
    """The examples and statistics of the run that blessed a model last, on other examples than the current ones.

    An unchanged second run thus gets the same baseline as the first, though the first has blessed a model
    since, and the gate comes from the cache. Data of a backfill that was not pushed are passed over.

    Channels: `model_blessing` (ModelBlessing), `examples` (Examples), `statistics` (ExampleStatistics), and
    `current` (Examples), the examples of this run. Examples of which the files are gone are passed over.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        current = {artifact.id for artifact in input_dict["current"]}
        examples = {artifact.id: artifact for artifact in input_dict["examples"]}
        statistics = {artifact.id: artifact for artifact in input_dict["statistics"]}
        for blessing, model_id in newest_first(input_dict["model_blessing"]):
            of_run = None if kept_back(store, model_id) else _data_of_run(store, model_id)
            if of_run is None or of_run[0] in current:
                continue
            examples_id, statistics_id = of_run
            if examples_id in examples and statistics_id in statistics:
                found = examples[examples_id], statistics[statistics_id]
                if all(fileio.exists(artifact.uri) for artifact in found):
                    return {
                        **input_dict,
                        "model_blessing": [blessing],
                        "examples": [found[0]],
                        "statistics": [found[1]],
                    }
        # Not all the blessings either: what a resolver passes on counts as used, and is never collected.
        return {**input_dict, "model_blessing": [], "examples": [], "statistics": []}


def _data_of_run(store: mlmd.MetadataStore, model_id: int) -> tuple[int, int] | None:
    """Ids of the raw examples and their statistics, of the first run that made the model."""
    made = sorted(e.execution_id for e in store.get_events_by_artifact_ids([model_id]) if e.type == _OUTPUT)
    for execution in made:
        for context in store.get_contexts_by_execution(execution):
            if context.type != "pipeline_run":
                continue
            executions = [e.id for e in store.get_executions_by_context(context.id)]
            found = _statistics_gen(store.get_events_by_execution_ids(executions))
            if found:
                return found
    return None


def _statistics_gen(events: Iterable[metadata_store_pb2.Event]) -> tuple[int, int] | None:
    """(examples in, statistics out) of the execution that is StatisticsGen by its keys."""
    keys: dict[int, dict[str, int]] = {}
    for event in events:
        side = "out" if event.type == _OUTPUT else "in"
        key = next((step.key for step in event.path.steps if step.key), "")
        keys.setdefault(event.execution_id, {})[f"{side}:{key}"] = event.artifact_id
    for of_execution in keys.values():
        if {"in:examples", "out:statistics"} <= of_execution.keys():
            return of_execution["in:examples"], of_execution["out:statistics"]
    return None
