"""The candidate against the baseline, on the test rows that the baseline was not trained on.

Another split of the same log puts rows that the baseline has learned into the test split. It knows them, and a
candidate that does not would lose against it by no fault of its own. Those rows are left out: they are neither
positives nor in the lists of their users, as if the users had rated them before. Both models are evaluated again on
the rest, so that their figures are paired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from components.ranking.data import Dataset
from components.ranking.evaluation import BASELINE, CANDIDATE, Evaluation, Scorer, evaluate
from components.ranking.settings import RankingSettings
from components.shared import features


@dataclass(frozen=True)
class Comparison:
    """On what the two are compared.

    Attributes:
        known: Whether it is known what the baseline was trained on; else there are no rows to compare on.
        rows: Test rows that the baseline was not trained on.
        left_out: Test rows that it was trained on.
        evaluation: Of the two models on `rows`; None where that of the whole test split holds, or without rows.
    """

    known: bool
    rows: int
    left_out: int
    evaluation: Evaluation | None

    def as_dict(self) -> dict[str, Any]:
        """As it stands in metrics.json."""
        found: dict[str, Any] = {"known": self.known, "rows": self.rows, "left_out": self.left_out}
        if self.evaluation:
            report = self.evaluation.report
            found["models"] = {name: of["overall"] for name, of in report["models"].items()}
            found["differences"] = report["differences"]
        return found


def compare(
    data: Dataset,
    models: Mapping[str, Scorer],
    learned: np.ndarray | None,
    genres: tuple[list[str], np.ndarray],
    settings: RankingSettings,
) -> Comparison:
    """Evaluates the candidate and the baseline again, where there are rows to leave out.

    Args:
        data: The ratings.
        models: By name; the candidate, the baseline, and others that do not matter here.
        learned: bool (N,), the test rows that the baseline was trained on; None where that is not known.
        genres: Of `data.genres`.
        settings: What to compute.
    """
    test = data.splits[features.TEST_SPLIT]
    if learned is None:
        return Comparison(False, 0, 0, None)
    left_out = int(learned.sum())
    rows = len(test) - left_out
    if not left_out or not rows:
        return Comparison(True, rows, left_out, None)
    # A row of eval is no candidate of its user's list.
    splits = {
        **data.splits,
        features.EVAL_SPLIT: data.splits[features.EVAL_SPLIT] + test[learned],
        features.TEST_SPLIT: test[~learned],
    }
    both = {name: _on(models[name], ~learned) for name in (CANDIDATE, BASELINE)}
    return Comparison(True, rows, left_out, evaluate(replace(data, splits=splits), both, genres, settings))


def _on(model: Scorer, rows: np.ndarray) -> Scorer:
    return Scorer(None if model.likes is None else model.likes[rows], model.scores)
