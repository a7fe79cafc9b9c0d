"""What the Evaluator says of TFMA's results."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
import tensorflow_model_analysis as tfma

from components.evaluator.component import threshold_failures
from components.shared.fingerprint import code_fingerprint
from pipeline.config import load_config


def evaluated(folder: Path, slices: list[tfma.SlicingSpec], min_auc: float) -> str:
    """What TFMA writes of eight dramas and a model that always says one half, with a bar in every slice."""
    rows = folder / "rows.tfrecord"
    with tf.io.TFRecordWriter(str(rows)) as writer:
        for number in range(8):
            feature = {
                "genres": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"Drama"])),
                "label": tf.train.Feature(float_list=tf.train.FloatList(value=[number % 2])),
                "probability": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
            }
            features = tf.train.Features(feature=feature)
            writer.write(tf.train.Example(features=features).SerializeToString())
    bar = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound={"value": min_auc}))
    bars = tfma.PerSliceMetricThreshold(slicing_specs=slices, threshold=bar)
    config = tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(label_key="label", prediction_key="probability")],
        slicing_specs=slices,
        metrics_specs=[
            tfma.MetricsSpec(metrics=[tfma.MetricConfig(class_name="AUC", per_slice_thresholds=[bars])])
        ],
    )
    output = str(folder / "evaluation")
    tfma.run_model_analysis(eval_config=config, data_location=str(rows), output_path=output)
    return output


def test_a_slice_without_examples_is_named(tmp_path):
    slices = [
        tfma.SlicingSpec(),
        tfma.SlicingSpec(feature_values={"genres": "War"}),
        tfma.SlicingSpec(feature_keys=["mood"]),
    ]
    assert threshold_failures(evaluated(tmp_path, slices, 0.9)) == [
        "auc of all examples is 0.5000, the floor is 0.9",
        "no example in the slice genres War",
        "no example in the slice mood",
    ]


def test_a_change_of_the_evaluator_is_seen_by_the_cache():
    from pipeline.pipeline import create_pipeline

    made = create_pipeline(load_config())
    (evaluator,) = (one for one in made.components if one.id == "Evaluator")
    assert evaluator.exec_properties["code"] == code_fingerprint(
        "shared/features.py", "shared/model_blessing.py", "evaluator/*.py"
    )
