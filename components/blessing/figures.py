"""The figures that the rules hold against each other, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from components.blessing.settings import BlessingSettings
from components.ranking import bootstrap
from components.ranking.evaluation import (
    AUC,
    BASELINE,
    BIAS_GENRE_REGRESSION,
    BIAS_REGRESSION,
    CANDIDATE,
    EASE,
    ITEM_KNN,
    LOG_LOSS,
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


class Figures:
    """Figures of every model over all users and over each resample, float64 (1 + S,), paired."""

    def __init__(self, per_user: Mapping[str, np.ndarray], ranking: str, settings: BlessingSettings) -> None:
        self.confidence = settings.confidence
        ranked = np.asarray(per_user["num_positives"], np.float64)
        liked = np.asarray(per_user["num_liked"], np.float64)
        columns: dict[object, np.ndarray] = {
            "rows": per_user["num_test"],
            "liked": liked,
            "others": per_user["num_test"] - liked,
            "users": (ranked > 0).astype(np.float64),
        }
        wanted = (LOG_LOSS, f"{AUC}_liked", f"{AUC}_others", ranking)
        for model in (CANDIDATE, *OWNERS):
            columns |= {
                key: per_user[key] for key in (f"{model}.{metric}" for metric in wanted) if key in per_user
            }
        self._sums = bootstrap.Sums(settings.bootstrap_samples, settings.seed)
        self._sums.add(columns)

    def of(self, model: str, metric: str) -> np.ndarray:
        """A model's figure by a metric, (1 + S,)."""
        if metric == LOG_LOSS:
            return self._sums.ratio(f"{model}.{LOG_LOSS}", "rows")
        if metric == AUC:
            liked, others = (self._sums.ratio(f"{model}.{AUC}_{kind}", kind) for kind in ("liked", "others"))
            return bootstrap.auc(liked, others)
        return self._sums.ratio(f"{model}.{metric}", "users")

    def estimate(self, values: np.ndarray) -> bootstrap.Estimate:
        """The figure with its interval."""
        return bootstrap.estimate(values, self.confidence)


def interval_in_words(estimate: bootstrap.Estimate) -> str:
    """` [low, high]`, empty where there is none."""
    if not np.isfinite(estimate.low):
        return ""
    return f" [{estimate.low:.4f}, {estimate.high:.4f}]"


def finite(value: float) -> float | None:
    """For JSON, which has no NaN."""
    return float(value) if np.isfinite(value) else None
