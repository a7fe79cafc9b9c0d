"""Our Evaluator and the stock one on the same artifacts: for tests and for the benchmark."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils, proto_utils

from components.evaluator.component import BASELINE, CANDIDATE
from components.shared.features import SPLITS, TEST_SPLIT

STOCK = {
    "auc": "AUC",
    "binary_crossentropy": "BinaryCrossentropy",
    "binary_accuracy": "BinaryAccuracy",
    "calibration": "Calibration",
    "example_count": "ExampleCount",
}
# Model -> slice -> metric -> value.
Values = dict[str, dict[tuple[Any, ...], dict[str, float]]]


@dataclass(frozen=True)
class Evaluated:
    """The outputs of an evaluator, and whether it had a baseline."""

    evaluation: types.Artifact
    blessing: types.Artifact
    baseline: bool

    def values(self) -> Values:
        """What TFMA loads of the metrics of each model."""
        models = {CANDIDATE: CANDIDATE, BASELINE: BASELINE} if self.baseline else {CANDIDATE: None}
        found: Values = {}
        for model, name in models.items():
            result = tfma.load_eval_result(self.evaluation.uri, model_name=name)
            found[model] = {
                key: {metric: float(value["doubleValue"]) for metric, value in of[""][""].items()}
                for key, of in result.slicing_metrics
            }
        return found


def stock(config: tfma.EvalConfig) -> tfma.EvalConfig:
    """The same evaluation by TFMA's and Keras' own metrics."""
    copy = tfma.EvalConfig()
    copy.CopyFrom(config)
    for metric in copy.metrics_specs[0].metrics:
        metric.class_name = STOCK[json.loads(metric.config)["name"]]
        metric.ClearField("module")
        metric.ClearField("config")
    return copy


def evaluate(
    executor: type,
    folder: Path,
    config: tfma.EvalConfig,
    examples: str,
    model: str,
    schema: str,
    baseline: str | None = None,
) -> Evaluated:
    """Runs an executor on the test split.

    Args:
        executor: Class of it.
        folder: For its outputs.
        config: What to evaluate.
        examples: Folder of the artifact, as all that follow.
    """
    inputs = {
        "examples": [artifact(standard_artifacts.Examples, examples, 1)],
        "model": [artifact(standard_artifacts.Model, model, 2)],
        "schema": [artifact(standard_artifacts.Schema, schema, 3)],
    }
    if baseline:
        inputs["baseline_model"] = [artifact(standard_artifacts.Model, baseline, 4)]
    split = inputs["examples"][0]
    split.split_names = artifact_utils.encode_split_names(list(SPLITS))
    examples_utils.set_payload_format(split, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(split, "tfrecords_gzip")
    outputs = {}
    for key, kind in (
        ("evaluation", standard_artifacts.ModelEvaluation),
        ("blessing", standard_artifacts.ModelBlessing),
    ):
        (folder / key).mkdir(parents=True)
        outputs[key] = [artifact(kind, str(folder / key), 5)]
    properties = {
        "eval_config": proto_utils.proto_to_json(config),
        "example_splits": json_utils.dumps([TEST_SPLIT]),
    }
    context = executor.Context(
        beam_pipeline_args=["--direct_num_workers=1", "--sdk_container_image=none"],
        tmp_dir=str(folder / "tmp"),
        unique_id="1",
    )
    executor(context).Do(inputs, outputs, properties)
    return Evaluated(outputs["evaluation"][0], outputs["blessing"][0], bool(baseline))


def artifact(kind: type, uri: str, id_: int) -> types.Artifact:
    made = kind()
    made.uri, made.id = uri, id_
    return made
