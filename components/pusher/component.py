"""The stock Pusher, but atomic, once for each blessed model, and with what it pushed in ML Metadata.

The stock one copies file by file into the folder that a server reads, names versions after the second, and after a
crash pushes the same model again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components import Pusher
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import proto_utils

from components.pusher import card, versions
from components.shared.artifact_types import (
    BlessingReport,
    RankingEvaluation,
    properties_of,
    set_properties,
)
from components.shared.artifacts import FIRST_SPAN, LAST_SPAN, NOT_PUSHED, PUSH, RETRIEVAL
from components.shared.features import deciding_metric
from components.shared.tfx_internals import run_and_execution

# Inputs that only add to the record.
EVALUATION_KEY, EXAMPLES_KEY, RANKING_KEY, REPORT_KEY = "evaluation", "examples", "ranking", "report"
PUSH_OLDER_KEY = "push_older"
# What is recorded of `examples`, by the names of its custom properties; the span is set by TFX's driver.
_OF_EXAMPLES = {
    "data_span": "span",
    "oldest_timestamp": "oldest_timestamp",
    "newest_timestamp": "newest_timestamp",
}


class Executor(pusher_executor.Executor):
    """Pushes a blessed model with `versions.push`; `pushed_model` gets the fields of `versions.Marker`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination)
        base = destination.filesystem.base_directory
        if "://" in base:  # object stores have no rename
            super().Do(input_dict, output_dict, exec_properties)
            return
        self._log_startup(input_dict, output_dict, exec_properties)
        (pushed_model,) = output_dict[standard_component_specs.PUSHED_MODEL_KEY]
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            return
        older = _older(input_dict, Path(base)) if not exec_properties.get(PUSH_OLDER_KEY, 1) else None
        if older:
            self._MarkNotPushed(pushed_model)
            pushed_model.set_string_custom_property(NOT_PUSHED, older)
            return
        source = Path(self.GetModelPath(input_dict))
        target, marker = versions.push(
            source, Path(base), self._marker(input_dict), card=_card(input_dict, exec_properties)
        )
        # A second name for the same files: what is served stays at hand even after its version was removed.
        versions.copy_tree(target, Path(pushed_model.uri), link=True)
        self._MarkPushed(pushed_model, pushed_destination=str(target), pushed_version=target.name)
        set_properties(pushed_model, marker.properties())

    def _marker(self, input_dict: dict[str, list[types.Artifact]]) -> versions.Marker:
        model = artifact_utils.get_single_instance(
            input_dict.get(standard_component_specs.MODEL_KEY)
            or input_dict[standard_component_specs.INFRA_BLESSING_KEY]
        )
        blessing = (input_dict.get(standard_component_specs.MODEL_BLESSING_KEY) or [None])[0]
        evaluation = (input_dict.get(EVALUATION_KEY) or [None])[0]
        examples = (input_dict.get(EXAMPLES_KEY) or [None])[0]
        report = (input_dict.get(REPORT_KEY) or [None])[0]
        ranking = (input_dict.get(RANKING_KEY) or [None])[0]
        # Reports of earlier versions of this program say neither.
        objective = _text(report, "objective") or _text(model, "objective")
        primary_k = (ranking and ranking.get_int_custom_property("primary_k")) or 10
        metric = _text(report, "metric") or deciding_metric(objective, primary_k)
        # Not the report's own figure: that may be of the part of test on which two models were compared.
        deciding = (metric, _text(report, f"{RETRIEVAL}metric"))
        of_ranking = {name: value for name, value in _metrics(ranking).items() if name in deciding}
        of_examples = examples.mlmd_artifact.custom_properties if examples else {}
        run_id, execution_id = run_and_execution(self)
        return versions.Marker(
            kind=PUSH,
            model_id=model.id,
            model_uri=model.uri,
            run_id=run_id,
            execution_id=execution_id,
            blessing_id=blessing.id if blessing else 0,
            objective=objective,
            metric=metric,
            retrieval_metric=deciding[1],
            metrics=of_ranking | _metrics(evaluation),
            first_span=_text(examples, FIRST_SPAN),
            last_span=_text(examples, LAST_SPAN),
            **{name: of_examples[key].int_value for name, key in _OF_EXAMPLES.items() if key in of_examples},
        )


def _older(input_dict: dict[str, list[types.Artifact]], base: Path) -> str | None:
    """In words, that the served version is of newer ratings; else None."""
    served = next(iter(versions.versions(base)[::-1]), None)
    marker = versions.read_marker(served) if served else None
    examples = (input_dict.get(EXAMPLES_KEY) or [None])[0]
    newest = examples and examples.get_int_custom_property(_OF_EXAMPLES["newest_timestamp"])
    if not (served and marker and marker.newest_timestamp and newest) or newest >= marker.newest_timestamp:
        return None
    dates = [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in (newest, marker.newest_timestamp)]
    return f"its newest rating is of {dates[0]}, that of version {served.name} of {dates[1]}"


def _card(
    input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]
) -> Callable[[versions.Marker], dict[str, str]]:
    one = {key: artifacts[0] for key, artifacts in input_dict.items() if artifacts}
    properties = {key: properties_of(artifact) for key, artifact in one.items()}
    uris = {key: artifact.uri for key, artifact in one.items()}
    return card.writer(
        properties.get(standard_component_specs.MODEL_KEY, {}),
        properties.get(EXAMPLES_KEY, {}),
        json.loads(exec_properties.get("data") or "{}"),
        uris.get(RANKING_KEY, ""),
        uris.get(REPORT_KEY, ""),
    )


class PusherSpec(standard_component_specs.PusherSpec):
    """The stock specification and, optionally, what the record is to be completed from."""

    INPUTS = {
        **standard_component_specs.PusherSpec.INPUTS,
        EVALUATION_KEY: ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples, optional=True),
        RANKING_KEY: ChannelParameter(type=RankingEvaluation, optional=True),
        REPORT_KEY: ChannelParameter(type=BlessingReport, optional=True),
    }
    PARAMETERS = {
        **standard_component_specs.PusherSpec.PARAMETERS,
        PUSH_OLDER_KEY: ExecutionParameter(type=int, optional=True),
        "data": ExecutionParameter(type=str, optional=True),
    }


class AtomicPusher(Pusher):
    """Pusher of which a reader never sees half a version, and which pushes a blessed model exactly once.

    Component `outputs` contains:
     - `pushed_model`: Channel of type `standard_artifacts.PushedModel`, with the fields of `versions.Marker` as
       custom properties.

    Args:
        model: The model.
        model_blessing: Only a blessed model is pushed.
        push_destination: A filesystem destination.
        infra_blessing: That of a serving validator, if there is one.
        evaluation: Its float custom properties are recorded as metrics.
        examples: Its span, and the times of its oldest and newest rating, are recorded.
        ranking: Of it the figure is recorded that decided, where that is one of the ranking.
        report: Of the blessing: what the model is for, and which figure decided, are recorded.
        push_older: Whether to push a model of older ratings than those of the served version.
        data: Where the data are from, and their terms, for the model card.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        push_destination: pusher_pb2.PushDestination,
        infra_blessing: types.BaseChannel | None = None,
        evaluation: types.BaseChannel | None = None,
        examples: types.BaseChannel | None = None,
        ranking: types.BaseChannel | None = None,
        report: types.BaseChannel | None = None,
        push_older: bool = True,
        data: Mapping[str, str] | None = None,
    ) -> None:
        base_component.BaseComponent.__init__(
            self,
            spec=PusherSpec(
                model=model,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                evaluation=evaluation,
                examples=examples,
                ranking=ranking,
                report=report,
                data=json.dumps(dict(data or {})),
                push_destination=push_destination,
                push_older=int(push_older),
                pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            ),
        )


def _metrics(of: types.Artifact | None) -> dict[str, float]:
    found = of.mlmd_artifact.custom_properties if of else {}
    return {
        name: value.double_value
        for name, value in found.items()
        if value.WhichOneof("value") == "double_value"
    }


def _text(of: types.Artifact | None, name: str) -> str:
    return (of.get_string_custom_property(name) or "") if of else ""
