"""Figures of several models on the same test users, from their columns in per_user.parquet, paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from components.ranking import bootstrap
from components.ranking.evaluation import AUC, LOG_LOSS


class Resampling(Protocol):
    """Settings of the bootstrap, as the ranking and the blessing have them."""

    @property
    def confidence(self) -> float:
        """Level of the intervals."""

    @property
    def bootstrap_samples(self) -> int:
        """How many resamplings."""

    @property
    def seed(self) -> int:
        """Of the resamplings."""


class Figures:
    """Figures of every model over all users and over each resample, float64 (1 + S,), paired.

    With the settings of the evaluation that wrote the columns, the intervals are those of its metrics.json.

    Args:
        per_user: `num_test`, `num_liked`, `num_positives` and `<model>.<metric>`, (U,) each, the users in one order.
        ranking: The ranking metrics that are wanted; log-loss and AUC are there for each model that has them.
        settings: How to resample the users.
    """

    def __init__(
        self, per_user: Mapping[str, np.ndarray], ranking: Sequence[str], settings: Resampling
    ) -> None:
        self.confidence = settings.confidence
        ranked = np.asarray(per_user["num_positives"], np.float64)
        liked = np.asarray(per_user["num_liked"], np.float64)
        columns: dict[object, np.ndarray] = {
            "rows": per_user["num_test"],
            "liked": liked,
            "others": per_user["num_test"] - liked,
            "users": (ranked > 0).astype(np.float64),
        }
        wanted = (LOG_LOSS, f"{AUC}_liked", f"{AUC}_others", *ranking)
        # The name of a model from outside has dots in it.
        columns |= {key: values for key, values in per_user.items() if key.rpartition(".")[2] in wanted}
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

    def has(self, model: str, metric: str) -> bool:
        """Whether the model has that figure."""
        return f"{model}.{AUC}_liked" in self._sums if metric == AUC else f"{model}.{metric}" in self._sums

    def estimate(self, values: np.ndarray) -> bootstrap.Estimate:
        """The figure with its interval."""
        return bootstrap.estimate(values, self.confidence)
