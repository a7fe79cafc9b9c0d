"""Each rule of the data alone, on numbers that can be checked by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from components.data_gate import rules
from components.data_gate.findings import Expectations
from components.data_gate.settings import DataGateSettings
from components.shared.features import SPLITS
from tests.components.data_gate.made import NOW, SCHEMA, check, data, only, ratings, split


def test_too_little_is_a_refusal_with_numbers():
    found = only(check(data(eval=split(rows=60))))
    assert (found.rule, found.level, found.split, found.rows) == ("minimum", "fatal", "eval", 60)
    assert found.sentence == "eval has too little to judge a model by: 60 rows, 100 are the least"
    assert found.accept == "--set data_gate.minimum.eval_rows=60"
    assert check(data(eval=split(rows=60)), minimum={"eval_rows": 60}) == []


def test_a_label_rule_for_another_scale_is_told_with_a_better_one():
    """0 to 10: 96 % are 4 and above."""
    scale = ratings({1.0: 40, 3.0: 40, 5.0: 400, 7.0: 700, 8.0: 500, 10.0: 320})
    found = only(check(data(train=split(positives=1920, ratings=scale))))
    assert (found.rule, found.level, found.found) == ("one_label", "warn", "96.0%")
    assert found.accept == "--set label.min_rating=8"
    assert "96.0% of the rows of train are likes, ratings of 4 and above" in found.sentence
    assert "with label.min_rating=8 41.0% are" in found.sentence
    few = only(check(data(train=split(positives=100, ratings=scale))))
    assert (few.rule, few.found) == ("one_label", "95.0%")
    assert check(data(train=split(positives=1700, ratings=scale))) == []


def test_one_user_with_a_large_share():
    users = Counter({b"bot": 1200}) + Counter({f"u{n}".encode(): 8 for n in range(100)})
    found = only(check(data(train=split(users=users), eval=split(users=users), test=split(users=users))))
    assert (found.rule, found.feature, found.found, found.rows) == ("dominance", "user_id", "60.0%", 1200)
    assert found.sentence.startswith("user 'bot' has 1,200 of the 2,000 rows of train")


def test_rows_without_genres_matter_where_there_are_genres():
    emptied = data(train=split(rows_without_genres=2000))
    assert only(check(emptied)).rule == "genres_missing"
    none = rules.check(emptied, None, {}, SCHEMA, DataGateSettings(), Expectations(NOW, genres=False))
    assert none == []


def test_duplicates_are_a_share_of_the_rows_read():
    assert only(check(data(num_duplicates=6000))).found == "50.0%"
    assert only(check(data(num_duplicates=600))).level == "warn"


@pytest.mark.parametrize(("method", "level"), [("user_time", "fatal"), ("time", "warn"), ("user_hash", None)])
def test_unknown_users_are_judged_by_the_method_of_the_split(method, level):
    others = split(users=Counter({f"new{n}".encode(): 20 for n in range(100)}))
    found = rules.check(
        data(test=others), None, {}, SCHEMA, DataGateSettings(), Expectations(NOW, split_method=method)
    )
    assert [(f.rule, f.feature, f.split, f.rows, f.level) for f in found] == (
        [("unknown", "user_id", "test", 2000, level)] if level else []
    )


def test_ratings_of_the_future():
    assert only(check(data(test=split(in_future=1)))).level == "warn"
    found = only(check(data(test=split(in_future=2000, newest=NOW * 1000))))
    assert (found.level, found.found) == ("fatal", "33.3%")
    assert "milliseconds" in found.sentence


def test_times_in_a_finer_unit_than_seconds_name_the_key():
    for factor, what in ((10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")):
        newest = NOW * factor
        finding = only(check(data(test=split(newest=newest, in_future=2000))))
        assert f"they look like {what} where seconds are due: see data.timestamp_unit" in finding.sentence


def test_age_is_off_by_default():
    old = {name: split(newest=NOW - 10 * 86_400) for name in SPLITS}
    assert check(data(**old)) == []
    assert only(check(data(**old), freshness={"max_age_days": 9})).found == "10.0 days"
