"""The component: spec and executor of the blessing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import io_utils

from components.blessing import rules
from components.blessing.settings import BlessingSettings
from components.ranking.figures import Figures
from components.shared.artifact_types import BlessingReport, RankingEvaluation, set_properties
from components.shared.artifacts import (
    BLESSING,
    COMPARED_FILE,
    DECISION_FILE,
    FAILURES,
    METRICS_FILE,
    PER_USER_FILE,
    RETRIEVAL,
    WARNINGS,
)
from components.shared.features import LIKE, learns
from components.shared.fingerprint import code_fingerprint
from components.shared.model_blessing import write_blessing

TFMA_BLESSING, RANKING, REPORT = "tfma_blessing", "ranking", "report"


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
        per_user = _columns(Path(ranking.uri) / PER_USER_FILE)
        comparison = None
        if baselines:
            comparison = _comparison(
                Path(ranking.uri), ranked["comparison"], other_question(model, baselines[0])
            )
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
        primary_k, objective = ranked["settings"]["primary_k"], exec_properties["objective"]
        figures = Figures(per_user, [rules.watched(settings, primary_k)], settings)
        results = rules.decide(figures, bars, settings, primary_k, objective, comparison)
        decided = rules.deciding(results, figures, settings, primary_k, objective)
        compared = comparison is not None and not comparison.nothing(settings.min_compared_rows)
        verdict = rules.blessed(results)
        write_blessing(
            output_dict["blessing"][0], model, baselines[0] if baselines else None, verdict, BLESSING
        )
        failures, warnings = rules.broken(results, "gate"), rules.broken(results, "warn")
        warnings += rules.not_compared(results) if baselines else []
        decision = {
            "blessed": verdict,
            "first": not baselines,
            "model": {"id": model.id, "uri": model.uri},
            "baseline": {"id": baselines[0].id, "uri": baselines[0].uri} if baselines else None,
            "objective": objective,
            **_decided(decided),
            "compared_rows": comparison.rows if comparison and compared else 0,
            "left_out_rows": comparison.left_out if comparison else 0,
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
        known = {key: value for key, value in _decided(decided).items() if value is not None}
        set_properties(report, {"objective": objective, **known})
        for key in ("compared_rows", "left_out_rows"):
            report.set_int_custom_property(key, decision[key])


def _decided(decided: list[tuple[str, float | None, float | None]]) -> dict[str, str | float | None]:
    """`metric`, `candidate_metric` and `baseline_metric`; with a second model the same of it, see `RETRIEVAL`."""
    return {
        f"{prefix}{key}": value
        for prefix, of in zip(("", RETRIEVAL), decided, strict=False)
        for key, value in zip(("metric", "candidate_metric", "baseline_metric"), of, strict=True)
    }


def other_question(model: types.Artifact, baseline: types.Artifact) -> str:
    """In what the question differs that two models were trained to answer, in words; empty where it is the same.

    What a model of before does not have in its custom properties is taken to be the same.
    """
    own, others = (artifact.mlmd_artifact.custom_properties for artifact in (model, baseline))
    parts = []
    for key, property_name, field in (
        ("model.objective", "objective", "string_value"),
        ("label.min_rating", "min_rating", "double_value"),
        ("label.positives", "positives", "string_value"),
    ):
        if property_name in own and property_name in others:
            here, there = (getattr(of[property_name], field) for of in (own, others))
            if property_name == "objective" and learns(here, LIKE) == learns(there, LIKE):
                continue  # a second model beside it changes nothing of its question
            if here != there:
                here, there = (f"{value:g}" if isinstance(value, float) else value for value in (here, there))
                parts.append(f"{key} is {here}, the baseline was trained with {there}")
    return " and ".join(parts)


def _columns(path: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(path)
    return {
        name: table[name].to_numpy() for name in table.column_names if name not in ("user_id", "activity")
    }


def _comparison(folder: Path, found: Mapping[str, Any], other: str) -> rules.Comparison:
    """Of what the ranking evaluator has found, see `components.ranking.comparison`."""
    path = folder / (COMPARED_FILE if found["left_out"] else PER_USER_FILE)
    columns = _columns(path) if found["rows"] else {}
    return rules.Comparison(columns, found["known"], found["rows"], found["left_out"], other)


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
        evaluation: Of `components.evaluator.component.ThresholdEvaluator`.
        tfma_blessing: Its blessing: one rule among others here.
        ranking: Of `components.ranking.component.RankingEvaluator`.
        settings: The rules.
        objective: What the candidate has learned, see `components.shared.features.learns`.
        min_auc: The bar that TFMA was given.
        max_log_loss: The same.
        min_ranking: The bar of the ranking metric, where it is learned what is watched.
        baseline_model: The last blessed model; may be empty.

    Outputs: `blessing`, a ModelBlessing as the stock Evaluator writes it, with `component_id` in its custom
    properties, by which `components.resolvers.models` tells it from TFMA's; and `report`, a BlessingReport.

    decision.json: `blessed`, `first` (no baseline), `model`, `baseline`, `objective` and the other properties of the
    report that say what the decision rests on, `settings`, `rules` (the fields of `rules.Result`), and the sentences
    of the broken ones in `failures` (gates) and `warnings`, which the artifact has as custom properties too. What is
    not compared with the baseline is a warning as well.
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
        objective: str,
        min_auc: float,
        max_log_loss: float,
        min_ranking: float,
        baseline_model: types.BaseChannel | None = None,
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
                code=code_fingerprint(
                    "shared/features.py",
                    "blessing/*.py",
                    "ranking/bootstrap.py",
                    "ranking/figures.py",
                    "shared/model_blessing.py",
                ),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
                report=types.Channel(type=BlessingReport),
            )
        )
