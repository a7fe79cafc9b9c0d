"""One node of a run in a process of its own: when it may start, and what it leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from components.pusher import versions
from components.shared.errors import ConfigError
from pipeline.config import load_config
from pipeline.runners.node import _check_served, _check_turn
from pipeline.state.locking import locked
from pipeline.state.runs import Node, Run, read_runs
from tests.conftest import LENIENT


def run(id_: str, **states: str) -> Run:
    nodes = {name: Node(name, state, False, {}) for name, state in states.items()}
    return Run(id_, datetime(2026, 11, 26, tzinfo=UTC), nodes)


def test_a_node_starts_when_those_above_it_have_ended():
    _check_turn("ImportSchemaGen", "r", [], [])
    _check_turn(
        "Transform",
        "r",
        ["DataGate", "ImportSchemaGen"],
        [run("r", DataGate="done", ImportSchemaGen="cached")],
    )


@pytest.mark.parametrize("state", ["failed", "running", "interrupted", None])
def test_a_node_does_not_start_before(state):
    """Above all no Transform before its DataGate."""
    before = [run("other", DataGate="done"), run("r", **({"DataGate": state} if state else {}))]
    with pytest.raises(ConfigError, match=rf"DataGate \({state or 'not run'}\)"):
        _check_turn("Transform", "r", ["DataGate"], before)


def test_a_run_that_another_has_overtaken_ends():
    with pytest.raises(ConfigError, match="Another run has started since"):
        _check_turn("Blessing", "r", ["Evaluator"], [run("r", Evaluator="done"), run("s")])


@pytest.mark.parametrize(("run_id", "hours", "stops"), [("r", 1, False), ("s", -1, False), ("s", 1, True)])
def test_a_version_that_was_pushed_in_between_ends_a_run(tmp_path, run_id, hours, stops):
    """Such as by a rollback, which is no run."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_text("x")
    marker = versions.Marker("rollback", 1, "", run_id, 0)
    pushed, _ = versions.push(tmp_path / "model", tmp_path / "serving", marker)
    now = datetime.fromisoformat(versions.read_marker(pushed).pushed_at)
    own = Run("r", now - timedelta(hours=hours), {})
    if stops:
        with pytest.raises(ConfigError, match="Another version has been pushed since"):
            _check_served(tmp_path / "serving", own)
    else:
        _check_served(tmp_path / "serving", own)


def test_nodes_through_the_command(marquee, small_slice, tmp_path):
    """The first of a run are of one run, and the order is kept."""
    overrides = [f"data.path={small_slice}", f"root={tmp_path}", "retrieval=null", *LENIENT]
    options = [f"--set={one}" for one in overrides]
    early = marquee("node", "StatisticsGen", "--run", "one", *options)
    assert (early.returncode, "Report:" in early.stdout) == (2, False)
    assert "RatingsExampleGen (not run)" in early.stderr
    for name in ("ImportSchemaGen", "RatingsExampleGen", "StatisticsGen"):
        done = marquee("node", name, "--run", "../one", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"  {name} " in done.stdout
    shown = marquee("status", "--json", *options).stdout
    assert shown.count('"run": "..-one"') == 1
    # Between two tasks nobody is at it; with one at work it is.
    config = load_config(None, overrides)
    assert [one.state for one in read_runs(config)] == ["interrupted"]
    with locked(config.pipeline_root, "node"):
        assert [one.state for one in read_runs(config)] == ["running"]
    unknown = marquee("node", "Nope", "--run", "one", *options)
    assert (unknown.returncode, "There is no such node" in unknown.stderr) == (2, True)
