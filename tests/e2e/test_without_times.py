"""The whole pipeline on ratings without times, after a run on the same with times."""

from __future__ import annotations

import json

import pytest

from pipeline.config import load_config
from pipeline.state.runs import read_runs
from tests.conftest import LENIENT

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def runs(marquee, small_slice, tmp_path_factory):
    """What the second printed, its lines joined, the options, and both runs."""
    root = tmp_path_factory.mktemp("root")
    overrides = [f"root={root}", "name=timeless", "model.epochs=2", *LENIENT]
    overrides.append(f"data.path={small_slice}")
    without = [
        "data.columns.timestamp=null",
        "data.split.method=random",
        "data_gate.freshness.max_age_days=1",
    ]
    options = [part for one in overrides for part in ("--set", one)]
    first = marquee("run", *options)
    assert first.returncode == 0, first.stdout + first.stderr
    second = marquee("run", *options, *(part for one in without for part in ("--set", one)))
    assert second.returncode == 0, second.stdout + second.stderr
    return " ".join(second.stdout.split()), options, read_runs(load_config(None, overrides))


def test_a_run_says_that_there_are_no_times_and_holds_none_against_the_data(runs):
    printed, _, (_, second) = runs
    assert "no times, so what the schema and the data gate say of them is off" in printed
    assert "no anomalies" in printed
    of_gate = second.nodes["DataGate"].output("verdict").properties
    assert of_gate["compared"] == 1
    assert not [text for text in json.loads(of_gate["warnings"]) if "timestamp" in text or "newest" in text]
    examples = second.nodes["RatingsExampleGen"].output("examples").properties
    assert examples["without_times"] == 1
    assert "newest_timestamp" not in examples


def test_the_champion_is_compared_on_rows_it_has_not_learned_with_their_times(runs):
    """Most of a random test split is in the train split of the run that had the times."""
    _, _, (_, second) = runs
    rows = second.nodes["RankingEvaluator"].output("ranking").properties
    assert rows["left_out_rows"] > rows["compared_rows"] > 0


def test_a_version_of_such_a_run_has_no_time_of_its_ratings(runs, marquee):
    _, options, _ = runs
    versions = json.loads(marquee("history", *options, "--json").stdout)["versions"]
    assert [one["newest_timestamp"] is None for one in versions] == [False, True]
    table = marquee("history", *options).stdout.splitlines()
    assert len(table) == 4
    assert marquee("schema", "diff", *options).returncode == 0
