"""What the candidate is held against, and figures in words."""

from __future__ import annotations

import numpy as np

from components.ranking.bootstrap import Estimate
from components.ranking.evaluation import (
    BASELINE,
    BIAS_GENRE_REGRESSION,
    BIAS_REGRESSION,
    EASE,
    ITEM_KNN,
    MOVIE_MEAN,
    POPULARITY,
)

# What the candidate is held against, in words.
OWNERS = {
    BASELINE: "the baseline",
    POPULARITY: "popularity",
    EASE: "EASE",
    ITEM_KNN: "ItemKNN",
    MOVIE_MEAN: "the movie mean",
    BIAS_REGRESSION: "the bias logistic regression",
    BIAS_GENRE_REGRESSION: "the user x genre regression",
}


def interval_in_words(estimate: Estimate) -> str:
    """` [low, high]`, empty where there is none."""
    if not np.isfinite(estimate.low):
        return ""
    return f" [{estimate.low:.4f}, {estimate.high:.4f}]"


def finite(value: float) -> float | None:
    """For JSON, which has no NaN."""
    return float(value) if np.isfinite(value) else None
