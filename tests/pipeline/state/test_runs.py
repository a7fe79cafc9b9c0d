"""What the figures of a run say."""

from __future__ import annotations

from datetime import datetime

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.cli.figures import figure
from pipeline.cli.run import reached
from pipeline.operations.history import Release, _judged
from pipeline.state.recovery import INTERRUPTED
from pipeline.state.runs import Artifact, Node, Run, _state, decided_by


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


@pytest.mark.parametrize(
    ("state", "shown"), [("FAILED", "interrupted"), ("COMPLETE", "done"), ("CACHED", "cached")]
)
def test_what_was_interrupted_and_then_completed_is_done(state, shown):
    """TFX takes up the same execution where a task of an orchestrator is tried again."""
    execution = mlmd.Execution(last_known_state=mlmd.Execution.State.Value(state))
    execution.custom_properties[INTERRUPTED].int_value = 1
    assert _state(execution) == shown


RANKING = {
    "primary_k": 10,
    "ndcg@10": 0.196,
    "recall@10": 0.1737,
    "mrr@10": 0.4,
    "popularity_ndcg@10": 0.0999,
    "popularity_recall@10": 0.0763,
    "log_loss": 0.5453,
    "movie_mean_log_loss": 0.6147,
}
LIKE = {"objective": "like", "metric": "log_loss", "candidate_metric": 0.5453}
RANKER = {"objective": "interaction", "metric": "ndcg@10", "candidate_metric": 0.196}
BOTH = {**LIKE, "objective": "like+interaction", "baseline_metric": 0.546}
BOTH |= {
    "retrieval_metric": "ndcg@10",
    "retrieval_candidate_metric": 0.196,
    "retrieval_baseline_metric": 0.19,
}


def run(objective: str, report: dict, blessed: int = 1) -> Run:
    """A run with what its components have recorded."""
    model = {"model_name": "dot_product", "objective": objective, "best_epoch": 3, "epochs": 5}
    model |= {"val_auc": 0.77, "val_loss": 0.57, "val_ndcg@10": 0.2, "val_recall@10": 0.1}
    if "+" in objective:
        second = {"model_name": "mlp", "best_epoch": 4, "epochs": 6, "val_ndcg@10": 0.3, "val_recall@10": 0.2}
        model |= {f"retrieval_{name}": value for name, value in second.items()}
    outputs = {
        "MovieTrainer": {"model": model},
        "Evaluator": {
            "evaluation": {"auc": 0.8013, "log_loss": 0.5453, "failures": "[]"},
            "blessing": {"blessed": 1},
        },
        "RankingEvaluator": {"ranking": RANKING},
        "Blessing": {"report": {"blessed": blessed, "failures": "[]", "warnings": '["w"]', **report}},
    }
    return Run(
        "r",
        datetime(2026, 1, 1),
        {
            id_: Node(id_, "done", False, {key: [Artifact(1, "A", "a", of)] for key, of in made.items()})
            for id_, made in outputs.items()
        },
    )


@pytest.mark.parametrize(
    ("objective", "report", "lines"),
    [
        (
            "like",
            {**LIKE, "baseline_metric": 0.546},
            {
                "MovieTrainer": "dot_product (like): validation AUC 0.7700, log-loss 0.5700 at epoch 3 of 5",
                "Evaluator": "test AUC 0.8013, log-loss 0.5453: within the bars",
                "RankingEvaluator": "log-loss 0.5453 (movie mean 0.6147)",
                "Blessing": "blessed, 1 warning; log-loss 0.5453 (baseline 0.5460)",
            },
        ),
        (
            "interaction",
            RANKER,
            {
                "MovieTrainer": "dot_product (interaction): validation NDCG@10 0.2000, recall@10 0.1000"
                " at epoch 3 of 5",
                "Evaluator": "no bars on likes, which this model does not learn",
                "RankingEvaluator": "NDCG@10 0.1960 (popularity 0.0999), recall@10 0.1737 (popularity 0.0763)",
                "Blessing": "blessed, 1 warning; NDCG@10 0.1960",
            },
        ),
        (
            "like+interaction",
            BOTH,
            {
                "MovieTrainer": "dot_product (like): validation AUC 0.7700, log-loss 0.5700 at epoch 3 of 5;"
                " mlp (interaction): validation NDCG@10 0.3000, recall@10 0.2000 at epoch 4 of 6",
                "Evaluator": "test AUC 0.8013, log-loss 0.5453: within the bars",
                "RankingEvaluator": "log-loss 0.5453 (movie mean 0.6147); NDCG@10 0.1960 (popularity 0.0999),"
                " recall@10 0.1737 (popularity 0.0763)",
                "Blessing": "blessed, 1 warning; log-loss 0.5453 (baseline 0.5460), NDCG@10 0.1960 (baseline 0.1900)",
            },
        ),
        ("like", {}, {"Blessing": "blessed, 1 warning"}),
    ],
)
def test_lines_of_a_run_show_what_the_model_is_for_and_what_decides(objective, report, lines):
    done = run(objective, report)
    assert {name: figure(done.nodes[name], done) for name in lines} == lines


@pytest.mark.parametrize(
    ("objective", "report", "text"),
    [
        ("like", LIKE, "AUC 0.8013, log-loss 0.5453 on the test split"),
        (
            "like",
            {**LIKE, "baseline_metric": 0.546, "compared_rows": 90, "left_out_rows": 0},
            "AUC 0.8013, log-loss 0.5453 on the test split; the baseline's log-loss there is 0.5460",
        ),
        (
            "like",
            {
                **LIKE,
                "candidate_metric": 0.55,
                "baseline_metric": 0.56,
                "compared_rows": 60,
                "left_out_rows": 30,
            },
            "AUC 0.8013, log-loss 0.5453 on the test split; on the 60 rows of it that the baseline was not trained on,"
            " log-loss 0.5500, the baseline's 0.5600",
        ),
        ("interaction", RANKER, "NDCG@10 0.1960, recall@10 0.1737 on the test split"),
        (
            "like+interaction",
            {**BOTH, "compared_rows": 90, "left_out_rows": 0},
            "AUC 0.8013, log-loss 0.5453, NDCG@10 0.1960, recall@10 0.1737 on the test split; the baseline's log-loss"
            " there is 0.5460, its NDCG@10 there is 0.1900",
        ),
        (
            "interaction",
            {**RANKER, "metric": "mrr@10"},
            "NDCG@10 0.1960, recall@10 0.1737, MRR@10 0.4000 on the test split",
        ),
        ("interaction", {}, "NDCG@10 0.1960, recall@10 0.1737 on the test split"),
    ],
)
def test_verdict_shows_what_was_newly_computed(objective, report, text):
    assert reached(run(objective, report).summary()) == text


@pytest.mark.parametrize(
    ("summary", "judged"),
    [
        (run("interaction", {}).summary(), ("interaction", "ndcg@10", {"ndcg@10": 0.196, "auc": 0.8})),
        (run("like", {}).summary(), ("like", "log_loss", {"log_loss": 0.5453, "auc": 0.8})),
        ({}, ("", "", {"auc": 0.8})),
    ],
    ids=["interaction", "like", "without its run"],
)
def test_versions_of_before_are_judged_as_their_run(summary, judged):
    release = Release(
        version="1",
        state="served",
        kind="push",
        run_id="r",
        pushed_at="",
        model_id=1,
        blessing_id=0,
        objective="",
        metric="",
        retrieval_metric="",
        metrics={"auc": 0.8},
        data_span=None,
        first_span="",
        last_span="",
        oldest_timestamp=None,
        newest_timestamp=None,
        of_version="",
        reason="",
        by="",
    )
    found = _judged(release, summary)
    assert (found.objective, found.metric, found.metrics) == judged


@pytest.mark.parametrize(
    ("left_out", "of_ranking", "of_blessing", "verdict"),
    [
        (
            0,
            "the ratings that the baseline was trained on are gone",
            "compared with nothing;",
            "what the baseline was trained on is gone",
        ),
        (
            30,
            "0 of 30 test rows to compare on: the baseline was trained on 30",
            "compared with nothing, 30 left out;",
            "the baseline was trained on 30 rows of it",
        ),
    ],
)
def test_a_baseline_that_cannot_be_compared_with_is_told(left_out, of_ranking, of_blessing, verdict):
    done = run("like", {**LIKE, "compared_rows": 0, "left_out_rows": left_out})
    # Without a baseline the same figures say nothing.
    assert "nothing" not in figure(done.nodes["Blessing"], done) + reached(done.summary())
    done.nodes["Blessing"].outputs["blessing"] = [
        Artifact(2, "B", "b", {"blessed": 1, "baseline_model_id": 7})
    ]
    ranking = {**RANKING, "compared_rows": 0, "left_out_rows": left_out}
    done.nodes["RankingEvaluator"].outputs["ranking"] = [Artifact(3, "R", "r", ranking)]
    assert of_ranking in figure(done.nodes["RankingEvaluator"], done)
    assert of_blessing in figure(done.nodes["Blessing"], done)
    assert reached(done.summary()).endswith(f"; compared with nothing: {verdict}")
