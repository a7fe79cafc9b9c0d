"""The files of a window against what earlier runs have read."""

from __future__ import annotations

from datetime import datetime

import pytest

from components.example_gen.detection import detect
from components.example_gen.settings import IngestSettings
from components.shared.artifacts import EXAMPLE_GEN, PUSHER
from pipeline.state.runs import Artifact, Node, Run
from pipeline.state.spans import changed_since, fingerprints, nothing_since


@pytest.fixture
def read(tmp_path):
    """Writes spans of so many rows each, and gives the fingerprints as a run sees them."""

    def read(spans: dict[int, int], last: int = 3) -> dict[str, str]:
        for number, rows in spans.items():
            text = "user_id,movie_id,rating,timestamp\n" + "1,2,4,5\n" * rows
            (tmp_path / f"r-{number}.csv").write_text(text)
        settings = {"layout": "csv", "ratings_file": "r-{SPAN}.csv", "spans": {"last": last}}
        return fingerprints(detect(str(tmp_path), IngestSettings.model_validate(settings)))

    return read


def run(seen: dict[str, str], state: str = "done", last_span: str | None = "3") -> Run:
    properties = {"input_fingerprint": "\n".join(seen.values())}
    if last_span:
        properties["last_span"] = last_span
    examples = Node(EXAMPLE_GEN, "done", False, {"examples": [Artifact(1, "Examples", "x", properties)]})
    return Run(
        "r", datetime(2026, 11, 26, 17), {EXAMPLE_GEN: examples, PUSHER: Node(PUSHER, state, False, {})}
    )


def test_each_span_has_a_fingerprint_of_its_own(read):
    assert list(read({1: 1, 2: 2, 3: 3}, last=2)) == ["ratings-2", "ratings-3"]


def test_nothing_is_new_where_the_last_run_to_its_end_has_read_the_same(read):
    before = read({1: 1, 2: 1, 3: 1})
    assert nothing_since([], before) is None
    assert nothing_since([run(before)], before) == "No new data since span 3."
    assert nothing_since([run(before), run({}, "failed")], before) == "No new data since span 3."
    assert nothing_since([run(before, last_span=None)], before) == (
        "No new data since the run of 2026-11-26 17:00:00."
    )


def test_a_new_span_and_one_that_changed_are_new(read):
    before = read({1: 1, 2: 1, 3: 1})
    assert nothing_since([run(before)], read({4: 1})) is None
    assert nothing_since([run(before)], read({3: 2, 4: 1}, last=4)) is None


def test_what_stopped_a_run_is_tried_again(read):
    first = read({1: 1, 2: 1, 3: 1})
    now = read({4: 9})
    assert nothing_since([run(first), run(now, "failed")], now) is None


def test_a_span_that_changed_after_it_was_used_is_late(read):
    before = read({1: 1, 2: 1, 3: 1})
    assert changed_since([run(before)], read({4: 1})) == []
    late = read({2: 7})
    assert changed_since([run(before)], late) == ["2"]
    assert changed_since([run(before), run(late)], late) == []  # told once


def test_a_span_that_stopped_a_run_may_be_mended(read):
    """Nothing was learned from it; where late spans stop, the mended one would for ever."""
    before = read({1: 1, 2: 1, 3: 1})
    bad = read({4: 60})
    assert changed_since([run(before), run(bad, "failed")], read({4: 1})) == []
