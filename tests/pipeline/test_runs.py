"""What the figures of a run say."""

from __future__ import annotations

import pytest

from pipeline.runs import decided_by


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ({"objective": "like", "metric": "log_loss", "candidate_metric": 0.5453}, "log-loss 0.5453"),
        (
            {
                "objective": "interaction",
                "metric": "ndcg@10",
                "candidate_metric": 0.196,
                "baseline_metric": 0.19,
                "log_loss": 1.4673,
            },
            "NDCG@10 0.1960 (baseline 0.1900)",
        ),
        # Of older runs, whose decision does not name the metric.
        ({"objective": "like", "log_loss": 0.5453, "ndcg@10": 0.06}, "log-loss 0.5453"),
        ({"objective": "interaction", "log_loss": 1.4673, "primary_k": 5, "ndcg@5": 0.2}, "NDCG@5 0.2000"),
        ({"objective": "like"}, ""),
        ({}, ""),
    ],
)
def test_the_figure_that_decided(figures, text):
    assert decided_by(figures) == text
