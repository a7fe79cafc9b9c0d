"""Confidence intervals by resampling users.

The Poisson bootstrap: in each resample a user counts w times, w being Poisson with mean 1 and independent of all
others, instead of all the counts summing to the number of users as in Efron's. For ratios of sums the two agree
but for O(1/U), and here users may come in batches: the sums over a resample are a matrix product with each
batch, and nothing of a batch has to be kept. Source: Chamandy et al., "Estimating uncertainty for massive data
streams" (2012); Hanley, MacGibbon, "Creating non-parametric bootstrap samples using Poisson frequencies" (2006).

Every figure is a ratio of sums over users: a mean over users, or per rating as the log-loss is. Two models are
compared within one resample (paired), so that what is hard about its users is hard for both.

Shapes: U users, C columns, S resamples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_BLOCK = 1 << 20  # weights drawn at a time
# Poisson numbers of mean 1 by the inverse of their distribution, at 2^16 places in 0..1: a draw is 16 random bits, and
# takes a tenth of numpy's. The chance of each number is right to 2^-16.
_CHANCES = np.cumsum([math.exp(-1) / math.factorial(number) for number in range(12)])
_POISSON = np.searchsorted(_CHANCES, (np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.float32)


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval; all NaN where there is nothing to compute it from."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """For JSON, which has no NaN."""
        return {key: value if math.isfinite(value) else None for key, value in vars(self).items()}


class Sums:
    """Sums of columns over all users, and over each resample of them, batch by batch.

    The weights depend on the seed and the order of the users alone, not on how they come in batches, so that
    columns added to one object, or to two with the same seed, are paired.
    """

    def __init__(self, samples: int, seed: int) -> None:
        self._samples = samples
        self._random = np.random.default_rng(seed)
        self._all: np.ndarray | None = None
        self._resampled: np.ndarray | None = None
        self._place: dict[object, int] = {}

    def add(self, columns: Mapping[object, np.ndarray]) -> None:
        """Adds a batch of users: the same keys in each, float (B,); NaN counts as nothing."""
        values = np.nan_to_num(np.stack(list(columns.values()), axis=1))
        if self._all is None:
            self._place = {key: column for column, key in enumerate(columns)}
            self._all = np.zeros(values.shape[1])
            self._resampled = np.zeros((self._samples, values.shape[1]))
        assert self._resampled is not None
        self._all += values.sum(axis=0)
        step = max(_BLOCK // self._samples, 1)
        for start in range(0, len(values), step):
            rows = values[start : start + step]
            self._resampled += self._weights(len(rows)).T @ rows.astype(np.float32)

    def _weights(self, users: int) -> np.ndarray:
        """float32 (users, S). Whole words of random bits a user, so that the batches do not matter."""
        words = self._random.integers(0, 1 << 64, (users, -(-self._samples // 4)), np.uint64)
        return _POISSON[words.view(np.uint16)[:, : self._samples]]

    def __contains__(self, key: object) -> bool:
        return key in self._place

    def count(self, key: object) -> float:
        """Sum of a column over all users."""
        return float(self._column(key)[0])

    def ratio(self, numerator: object, denominator: object) -> np.ndarray:
        """A ratio of two columns' sums, float64 (1 + S,): over all users first, then over each resample."""
        return _divide(self._column(numerator), self._column(denominator))

    def _column(self, key: object) -> np.ndarray:
        assert self._all is not None
        assert self._resampled is not None
        at = self._place[key]
        return np.concatenate([self._all[at : at + 1], self._resampled[:, at]])


def estimate(values: np.ndarray, confidence: float) -> Estimate:
    """Value and percentile interval of what `Sums.ratio` returned, or of a difference of two of them."""
    resampled = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or not len(resampled):
        return Estimate(*[float("nan")] * 3)
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(float(values[0]), float(low), float(high))


def auc(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """AUC over all users and over each resample, (1 + S,), to first order.

    The AUC of a resample is not a ratio of sums over users, but its Hajek projection is: the mean placement of
    the liked rows plus that of the others less the AUC, the placements being those among all rows. The rest is of
    order 1/U; see Obuchowski, "Nonparametric analysis of clustered ROC curve data" (1997).

    Args:
        positive: Ratio of the sum of placements of liked rows to their number, as `Sums.ratio` returns it.
        negative: The same of the other rows.
    """
    return positive + negative - positive[0]


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)
