"""The whole pipeline on ratings without times, after a run on the same with times."""

from __future__ import annotations

import json

import pytest

from pipeline.config import load_config
from pipeline.runs import read_runs
from tests.conftest import LENIENT


@pytest.fixture(scope="module")
def runs(marquee, small_slice, tmp_path_factory):
    """Both runs, what they printed, and the options."""
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
    return second.stdout, options, read_runs(load_config(None, overrides).metadata_path)


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


def test_a_version_of_such_a_run_has_no_time_of_its_ratings(runs, marquee):
    _, options, _ = runs
    versions = json.loads(marquee("history", *options, "--json").stdout)["versions"]
    assert [one["newest_timestamp"] is None for one in versions] == [False, True]
    table = marquee("history", *options).stdout.splitlines()
    assert len(table) == 4
    assert marquee("schema", "diff", *options).returncode == 0
