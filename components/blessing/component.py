"""The component: spec and executor of the blessing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import io_utils

from components.blessing import rules
from components.blessing.settings import BlessingSettings
from components.evaluator import FAILURES
from components.models.hyperparameters import Objective
from components.ranking.component import METRICS_FILE, PER_USER_FILE, RankingEvaluation
from components.versions import BLESSER, COMPONENT_ID

DECISION_FILE = "decision.json"
TFMA_BLESSING, RANKING, REPORT = "tfma_blessing", "ranking", "report"
WARNINGS = "warnings"


class BlessingReport(types.Artifact):
    """The file decision.json, see `Blessing`."""

    TYPE_NAME = "BlessingReport"


class Executor(base_executor.BaseExecutor):
    """Applies the rules and writes the verdict, and its reasons beside it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = BlessingSettings.model_validate_json(exec_properties["settings"])
        (model,), (ranking,) = input_dict[standard_component_specs.MODEL_KEY], input_dict[RANKING]
        (evaluation,) = input_dict[standard_component_specs.EVALUATION_KEY]
        (tfma_blessing,) = input_dict[TFMA_BLESSING]
        baselines = input_dict.get(standard_component_specs.BASELINE_MODEL_KEY) or []
        ranked = json.loads((Path(ranking.uri) / METRICS_FILE).read_text(encoding="utf-8"))
        table = pq.read_table(Path(ranking.uri) / PER_USER_FILE)
        bars = rules.Bars(
            exec_properties["min_auc"],
            exec_properties["max_log_loss"],
            exec_properties["min_ranking"],
            evaluation.get_float_custom_property("auc"),
            evaluation.get_float_custom_property("log_loss"),
            tfma_blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY)
            == constants.BLESSED_VALUE,
            json.loads(evaluation.get_string_custom_property(FAILURES) or "[]"),
        )
        results = rules.decide(
            {
                name: table[name].to_numpy()
                for name in table.column_names
                if name not in ("user_id", "activity")
            },
            bars,
            settings,
            ranked["settings"]["primary_k"],
            exec_properties["objective"],
        )
        verdict = rules.blessed(results)
        _write_blessing(output_dict["blessing"][0], model, baselines[0] if baselines else None, verdict)
        failures, warnings = rules.broken(results, "gate"), rules.broken(results, "warn")
        decision = {
            "blessed": verdict,
            "first": not baselines,
            "model": {"id": model.id, "uri": model.uri},
            "baseline": {"id": baselines[0].id, "uri": baselines[0].uri} if baselines else None,
            "objective": exec_properties["objective"],
            "settings": settings.model_dump(mode="json"),
            FAILURES: failures,
            WARNINGS: warnings,
            "rules": [dataclasses.asdict(result) for result in results],
        }
        (report,) = output_dict[REPORT]
        io_utils.write_string_file(f"{report.uri}/{DECISION_FILE}", json.dumps(decision, indent=1))
        report.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(verdict))
        report.set_int_custom_property("num_rules", sum(result.passed is not None for result in results))
        report.set_string_custom_property(FAILURES, json.dumps(failures))
        report.set_string_custom_property(WARNINGS, json.dumps(warnings))


def _write_blessing(
    blessing: types.Artifact, model: types.Artifact, baseline: types.Artifact | None, blessed: bool
) -> None:
    """What the stock Evaluator writes, for Pusher and the resolvers; see `tfx.components.evaluator.executor`."""
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    if baseline:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)
    blessing.set_string_custom_property(COMPONENT_ID, BLESSER)
    name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY,
        constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE,
    )


class BlessingSpec(component_spec.ComponentSpec):
    """Model, evaluations and TFMA's verdict in; the verdict and its reasons out."""

    INPUTS: ClassVar = {
        standard_component_specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        standard_component_specs.BASELINE_MODEL_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Model, optional=True
        ),
        standard_component_specs.EVALUATION_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation
        ),
        TFMA_BLESSING: component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        RANKING: component_spec.ChannelParameter(type=RankingEvaluation),
    }
    OUTPUTS: ClassVar = {
        standard_component_specs.BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing
        ),
        REPORT: component_spec.ChannelParameter(type=BlessingReport),
    }
    PARAMETERS: ClassVar = {
        "settings": component_spec.ExecutionParameter(type=str),
        "objective": component_spec.ExecutionParameter(type=str),
        "min_auc": component_spec.ExecutionParameter(type=float),
        "max_log_loss": component_spec.ExecutionParameter(type=float),
        "min_ranking": component_spec.ExecutionParameter(type=float),
        "code": component_spec.ExecutionParameter(type=str),
    }


class Blessing(base_component.BaseComponent):
    """Decides whether the candidate may be pushed, and is what the next candidate is compared with.

    Args:
        model: The candidate.
        evaluation: Of `components.evaluator.ThresholdEvaluator`.
        tfma_blessing: Its blessing: one rule among others here.
        ranking: Of `components.ranking.component.RankingEvaluator`.
        settings: The rules.
        objective: What the candidate has learned, see `components.models.hyperparameters`.
        min_auc: The bar that TFMA was given.
        max_log_loss: The same.
        min_ranking: The bar of the ranking metric, for the objective interaction.
        baseline_model: The last blessed model; may be empty.
        code: Fingerprint that makes a changed program run again.

    Outputs: `blessing`, a ModelBlessing as the stock Evaluator writes it, with `component_id` in its custom
    properties, by which `components.baseline` tells it from TFMA's; and `report`, a BlessingReport.

    decision.json: `blessed`, `first` (no baseline), `model`, `baseline`, `objective`, `settings`, `rules` (the fields
    of `rules.Result`), and the sentences of the broken ones in `failures` (gates) and `warnings`, which the artifact
    has as custom properties too.
    """

    SPEC_CLASS = BlessingSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        evaluation: types.BaseChannel,
        tfma_blessing: types.BaseChannel,
        ranking: types.BaseChannel,
        settings: BlessingSettings,
        objective: Objective,
        min_auc: float,
        max_log_loss: float,
        min_ranking: float,
        baseline_model: types.BaseChannel | None = None,
        code: str = "",
    ) -> None:
        super().__init__(
            spec=BlessingSpec(
                model=model,
                baseline_model=baseline_model,
                evaluation=evaluation,
                tfma_blessing=tfma_blessing,
                ranking=ranking,
                settings=settings.model_dump_json(),
                objective=objective,
                min_auc=min_auc,
                max_log_loss=max_log_loss,
                min_ranking=min_ranking,
                code=code,
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
                report=types.Channel(type=BlessingReport),
            )
        )
