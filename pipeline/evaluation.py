"""Configuration -> `tfma.EvalConfig`."""

from __future__ import annotations

import json

import tensorflow_model_analysis as tfma

from components.evaluator.component import BASELINE, CANDIDATE
from components.evaluator.metrics import ArrayMetric
from components.shared.features import ACTIVITY_KEY, GENRES_KEY, LABEL_KEY, LIKE, learns
from pipeline.sections import EvaluationConfig


def eval_config(config: EvaluationConfig, objective: str) -> tfma.EvalConfig:
    """Metrics overall and by slice, with absolute bars where likes are learned.

    There are none on the change against the baseline: TFMA's have no statistics, and refuse a model for a loss
    that is chance; `components.blessing` has them.
    """
    signatures = {
        "signature_name": "serving_default",
        "preprocessing_function_names": ["transform_features"],
        "label_key": LABEL_KEY,
        "prediction_key": "probability",
    }
    auc = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": config.min_auc})
    )
    log_loss = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(upper_bound={"value": config.max_log_loss})
    )
    if not learns(objective, LIKE):
        # TFX's Evaluator wants a threshold to bless by: one that always holds, since the model does not learn likes.
        auc = log_loss = tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(lower_bound={"value": -1.0})
        )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(name=CANDIDATE, **signatures),
            tfma.ModelSpec(name=BASELINE, is_baseline=True, **signatures),
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            tfma.SlicingSpec(feature_keys=[GENRES_KEY]),
            tfma.SlicingSpec(feature_keys=[ACTIVITY_KEY]),
        ],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    _metric("auc", _overall(auc)),
                    _metric("binary_crossentropy", _overall(log_loss)),
                    _metric("binary_accuracy"),
                    _metric("calibration"),
                    _metric("example_count"),
                ]
            )
        ],
    )


def _metric(name: str, *bars: tfma.PerSliceMetricThreshold) -> tfma.MetricConfig:
    return tfma.MetricConfig(
        class_name=ArrayMetric.__name__,
        module=ArrayMetric.__module__,
        config=json.dumps({"name": name}),
        per_slice_thresholds=bars,
    )


def _overall(threshold: tfma.MetricThreshold) -> tfma.PerSliceMetricThreshold:
    # A bare `threshold` holds in every slice, and small slices fail by chance.
    return tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)
