"""The component: what a run has come to, as a page that orchestrators can show."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.report.content import Made, gather
from components.report.page import Report as Page
from components.report.page import render
from components.report.sections import report
from components.shared.artifact_types import (
    BlessingReport,
    DataVerdict,
    Movies,
    RankingEvaluation,
    Report,
    properties_of,
)
from components.shared.artifacts import (
    BLESSING,
    DATA_BASELINE,
    DATA_GATE,
    EXAMPLE_GEN,
    PAGE_FILE,
    PUSHER,
    RANKING_EVALUATOR,
    SERVING_VALIDATOR,
    TRAINER,
)
from components.shared.features import LabelRule
from components.shared.fingerprint import code_fingerprint

# Input -> the component and its output, by which `content.gather` knows it.
INPUTS = {
    "examples": (EXAMPLE_GEN, "examples"),
    "movies": (EXAMPLE_GEN, "movies"),
    "verdict": (DATA_GATE, "verdict"),
    "model": (TRAINER, "model"),
    "model_run": (TRAINER, "model_run"),
    "ranking": (RANKING_EVALUATOR, "ranking"),
    "report": (BLESSING, "report"),
    "infra_blessing": (SERVING_VALIDATOR, "blessing"),
    "pushed_model": (PUSHER, "pushed_model"),
    "baseline_examples": (DATA_BASELINE, "examples"),
}


@dataclass(frozen=True)
class _Made:
    id: int
    uri: str
    properties: Mapping[str, Any]


class Executor(base_executor.BaseExecutor):
    """Writes the page; where that fails, one that says so, as no run is worth less for it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        (output,) = output_dict["page"]
        outputs: dict[str, dict[str, Made]] = {}
        for name, artifacts in input_dict.items():
            node, key = INPUTS[name]
            for artifact in artifacts[:1]:
                outputs.setdefault(node, {})[key] = _Made(artifact.id, artifact.uri, properties_of(artifact))
        label = LabelRule.model_validate_json(exec_properties["label"])
        try:
            page = report(gather(outputs, label.min_rating))
        except Exception as error:
            logging.getLogger("marquee").exception("The report could not be made.")
            page = Page(
                "Run", "", f"The report could not be made: {type(error).__name__}: {error}", [], [], []
            )
        path = Path(output.uri) / PAGE_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(exec_properties["name"], [page]), encoding="utf-8")
        output.set_string_custom_property("outcome", page.outcome)
        output.set_string_custom_property("verdict", page.verdict)


def _channel(kind: type[types.Artifact], optional: bool = False) -> component_spec.ChannelParameter:
    return component_spec.ChannelParameter(type=kind, optional=optional)


class ReportSpec(component_spec.ComponentSpec):
    """What the components of a run have made in; the page out."""

    INPUTS: ClassVar = {
        "examples": _channel(standard_artifacts.Examples),
        "movies": _channel(Movies),
        "verdict": _channel(DataVerdict),
        "model": _channel(standard_artifacts.Model),
        "model_run": _channel(standard_artifacts.ModelRun),
        "ranking": _channel(RankingEvaluation),
        "report": _channel(BlessingReport),
        "infra_blessing": _channel(standard_artifacts.InfraBlessing),
        "pushed_model": _channel(standard_artifacts.PushedModel),
        "baseline_examples": _channel(standard_artifacts.Examples, optional=True),
    }
    OUTPUTS: ClassVar = {"page": _channel(Report)}
    PARAMETERS: ClassVar = {
        "name": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }


class RunReport(base_component.BaseComponent):
    """Writes what a run has come to as one HTML file, see `page`.

    It is the last component, and so says nothing of a run that ends before it, nor how long the others took:
    `pipeline.operations.report` writes that.

    Args:
        name: Of the pipeline.
        label: What is a like.
        channels: Of `INPUTS`.

    Outputs: `page` with report.html; its custom properties are `outcome` and `verdict`.
    """

    SPEC_CLASS = ReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, name: str, label: LabelRule, **channels: types.BaseChannel) -> None:
        super().__init__(
            spec=ReportSpec(
                name=name,
                label=label.model_dump_json(),
                code=code_fingerprint(
                    "report/*.py",
                    "report/templates/report.*",
                    "report/templates/vendor/*.js",
                    "shared/features.py",
                ),
                page=types.Channel(type=Report),
                **channels,
            )
        )
