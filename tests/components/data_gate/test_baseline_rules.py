"""Each rule against the last blessed run, on numbers that can be checked by hand."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from components.shared.features import SPLITS
from tests.components.data_gate.made import NOW, check, data, only, split


@pytest.mark.parametrize(
    ("rows", "level"), [(1000, "fatal"), (1400, "warn"), (1600, None), (6000, None), (6100, "warn")]
)
def test_volume_is_a_ratio(rows, level):
    now = data(**{name: split(rows=rows, positives=rows // 2) for name in SPLITS})
    found = [f for f in check(now, data()) if f.feature == "rows"]
    assert [f.level for f in found] == ([level] if level else [])


@pytest.mark.parametrize(
    ("spans", "before", "rows", "level"),
    [
        (3, 30, 200, None),  # a tenth of the window, and of the rows
        (3, 30, 90, "fatal"),
        (3, 30, 2000, "warn"),  # ten times as many a span
        (30, 3, 20_000, None),
        (30, 3, 2000, "fatal"),  # as many as before, in ten times the window
        (3, 3, 1000, "fatal"),
        (None, 30, 1000, "fatal"),  # one that is not of spans is compared as a whole
    ],
)
def test_rows_of_two_windows_are_compared_a_span(spans, before, rows, level):
    now = data(**{name: split(rows=rows, positives=rows // 2) for name in SPLITS})
    now, then = (dataclasses.replace(one, spans=n) for one, n in ((now, spans), (data(), before)))
    found = [f for f in check(now, then) if f.rule == "volume" and f.feature == "rows"]
    assert [f.level for f in found] == ([level] if level else [])
    if found and spans == 3 and before == 30:
        assert "in 3 spans" in found[0].sentence
        assert "of the last blessed run, a span" in found[0].sentence


@pytest.mark.parametrize(
    ("spans", "before", "users", "level"),
    [(3, 30, 30, None), (3, 30, 3, "fatal"), (30, 3, 100, None), (30, 3, 300, None), (3, 3, 30, "fatal")],
)
def test_a_shorter_window_may_have_fewer_users_in_proportion(spans, before, users, level):
    few = Counter({f"u{n}".encode(): 2000 // users for n in range(users)})
    now = dataclasses.replace(data(**{name: split(users=few) for name in SPLITS}), spans=spans)
    found = check(now, dataclasses.replace(data(), spans=before))
    assert [f.level for f in found if f.rule == "volume" and f.feature == "user_id"] == []
    assert [f.level for f in found if f.rule == "volume" and f.feature == "users"] == (
        [level] if level else []
    )


def test_share_of_positives_goes_either_way():
    flipped = data(**{name: split(positives=500) for name in SPLITS})
    assert only(check(flipped, data())).sentence.startswith(
        "25.0% of the rows are positives, 50.0% in the last blessed run (2; expected at most 1.5)"
    )
    assert only(check(data(), flipped)).found == "2"


def test_changed_ratings_are_of_the_pairs_that_both_have():
    pairs = pd.Series(np.full(1000, 4, np.float32), np.arange(1000, dtype=np.uint64))
    other = pairs.copy()
    other.iloc[:300] = 1
    other.index += 400  # 600 in common, none of those changed is
    before = data(train=split(pairs=pairs))
    assert check(data(test=split(pairs=other)), before)[0].found == "50.0%"  # 300 of 600
    other.index += 590  # ten in common are too few to tell
    assert check(data(test=split(pairs=other)), before) == []


def test_the_newest_rating_must_not_go_back():
    old = {name: split(newest=NOW - 100 - 10 * 86_400) for name in SPLITS}
    found = only(check(data(**old), data()))
    assert (found.rule, found.level, found.found) == ("step_back", "fatal", "10 days")
    assert check(data(), data(**old)) == []
