"""What the report of a run knows from ML Metadata and from the runs before."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from components.shared.errors import StorageError
from pipeline.config import PipelineConfig, load_config
from pipeline.operations import report, report_history
from pipeline.state.runs import Node, Run


@pytest.fixture
def config(tmp_path) -> PipelineConfig:
    return load_config(None, [f"root={tmp_path}", "name=ml"])


def run(minute: int, *states: tuple[str, str, float]) -> Run:
    started = datetime(2026, 11, 26, 16, minute, tzinfo=UTC)
    nodes = {
        name: Node(name, state, False, {}, started.timestamp() + 10 * i, seconds)
        for i, (name, state, seconds) in enumerate(states)
    }
    return Run(f"2026-11-26T16:{minute:02}:00.5", started, nodes)


def test_a_failed_run_has_a_report_that_says_why(config):
    failed = run(1, ("RatingsExampleGen", "failed", 0.5))
    path = report.write(config, [failed], failed, "The ratings <b>cannot</b> be used.", current=True)
    assert path == config.pipeline_root / "reports" / "2026-11-26T16-01-00.5.html"
    page = path.read_text()
    assert "<strong>Failed.</strong> RatingsExampleGen failed" in page
    assert "The ratings &lt;b&gt;cannot&lt;/b&gt; be used." in page
    # It is known later too.
    path.unlink()
    assert "cannot&lt;/b&gt; be used." in report.write(config, [failed], failed).read_text()


def test_what_differs_is_told_of_the_last_run_of_which_it_is_known(config):
    first, unknown, last = run(1), run(2), run(3)
    report.write(config, [first], first, current=True)
    other = load_config(None, [f"root={config.root}", "name=ml", "model.epochs=3"])
    found = report.report(other, [first, unknown, last], last, current=True)
    (section,) = [one for one in found.sections if one.id == "run"]
    (changed,) = [
        one for one in section.blocks if getattr(one, "caption", "") == "What differs from the run before"
    ]
    assert changed.rows == [["model.epochs", json.dumps(config.model.epochs), "3"]]


def test_steps_are_counted_from_the_first(config):
    one = run(1, ("RatingsExampleGen", "cached", 0.1), ("Transform", "done", 4.5))
    found = report.report(config, [one], one)
    assert dict(found.facts)["Took"] == "14.5 s"


def test_two_runs_are_written_beside_each_other(config):
    path = report.write_beside(config, [run(1), run(2)], run(1), run(2))
    assert path.name == "2026-11-26T16-01-00.5-beside-2026-11-26T16-02-00.5.html"
    assert path.read_text().count("<h1>") == 2


def test_a_sweep_is_shown(config):
    folder = config.pipeline_root.with_name("ml-sweep") / "sweeps"
    folder.mkdir(parents=True)
    (folder / "model.embedding_dim.csv").write_text(
        "model.embedding_dim,state,val_auc,error\n8,done,0.77,\n16,failed,,x\n"
    )
    found = report.report(config, [run(1)], run(1))
    (section,) = [one for one in found.sections if one.id == "sweeps"]
    assert section.blocks[0].table.rows == [["8", "0.7700"], ["16", "-"]]


def test_where_the_root_cannot_be_written_it_is_a_message(config):
    config.pipeline_root.mkdir(parents=True)
    (config.pipeline_root / "reports").mkdir()
    report.path_of(config, run(1)).mkdir()  # in the way
    with pytest.raises((StorageError, IsADirectoryError)):
        report.write(config, [run(1)], run(1))


def test_history_marks_the_decisions(config):
    found = report_history.report("ml", [run(1), run(2, ("Transform", "failed", 1.0))], [])
    assert found.verdict == "2 runs, of which 0 came to a decision and 0 were blessed."
    (runs,) = [section.blocks[0] for section in found.sections if section.id == "runs"]
    assert [row[1] for row in runs.rows] == ["failed", "interrupted"]  # the last first
    assert {row[5] for row in runs.rows} == {"no decision"}
    rows = [
        {"run": "a", "started": "2026-11-26T16:00:00", "state": "done", "auc": 0.81, "blessed": True},
        {"run": "b", "started": "2026-11-26T16:01:00", "state": "done", "auc": 0.8, "blessed": False},
    ]
    chart = report_history._of_metric("auc", rows)
    assert chart
    (line,) = chart.config["data"]["datasets"]
    assert (line["data"], line["pointBackgroundColor"]) == ([0.81, 0.8], ["$good", "$bad"])
    assert report_history._of_metric("log_loss", rows) is None
