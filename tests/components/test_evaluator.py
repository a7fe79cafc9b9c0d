"""What the Evaluator says of TFMA's results."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow_model_analysis.proto import validation_result_pb2

from components.evaluator import threshold_failures
from components.fingerprint import code_fingerprint
from pipeline.config import load_config


def written(result: validation_result_pb2.ValidationResult, folder: Path) -> str:
    """A validation result where TFMA looks for it."""
    with tf.io.TFRecordWriter(str(folder / "validations.tfrecord")) as writer:
        writer.write(result.SerializeToString())
    return str(folder)


def test_a_slice_without_examples_is_named(tmp_path):
    result = validation_result_pb2.ValidationResult(validation_ok=False)
    result.missing_slices.add(feature_keys=["genres"])
    result.missing_slices.add(feature_keys=["user_activity"], feature_values={"genres": "War"})
    assert threshold_failures(written(result, tmp_path)) == [
        "no example in the slice genres",
        "no example in the slice user_activity, genres War",
    ]


def test_a_change_of_the_evaluator_is_seen_by_the_cache():
    from pipeline.pipeline import create_pipeline

    made = create_pipeline(load_config())
    (evaluator,) = (one for one in made.components if one.id == "Evaluator")
    assert evaluator.exec_properties["code"] == code_fingerprint("features.py", "evaluator.py")
