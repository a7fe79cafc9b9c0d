"""How far two distributions are from each other.

Two distributions are compared by TFDV itself: `tfdv.validate_statistics` with drift or skew comparators set on a
copy of the schema. Its measures are

- Jensen-Shannon divergence, base 2: (KL(P || M) + KL(Q || M)) / 2 with M = (P + Q) / 2; 0 for the same distribution,
  1 for two without a common value. Times: over their standard histograms, brought to the same buckets. Ids and
  genres: over the rank histograms of StatisticsGen, which keep the 1000 most frequent values. Ratings: see
  `of_ratings`, over our own counts.
- L-infinity: the greatest absolute difference of one value's share, 0 to 1. It does not see many small changes,
  but does not grow with sparse values either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import tensorflow_data_validation as tfdv
from scipy.special import rel_entr
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_gate.counts import SplitCounts, merge
from components.data_gate.findings import Case, Finding
from components.data_gate.settings import DistributionSettings
from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, USER_KEY

_CATEGORICAL = (USER_KEY, MOVIE_KEY, GENRES_KEY)
_NUMERIC = (TIMESTAMP_KEY,)
_BUCKETS = 20  # of ratings whose distributions are compared


def distances(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    control: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    settings: DistributionSettings,
    kind: str,
) -> Iterator[tuple[str, float]]:
    """(feature, distance) of each feature that has a bar, by TFDV's drift or skew comparators."""
    if min(statistics.datasets[0].num_examples, control.datasets[0].num_examples) < settings.min_rows:
        return
    compared = schema_pb2.Schema()
    compared.CopyFrom(schema)
    wanted = set()
    for feature in compared.feature:
        for other in ("drift_comparator", "skew_comparator"):
            feature.ClearField(other)  # the schema's own are ExampleValidator's
        bars = getattr(settings, feature.name, None)
        if feature.name in (*_CATEGORICAL, *_NUMERIC) and bars is not None and bars.level(math.inf):
            wanted.add(feature.name)
            measure = settings.measure if feature.name in _CATEGORICAL else "jensen_shannon"
            comparator = getattr(feature, f"{kind}_comparator")
            # TFDV gives the distance whatever the threshold is; the bars are ours.
            if measure == "infinity_norm":
                comparator.infinity_norm.threshold = 1
            else:
                comparator.jensen_shannon_divergence.threshold = 1
    if not wanted:
        return
    which = {"drift": "previous_statistics", "skew": "serving_statistics"}[kind]
    result = tfdv.validate_statistics(statistics, compared, **{which: control})
    for info in result.drift_skew_info:
        feature_name = ".".join(info.path.step)
        measurements = info.drift_measurements if kind == "drift" else info.skew_measurements
        if feature_name in wanted and measurements:
            yield feature_name, measurements[0].value


def of_ratings(
    current: SplitCounts, control: SplitCounts, settings: DistributionSettings
) -> Iterator[tuple[str, float]]:
    """(rating, distance), the Jensen-Shannon divergence over buckets that both sides share.

    TFDV's histograms have as many equal buckets on either side, between its least and greatest value. Of counts with a
    long tail the greatest differs by chance, and with it the buckets: 0.3 between two halves drawn at random. Here each
    value is a bucket, or where there are many their pooled quantiles bound them.
    """
    if min(current.rows, control.rows) < settings.min_rows or settings.rating.level(math.inf) is None:
        return
    (values, rows), (others, other_rows) = current.ratings, control.ratings
    if not len(values) or not len(others):
        return
    pooled, pooled_rows = merge(current.ratings, control.ratings)
    if len(pooled) > _BUCKETS:
        share = pooled_rows.cumsum() / pooled_rows.sum()
        pooled = np.unique(pooled[np.searchsorted(share, np.arange(_BUCKETS) / _BUCKETS)])
    p, q = (
        np.bincount(np.searchsorted(pooled, of, side="right") - 1, weights, len(pooled)) / weights.sum()
        for of, weights in ((values, rows), (others, other_rows))
    )
    middle = (p + q) / 2
    yield RATING_KEY, float(rel_entr(p, middle).sum() + rel_entr(q, middle).sum()) / (2 * math.log(2))


def distant(
    case: Case, rule: str, feature: str, split: str, value: float, *, other: str
) -> Iterator[Finding]:
    """A finding if the distance of a feature's distribution in a split from `other` is above the rule's bar."""
    if feature == GENRES_KEY and not case.expectations.genres:
        return
    measure = case.settings.at(rule).measure if feature in _CATEGORICAL else "jensen_shannon"
    name = {"jensen_shannon": "Jensen-Shannon divergence", "infinity_norm": "L-infinity distance"}[measure]
    yield from case.over(
        rule,
        f"{rule}.{feature}",
        value,
        feature=feature,
        split=split,
        rows=case.current.profile[split].rows,
        sentence=f"the distribution of {feature} in {split} is not {other}: their {name} is {value:.3f}",
    )
