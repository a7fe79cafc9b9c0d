"""The stock Evaluator, with its overall metrics and failed thresholds kept in ML Metadata too.

So `marquee status` needs no TensorFlow to show them, whatever orchestrator ran the pipeline.
"""

from __future__ import annotations

import json
import math
from typing import Any, ClassVar

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components import Evaluator
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts, standard_component_specs
from tfx.types.component_spec import ExecutionParameter
from tfx.utils import json_utils

from components.shared.artifacts import FAILURES
from components.shared.fingerprint import code_fingerprint

# TFMA's name of a metric -> ours.
METRICS = {
    "auc": "auc",
    "binary_crossentropy": "log_loss",
    "binary_accuracy": "accuracy",
    "calibration": "calibration",
    "example_count": "examples",
}
CANDIDATE, BASELINE = "candidate", "baseline"


class Executor(evaluator_executor.Executor):
    """Runs TFMA, then copies the overall metrics to the evaluation artifact."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        super().Do(input_dict, output_dict, exec_properties)
        (evaluation,) = output_dict["evaluation"]
        # TFMA drops the name of a model that it evaluates alone.
        prefixes = {CANDIDATE: "", BASELINE: "baseline_"} if input_dict.get("baseline_model") else {"": ""}
        for model, prefix in prefixes.items():
            for name, value in overall_metrics(evaluation.uri, model).items():
                evaluation.set_float_custom_property(f"{prefix}{name}", value)
        evaluation.set_string_custom_property(FAILURES, json.dumps(threshold_failures(evaluation.uri)))


class ThresholdEvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """The stock specification, and a fingerprint that makes a changed program evaluate again."""

    PARAMETERS: ClassVar = {
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        "code": ExecutionParameter(type=str),
    }


class ThresholdEvaluator(Evaluator):
    """Evaluator whose `evaluation` artifact has the overall metrics and `failures` as custom properties.

    Args:
        examples: Raw examples.
        model: The candidate.
        baseline_model: What it is compared with; may be empty.
        example_splits: On which splits.
        eval_config: Metrics, slices and thresholds.
        schema: Of the examples.

    Outputs: `evaluation` and `blessing`, as the stock one.
    """

    SPEC_CLASS = ThresholdEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        example_splits: list[str],
        eval_config: tfma.EvalConfig,
        schema: types.BaseChannel,
    ) -> None:
        base_beam_component.BaseBeamComponent.__init__(
            self,
            spec=ThresholdEvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                example_splits=json_utils.dumps(example_splits),
                eval_config=eval_config,
                fairness_indicator_thresholds=json_utils.dumps(None),
                schema=schema,
                code=code_fingerprint("shared/features.py", "evaluator/*.py"),
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            ),
        )


def overall_metrics(uri: str, model: str) -> dict[str, float]:
    """Metrics over all examples, by our names, of the evaluation at `uri`."""
    result = tfma.load_eval_result(uri, model_name=model)
    overall = next(metrics for key, metrics in result.slicing_metrics if key == ())
    (output,) = overall.values()
    (values,) = output.values()
    return {
        METRICS[name]: value["doubleValue"]
        for name, value in values.items()
        if name in METRICS and math.isfinite(value.get("doubleValue", math.nan))
    }


def threshold_failures(uri: str) -> list[str]:
    """One sentence for each threshold that the candidate did not meet."""
    sentences = []
    result = tfma.load_validation_result(uri)
    for of_slice in result.metric_validations_per_slice:
        name = ", ".join(f"{key.column} {_value(key)}" for key in of_slice.slice_key.single_slice_keys)
        for failure in of_slice.failures:
            metric = METRICS.get(failure.metric_key.name, failure.metric_key.name)
            if failure.metric_key.is_diff:
                metric = f"change of {metric} against the baseline"
            sentences.append(
                f"{metric} of {name or 'all examples'} is {failure.metric_value.double_value.value:.4f},"
                f" {_bar(failure.metric_threshold)}"
            )
    for missing in result.missing_slices:
        parts = [*missing.feature_keys, *(f"{key} {value}" for key, value in missing.feature_values.items())]
        sentences.append(f"no example in the slice {', '.join(parts) or 'of all examples'}")
    return sentences


def _value(key: Any) -> Any:
    kind = key.WhichOneof("kind")
    value = getattr(key, kind) if kind else ""
    return value.decode() if isinstance(value, bytes) else value


def _bar(threshold: Any) -> str:
    if threshold.HasField("value_threshold"):
        value = threshold.value_threshold
        if value.HasField("lower_bound"):
            return f"the floor is {value.lower_bound.value:g}"
        return f"the ceiling is {value.upper_bound.value:g}"
    return f"allowed is {threshold.change_threshold.absolute.value:+g}"
