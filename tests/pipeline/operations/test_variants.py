"""What came of a variant, which is best, and where results may be written."""

from __future__ import annotations

from datetime import datetime

import pytest

from components.shared.errors import ConfigError
from pipeline.operations import variants
from pipeline.operations.variants import Outcome
from pipeline.state.runs import Artifact, Node, Run

UNDER = Outcome("2", "done", 10.0, {"val_loss": 0.62, "val_auc": 0.70})
RIGHT = Outcome("16", "cached", 1.0, {"val_loss": 0.57, "val_auc": 0.77})
FAILED = Outcome("512", "failed", 3.0, error="MovieTrainer failed.\n  found:    no memory")


def test_outputs_are_checked_before_anything_runs(tmp_path):
    for path, option in (
        (tmp_path / "nowhere" / "o.csv", "--csv"),
        (tmp_path, "--csv"),
        (tmp_path / "o.txt", "--plot"),
    ):
        with pytest.raises(ConfigError):
            variants.check_output(path, option)
    variants.check_output(tmp_path / "o.png", "--plot")


def test_figures_are_those_of_trainer_and_ranking_evaluator():
    """The plain train loss takes the place of the one with penalties, and a NaN is none."""

    def run(model: dict, state: str) -> Run:
        ranking = {
            "primary_k": 5,
            "ndcg@5": 0.1,
            "ndcg@10": 0.2,
            "recall@5": 0.3,
            "auc": 0.8,
            "log_loss": 0.5,
        }
        nodes = [
            Node("latest_blessed_data", "done", True, {}),
            Node("MovieTrainer", state, False, {"model": [Artifact(1, "Model", "m", model)]}),
            Node("RankingEvaluator", "cached", False, {"ranking": [Artifact(2, "R", "r", ranking)]}),
        ]
        return Run("r", datetime(2026, 1, 1), {node.id: node for node in nodes})

    test = {"test_ndcg@5": 0.1, "test_recall@5": 0.3, "test_auc": 0.8, "test_log_loss": 0.5}
    model = {"loss": 0.6, "val_loss": 0.5, "val_auc": float("nan"), "best_epoch": 2, "train_rows": 9}
    assert variants.outcome("2", run(model, "cached"), 1.0) == Outcome(
        "2", "cached", 1.0, {"loss": 0.6, "val_loss": 0.5, "best_epoch": 2} | test, ranking="r"
    )
    found = variants.outcome("2", run({**model, "train_loss": 0.4, "val_ndcg@10": 0.3}, "done"), 1.0)
    assert found.state == "done"
    assert found.figures == {"train_loss": 0.4, "val_loss": 0.5, "val_ndcg@10": 0.3, "best_epoch": 2} | test


def test_best_is_by_the_validation_metric_that_all_have():
    assert variants.best([UNDER, RIGHT, FAILED]) == ("val_auc", RIGHT)
    ranked = [Outcome(str(i), "done", 1.0, {"val_loss": 0.5 + i, "val_ndcg@10": 0.1 * i}) for i in (1, 2)]
    assert variants.best(ranked) == ("val_ndcg@10", ranked[1])
    assert variants.best([*ranked, UNDER]) == ("val_loss", UNDER)
    assert variants.best([FAILED]) is None
