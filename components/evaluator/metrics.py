"""TFMA metrics that add arrays: what their combiner takes is all rows of a slice of a batch, not a row.

Names, thresholds and values are those of TFMA's own metrics, which `components.evaluator.extractor` cannot feed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

_BUCKETS = 10_000  # of the histogram that TFMA makes of predictions, and the thresholds of its AUC
_EPSILON = 1e-7  # of Keras and TFMA


@dataclass(frozen=True)
class Totals:
    """What all metrics of a slice are made of.

    Attributes:
        rows: How many.
        labels: Sum of the labels, which are 0 or 1.
        predictions: Sum of the predictions, which are probabilities.
        losses: Sum of the cross-entropies, in nats.
        correct: Rows whose prediction is on the same side of one half as the label.
        histogram: float64 (2, buckets + 2), rows by label and by prediction: below 0, in each bucket, from 1 on.
    """

    rows: float
    labels: float
    predictions: float
    losses: float
    correct: float
    histogram: np.ndarray

    @staticmethod
    def of(labels: np.ndarray, predictions: np.ndarray) -> Totals:
        """Of rows: labels, 0 or 1 (N,), and predictions float32 (N,)."""
        positive = labels > 0
        # In float32, as Keras: near 0 and 1 its epsilons are not those of float64.
        p = np.clip(predictions, np.float32(_EPSILON), np.float32(1 - _EPSILON))
        losses = -np.log(np.where(positive, p, 1 - p) + np.float32(_EPSILON))
        bucket = np.clip(predictions.astype(np.float64) * _BUCKETS + 1, 0, _BUCKETS + 1).astype(np.int64)
        counts = np.bincount(bucket + positive * (_BUCKETS + 2), minlength=2 * (_BUCKETS + 2))
        return Totals(
            float(len(labels)),
            float(positive.sum()),
            float(predictions.sum(dtype=np.float64)),
            float(losses.sum(dtype=np.float64)),
            float(((predictions > 0.5) == positive).sum()),
            counts.reshape(2, -1).astype(np.float64),
        )

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.rows + other.rows,
            self.labels + other.labels,
            self.predictions + other.predictions,
            self.losses + other.losses,
            self.correct + other.correct,
            self.histogram + other.histogram,
        )


def auc(totals: Totals) -> float:
    """Area under the ROC curve by the trapezoids between 10,000 thresholds, as `tfma.metrics.AUC`.

    0 where all rows have the same label, as TFMA says it too.
    """
    negatives, positives = (
        np.bincount(_THRESHOLD_OF_BUCKET, weights=counts, minlength=_BUCKETS) for counts in totals.histogram
    )
    if not negatives.any() or not positives.any():
        return 0.0
    # Shares at or above each threshold, of which the last is above 1.
    false, true = (np.append(np.cumsum(of[::-1])[::-1][:-1], 0) / of.sum() for of in (negatives, positives))
    return float(np.sum((false[:-1] - false[1:]) * (true[:-1] + true[1:]) / 2))


def _threshold_of_bucket() -> np.ndarray:
    """The last threshold that is not above a bucket, int64 (buckets + 2,); TFMA has one threshold less than bounds."""
    inner = np.arange(1, _BUCKETS - 1) / (_BUCKETS - 1)
    thresholds = np.concatenate([[-_EPSILON], inner, [1 + _EPSILON]]) + _EPSILON
    bounds = np.concatenate([[-np.inf], np.arange(_BUCKETS) / _BUCKETS, [np.inf]])
    return np.maximum(np.searchsorted(thresholds, bounds, side="right") - 1, 0)


_THRESHOLD_OF_BUCKET = _threshold_of_bucket()

# By the names of TFMA and Keras.
FORMULAS: Mapping[str, Callable[[Totals], float]] = {
    "auc": auc,
    "binary_crossentropy": lambda totals: totals.losses / totals.rows,
    "binary_accuracy": lambda totals: totals.correct / totals.rows,
    "calibration": lambda totals: totals.predictions / totals.labels if totals.labels else float("nan"),
    "example_count": lambda totals: totals.rows,
}


class ArrayMetric(metric_types.Metric):
    """One of `FORMULAS`. In an EvalConfig `class_name`, with `module` this one and `config` `{"name": ...}`.

    Args:
        name: Of the metric.

    Raises:
        ValueError: There is none of that name.
    """

    def __init__(self, name: str) -> None:
        if name not in FORMULAS:
            raise ValueError(f"no metric is called {name!r}, only {', '.join(FORMULAS)}")
        super().__init__(_computations, name=name)


def _computations(
    name: str,
    eval_config: tfma.EvalConfig,
    model_names: Iterable[str],
    example_weighted: bool | None,
) -> list[metric_types.MetricComputation | metric_types.DerivedMetricComputation]:
    """The totals of each model, which TFMA makes once for all metrics, and what this metric makes of them."""
    computations: list[metric_types.MetricComputation | metric_types.DerivedMetricComputation] = []
    for model in model_names:
        totals = metric_types.MetricKey("_totals", model_name=model, example_weighted=example_weighted)
        value = metric_types.MetricKey(name, model_name=model, example_weighted=example_weighted)

        def result(
            metrics: Mapping[metric_types.MetricKey, Any],
            totals: metric_types.MetricKey = totals,
            value: metric_types.MetricKey = value,
        ) -> dict[metric_types.MetricKey, float]:
            return {value: FORMULAS[name](metrics[totals])}

        computations += [
            metric_types.MetricComputation([totals], None, _Sum(totals)),
            metric_types.DerivedMetricComputation([value], result),
        ]
    return computations


class _Sum(beam.CombineFn):
    """Adds the totals of a model's rows."""

    def __init__(self, key: metric_types.MetricKey) -> None:
        self._key = key

    def create_accumulator(self) -> Totals:
        return Totals.of(np.zeros(0), np.zeros(0, np.float32))

    def add_input(self, accumulator: Totals, rows: metric_types.StandardMetricInputs) -> Totals:
        model = self._key.model_name
        return accumulator + Totals.of(rows.labels[model], rows.predictions[model])

    def merge_accumulators(self, accumulators: Iterable[Totals]) -> Totals:
        first, *others = accumulators
        return sum(others, first)

    def extract_output(self, accumulator: Totals) -> dict[metric_types.MetricKey, Totals]:
        return {self._key: accumulator}
