"""Which run is meant, and how its decision reads."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from components.shared.errors import ModelError
from pipeline.operations import explain
from pipeline.state.runs import Artifact, Node, Run

DECIDED = {
    "blessed": False,
    "first": False,
    "model": {"id": 8, "uri": "m/8"},
    "baseline": {"id": 3, "uri": "m/3"},
    "objective": "like",
    "rules": [
        {"rule": "bar: auc", "kind": "bar", "metric": "auc", "action": "gate", "bar": 0.65, "at_least": True}
        | {"value": 0.7911, "low": 0.7786, "high": 0.8034, "passed": True, "sentence": "AUC is 0.7911"},
        {"rule": "floor: popularity", "kind": "floor", "metric": "ndcg@10", "action": "warn", "bar": 0.0}
        | {
            "at_least": True,
            "value": -0.03,
            "low": -0.04,
            "high": -0.02,
            "passed": False,
            "sentence": "It is.",
        },
        {"rule": "change: log_loss", "kind": "change", "metric": "log_loss", "action": "gate", "bar": 0.0}
        | {
            "at_least": False,
            "value": 0.0074,
            "low": 0.003,
            "high": 0.0121,
            "passed": False,
            "sentence": "Loss.",
        },
        {"rule": "verdict: TFMA", "kind": "verdict", "metric": "", "action": "gate", "bar": None}
        | {"at_least": True, "value": None, "low": None, "high": None, "passed": None, "sentence": "-"},
    ],
}


def run(tmp_path, number: int, decided: bool = True, version: str | None = None) -> Run:
    nodes = {}
    if decided:
        folder = tmp_path / str(number)
        folder.mkdir(exist_ok=True)
        (folder / "decision.json").write_text(json.dumps(DECIDED))
        nodes["Blessing"] = Node(
            "Blessing", "done", False, {"report": [Artifact(number, "BlessingReport", str(folder), {})]}
        )
    if version:
        pushed = Artifact(number, "PushedModel", "", {"pushed": 1, "pushed_version": version})
        nodes["Pusher"] = Node("Pusher", "done", False, {"pushed_model": [pushed]})
    return Run(f"2026-11-23T16:0{number}:00.5", datetime(2026, 11, 23, 17, number), nodes)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(None, "2026-11-23T16:03:00.5", id="the last one that was decided on"),
        pytest.param("2026-11-23T16:01", "2026-11-23T16:01:00.5", id="by the beginning of its id"),
        pytest.param("2026-11-23 17:02", "2026-11-23T16:02:00.5", id="by its start in status"),
        pytest.param("1795", "2026-11-23T16:01:00.5", id="by the version that it pushed"),
    ],
)
def test_the_run_that_is_meant(tmp_path, wanted, expected):
    runs = [
        run(tmp_path, 1, version="1795"),
        run(tmp_path, 2, version="1795"),
        run(tmp_path, 3),
        run(tmp_path, 4, decided=False),
    ]
    assert explain.find(runs, wanted).id == expected


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("2026", "3 runs are meant"),
        ("1999", "There is no such run"),
        ("2026-11-23T16:03", "This run came to no decision"),
    ],
)
def test_a_run_that_cannot_be_meant(tmp_path, wanted, part):
    runs = [run(tmp_path, 1), run(tmp_path, 2), run(tmp_path, 3, decided=False)]
    with pytest.raises(ModelError, match=part):
        explain.find(runs, wanted)


def test_no_run_yet():
    with pytest.raises(ModelError, match="marquee run"):
        explain.find([], None)


def test_a_decision_that_is_gone(tmp_path):
    one = run(tmp_path, 1)
    (tmp_path / "1" / "decision.json").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        explain.decision(one)


def test_table_and_sentences(tmp_path):
    decided = explain.decision(run(tmp_path, 1))
    assert explain.table(decided) == [
        ["bar: auc", ">= 0.65", "0.7911", "[0.7786, 0.8034]", "yes"],
        ["floor: popularity (ndcg@10)", ">= 0", "-0.0300", "[-0.0400, -0.0200]", "warning"],
        ["change: log_loss", "<= 0", "+0.0074", "[+0.0030, +0.0121]", "NO"],
        ["verdict: TFMA", "-", "-", "-", "-"],
    ]
    first, warning, broken, *_ = explain.sentences(decided)
    assert first == "Not blessed: model 8, compared with model 3; objective like."
    assert warning == "  - floor: popularity: It is. (a warning)"
    assert broken == "  - change: log_loss: Loss. (broken)"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "model 8, compared with model 3; objective like."),  # of an earlier version
        ({"compared_rows": 90, "left_out_rows": 0}, "model 8, compared with model 3; objective like."),
        (
            {"compared_rows": 60, "left_out_rows": 1030},
            "model 8, compared with model 3 on 60 of 1,090 test rows; objective like.",
        ),
        ({"compared_rows": 0, "left_out_rows": 90}, "model 8, not compared with model 3; objective like."),
        ({"compared_rows": 0, "baseline": None}, "model 8, the first, with no baseline; objective like."),
    ],
)
def test_the_verdict_says_on_how_many_rows_the_two_are_compared(found, words):
    assert explain.sentences({**DECIDED, **found})[0] == f"Not blessed: {words}"
