"""The component: spec and executor of the Evaluator.

TFMA evaluates, validates and writes; what is ours is how it gets its rows (`extractor`) and adds them (`metrics`), and
that overall metrics and failed thresholds are in ML Metadata too: so `marquee status` needs no TensorFlow to show
them, whatever orchestrator ran the pipeline.
"""

from __future__ import annotations

import json
import math
from typing import Any, ClassVar

import apache_beam as beam
import tensorflow_model_analysis as tfma
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components import Evaluator
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ExecutionParameter
from tfx.utils import io_utils, json_utils, path_utils, proto_utils

from components.evaluator.extractor import slices_extractor
from components.shared.artifact_types import read_schema
from components.shared.artifacts import EVALUATOR, FAILURES
from components.shared.errors import DataError
from components.shared.fingerprint import code_fingerprint
from components.shared.model_blessing import write_blessing

# TFMA's name of a metric -> ours.
METRICS = {
    "auc": "auc",
    "binary_crossentropy": "log_loss",
    "binary_accuracy": "accuracy",
    "calibration": "calibration",
    "example_count": "examples",
}
CANDIDATE, BASELINE = "candidate", "baseline"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Runs TFMA as the stock executor does, then copies the overall metrics to the evaluation artifact.

    The stock one reads row by row, which is as long as all that is done with the rows here.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the class.

        Raises:
            ConfigError, ModelError, DataError: See `extractor.slices_extractor`.
            DataError: There is no example, and so no metric.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        (model,) = input_dict[standard_component_specs.MODEL_KEY]
        baseline = next(iter(input_dict.get(standard_component_specs.BASELINE_MODEL_KEY) or []), None)
        (evaluation,) = output_dict[standard_component_specs.EVALUATION_KEY]
        config = tfma.EvalConfig()
        proto_utils.json_to_proto(exec_properties[standard_component_specs.EVAL_CONFIG_KEY], config)
        # Without a baseline, TFMA takes it out of the configuration, and the name from the model that is left.
        config = tfma.utils.update_eval_config_with_defaults(
            config, has_baseline=baseline is not None, rubber_stamp=True
        )
        tfma.utils.verify_eval_config(config)
        of = {False: model, True: baseline}
        models = [
            tfma.default_eval_shared_model(
                path_utils.serving_model_path(of[spec.is_baseline].uri),
                model_name=spec.name,
                eval_config=config,
            )
            for spec in config.model_specs
        ]
        (schema,) = input_dict[standard_component_specs.SCHEMA_KEY]
        raw = [feature.name for feature in read_schema(schema).feature if feature.type == schema_pb2.BYTES]
        examples = input_dict[standard_component_specs.EXAMPLES_KEY]
        paths = [
            path
            for split in json_utils.loads(exec_properties[standard_component_specs.EXAMPLE_SPLITS_KEY])
            for uri in artifact_utils.get_split_uris(examples, split)
            for path in sorted(fileio.glob(io_utils.all_files_pattern(uri)))
        ]
        with self._make_beam_pipeline() as pipeline:
            # Create spreads the files over the workers.
            _ = (
                pipeline
                | "Files" >> beam.Create([{tfma.INPUT_KEY: path.encode()} for path in paths])
                | tfma.ExtractEvaluateAndWriteResults(
                    eval_shared_model=models if baseline else models[0],
                    eval_config=config,
                    extractors=[slices_extractor(config, models, raw)],
                    output_path=evaluation.uri,
                )
            )
        # TFMA drops the name of a model that it evaluates alone.
        prefixes = {CANDIDATE: "", BASELINE: "baseline_"} if baseline else {"": ""}
        for name, prefix in prefixes.items():
            for metric, value in overall_metrics(evaluation.uri, name).items():
                evaluation.set_float_custom_property(f"{prefix}{metric}", value)
        evaluation.set_string_custom_property(FAILURES, json.dumps(threshold_failures(evaluation.uri)))
        (blessing,) = output_dict[standard_component_specs.BLESSING_KEY]
        blessed = tfma.load_validation_result(evaluation.uri).validation_ok
        write_blessing(blessing, model, baseline, blessed, EVALUATOR)


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
                code=code_fingerprint(
                    "shared/features.py",
                    "shared/model_blessing.py",
                    "shared/saved_models.py",
                    "evaluator/*.py",
                ),
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            ),
        )


def overall_metrics(uri: str, model: str) -> dict[str, float]:
    """Metrics over all examples, by our names, of the evaluation at `uri`; without those that are not finite.

    Raises:
        DataError: There was no example.
    """
    slices = dict(tfma.load_eval_result(uri, model_name=model).slicing_metrics)
    if () not in slices:
        raise DataError(
            "There is nothing to evaluate.", where=uri, found="no examples", expected="one or more test rows"
        )
    (output,) = slices[()].values()
    (values,) = output.values()
    # TFMA's JSON has NaN and the infinities as strings.
    found = {METRICS[name]: float(value["doubleValue"]) for name, value in values.items() if name in METRICS}
    return {name: value for name, value in found.items() if math.isfinite(value)}


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
