"""What a report says of a run: its verdict, its reasons and its numbers."""

from __future__ import annotations

from typing import Any

import pytest

from components.report.charts import Chart, Table
from components.report.content import RunFacts, Step, gather
from components.report.page import Report
from components.report.sections import report
from components.report.sweep_section import Sweep
from tests.components.report import made


def facts(state: str = "done", last: str = "", error: str = "", **more: Any) -> RunFacts:
    steps = [Step("RatingsExampleGen", "cached", 0.0, 0.5)]
    if last:
        steps.append(Step(last, "failed" if state == "failed" else "done", 1.0, 2.5))
    return RunFacts("2026-11-26T16:33:00.6", "2026-11-26 16:33:00", state, steps, error=error, **more)


def block(of: Report, title: str) -> Chart | Table:
    found = [
        one
        for section in of.sections
        for one in section.blocks
        if (one.title if isinstance(one, Chart) else one.caption).startswith(title)
    ]
    assert found, title
    return found[0]


@pytest.mark.parametrize(
    ("decided", "run", "outcome", "verdict"),
    [
        (
            made.decision(),
            facts(),
            "blessed",
            "Model 8 is blessed and pushed as version 1795, as all of 2 rules hold",
        ),
        (
            made.decision(blessed=False),
            facts(),
            "refused",
            "Model 8 is not blessed and not pushed, as it breaks 1 of 2",
        ),
        (made.decision(), None, "blessed", "Model 8 is blessed"),
        (
            made.decision(),
            facts("failed", "Pusher", "no space"),
            "failed",
            "Pusher failed; what is served is as before",
        ),
        (made.decision(), facts("failed", "DataGate", "too few"), "stopped", "The data gate stopped the run"),
        (
            made.decision(),
            facts("interrupted", "MovieTrainer"),
            "interrupted",
            "The run was interrupted in MovieTrainer",
        ),
    ],
)
def test_the_verdict_is_one_sentence(tmp_path, decided, run, outcome, verdict):
    found = report(gather(made.outputs(tmp_path, decided), 4.0), run)
    assert found.outcome == outcome
    assert found.verdict.startswith(verdict)


def test_a_blessed_model_that_is_not_fit_for_serving_says_so(tmp_path):
    outputs = made.outputs(tmp_path)
    (tmp_path / "serving" / "report.json").write_text('{"blessed": false, "failures": ["p95 is 900 ms"]}')
    found = report(gather(outputs, 4.0), facts())
    assert (found.outcome, found.reasons[0]) == ("unfit", "p95 is 900 ms")
    assert "blessed, but not fit for serving" in found.verdict


def test_what_another_validator_keeps_from_being_pushed_is_not_fit_either(tmp_path):
    outputs = made.outputs(tmp_path)
    del outputs["ServingValidator"]
    outputs["Pusher"] = {"pushed_model": made.Made(13, "", {"pushed": 0})}
    assert report(gather(outputs, 4.0), facts()).outcome == "unfit"


def test_a_run_without_a_decision_is_no_more_than_that():
    found = report(gather({}, 4.0), facts("running"))
    assert (found.outcome, found.verdict) == ("unfinished", "The run came to no decision.")
    assert [section.id for section in found.sections] == ["run"]


def test_why_is_among_the_reasons(tmp_path):
    refused = report(gather(made.outputs(tmp_path / "a", made.decision(blessed=False)), 4.0), facts())
    assert refused.reasons == [
        "AUC is 0.8115 [0.7992, 0.8231], the floor is 0.99",
        "Warning: the ranking is a little worse",
        "Warning of the data gate: train is liked throughout",
    ]
    assert report(gather({}, 4.0), facts("failed", "DataGate", "too few\n  found: 3")).reasons == [
        "too few\n  found: 3"
    ]
    assert report(gather({}, 4.0), facts("failed", "Transform")).reasons == ["Why is in the log of the run."]


def test_rules_are_drawn_with_their_interval_and_threshold(tmp_path):
    found = report(gather(made.outputs(tmp_path, made.decision(blessed=False)), 4.0), facts())
    bars, changes = block(found, "Bars"), block(found, "Beside the floors and the last blessed model")
    assert isinstance(bars, Chart)
    assert bars.table.rows == [["bar: auc (broken)", "0.8115", "[0.7992, 0.8231]", "0.6500"]]
    value, interval, threshold = bars.config["data"]["datasets"]
    assert (value["data"], interval["data"], threshold["data"]) == ([0.8115], [[0.7992, 0.8231]], [0.65])
    assert value["pointBackgroundColor"] == ["$bad"]
    assert isinstance(changes, Chart)
    assert changes.table.rows == [["change: log_loss (holds)", "-0.0123", "-", "+0.0000"]]
    every = block(found, "Every rule")
    assert isinstance(every, Table)
    assert every.rows[2] == ["verdict: TFMA", "nothing to decide", "verdict: TFMA in words"]


def test_models_stand_beside_each_other_with_the_numbers_of_the_metrics_file(tmp_path):
    found = report(gather(made.outputs(tmp_path), 4.0), facts())
    ndcg, loss = block(found, "NDCG@2 on test"), block(found, "log-loss on test")
    assert isinstance(ndcg, Chart)
    assert isinstance(loss, Chart)
    assert ndcg.table.rows[:2] == [
        ["candidate", "0.1975", "[0.1875, 0.2075]"],
        ["popularity", "0.0999", "[0.0899, 0.1099]"],
    ]
    assert [row[0] for row in loss.table.rows] == ["candidate", "movie mean"]
    lists = block(found, "Coverage")
    assert isinstance(lists, Table)
    assert lists.header[1:] == ["coverage@2", "novelty@2", "diversity@2", "share of head@2"]
    assert lists.rows[0] == ["candidate", "0.2500", "2.0000", "0.5000", "0.6000"]
    by_activity = block(found, "NDCG@2 by activity")
    assert isinstance(by_activity, Chart)
    assert by_activity.config["data"]["labels"] == ["heavy (2 users)"]  # no user is new
    reliability = block(found, "Reliability")
    assert isinstance(reliability, Chart)
    assert "0.0177" in reliability.alt
    assert reliability.table.rows == [["candidate", "0.2000", "0.2500"], ["candidate", "0.9000", "1.0000"]]


def test_learning_curves_are_those_of_both_questions(tmp_path):
    found = report(gather(made.outputs(tmp_path), 4.0), facts())
    likes = block(found, "Learning curves of two_tower (will they like it): log-loss")
    assert isinstance(likes, Chart)
    assert likes.table.rows == [["1", "0.6000", "0.6100"], ["2", "0.5000", "0.5700"]]
    assert "best epoch by val loss is 2 of 2" in likes.alt
    watches = block(found, "Learning curves of dot_product (will they watch it)")
    assert isinstance(watches, Chart)
    assert watches.table.header == ["epoch", "loss", "val ndcg@10", "val recall@10"]
    assert [one["yAxisID"] for one in watches.config["data"]["datasets"]] == ["y", "y2", "y2"]


def test_data_stand_over_those_of_the_last_blessed_model(tmp_path):
    found = report(gather(made.outputs(tmp_path), 4.0), facts())
    numbers = block(found, "Numbers")
    assert isinstance(numbers, Table)
    assert numbers.header == ["", "this run", "last blessed data"]
    assert numbers.rows[0] == ["ratings", "7", "7"]
    drift = block(found, "Drift: ratings of train")
    assert isinstance(drift, Chart)
    assert drift.table.header == ["rating", "this run", "last blessed"]


def test_the_run_shows_its_steps_what_changed_and_its_sweeps():
    sweep = Sweep(
        "model.embedding_dim",
        ["model.embedding_dim", "state", "val_loss", "test_auc"],
        [["8", "done", "0.57", ""]],
    )
    run = facts("failed", "Transform", "x", changed={"model.name": ('"mlp"', '"two_tower"')}, sweeps=[sweep])
    found = report(gather({}, 4.0), run)
    timeline = block(found, "Timeline")
    assert isinstance(timeline, Chart)
    assert timeline.table.rows == [
        ["RatingsExampleGen (cached)", "0.0", "0.5"],
        ["Transform (failed)", "1.0", "2.5"],
    ]
    changed = block(found, "What differs")
    assert isinstance(changed, Table)
    assert changed.rows == [["model.name", '"mlp"', '"two_tower"']]
    swept = block(found, "Sweep over model.embedding_dim: AUC")
    assert isinstance(swept, Chart)
    assert swept.table.rows == [["8", "-"]]
    assert ("Took", "3.5 s") in found.facts
