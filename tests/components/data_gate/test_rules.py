"""Each rule on numbers that can be checked by hand."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.data_gate import rules
from components.data_gate.component import refusal
from components.data_gate.counts import SplitCounts
from components.data_gate.rules import Data, Expectations
from components.data_gate.settings import DataGateSettings
from components.shared.features import SPLITS, LabelRule
from tests.conftest import REPOSITORY

NOW = 1_700_000_000
SCHEMA = text_format.Parse((REPOSITORY / "schema" / "schema.pbtxt").read_text(), schema_pb2.Schema())


def split(rows: int = 2000, **changes: object) -> SplitCounts:
    """Counts of a split of 100 users and 100 movies with nothing amiss."""
    each = max(rows // 100, 1)
    counts = SplitCounts(
        rows,
        rows // 2,
        Counter({f"u{n}".encode(): each for n in range(100)}),
        Counter({f"m{n}".encode(): each for n in range(100)}),
        Counter({b"Drama": rows}),
        0,
        NOW - 1000,
        NOW - 100,
    )
    return dataclasses.replace(counts, **changes)  # type: ignore[arg-type]


def statistics(shares: dict[str, float], rows: int = 2000) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Statistics with a distribution of genres alone."""
    ranks = "".join(f'buckets {{ label: "{k}" sample_count: {v * rows} }}' for k, v in shares.items())
    return text_format.Parse(
        f"""datasets {{ num_examples: {rows} features {{ path {{ step: "genres" }} type: STRING string_stats {{
        common_stats {{ num_non_missing: {rows} tot_num_values: {rows} min_num_values: 1 max_num_values: 1
        avg_num_values: 1 }} unique: {len(shares)} rank_histogram {{ {ranks} }} }} }} }}""",
        statistics_pb2.DatasetFeatureStatisticsList(),
    )


EVEN = statistics({"Drama": 0.5, "War": 0.5})


def data(num_duplicates: int = 0, **changes: SplitCounts) -> Data:
    splits = {name: changes.get(name, split()) for name in SPLITS}
    return Data(splits, dict.fromkeys(SPLITS, EVEN), num_duplicates)


def check(current: Data, baseline: Data | None = None, **settings: object) -> list[rules.Finding]:
    return rules.check(
        current,
        baseline,
        {},
        SCHEMA,
        DataGateSettings.model_validate(settings),
        Expectations(NOW),
    )


def only(findings: list[rules.Finding]) -> rules.Finding:
    (finding,) = findings
    return finding


def test_nothing_amiss():
    assert check(data()) == []
    assert check(data(), data()) == []


def test_too_little_is_a_refusal_with_numbers():
    found = only(check(data(eval=split(rows=60))))
    assert (found.rule, found.level, found.split, found.rows) == ("minimum", "fatal", "eval", 60)
    assert found.sentence == "eval has too little to judge a model by: 60 rows, 100 are the least"
    assert found.accept == "--set data_gate.minimum.eval_rows=60"
    assert check(data(eval=split(rows=60)), minimum={"eval_rows": 60}) == []


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


def test_without_times_no_rule_looks_at_them():
    """The timestamps are 0 then; nor is there a drift from, or to, a run that had times."""
    zero = {name: split(oldest=0, newest=0) for name in SPLITS}
    without, with_times = dataclasses.replace(data(**zero), times=False), data()
    bars = {"freshness": {"max_age_days": 1}, "drift": {"timestamp": {"fatal": 0.001}, "min_rows": 1}}
    assert "age" in [finding.rule for finding in check(data(**zero), **bars)]
    for current, baseline in ((without, None), (without, with_times), (without, without)):
        assert check(current, baseline, **bars) == []
    assert "step_back" in [finding.rule for finding in check(data(**zero), with_times)]
    assert check(with_times, without) == []


def test_times_in_a_finer_unit_than_seconds_name_the_key():
    for factor, what in ((10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")):
        newest = NOW * factor
        finding = only(check(data(test=split(newest=newest, in_future=2000))))
        assert f"they look like {what} where seconds are due: see data.timestamp_unit" in finding.sentence


def test_age_is_off_by_default():
    old = {name: split(newest=NOW - 10 * 86_400) for name in SPLITS}
    assert check(data(**old)) == []
    assert only(check(data(**old), freshness={"max_age_days": 9})).found == "10.0 days"


def test_the_newest_rating_must_not_go_back():
    old = {name: split(newest=NOW - 100 - 10 * 86_400) for name in SPLITS}
    found = only(check(data(**old), data()))
    assert (found.rule, found.level, found.found) == ("step_back", "fatal", "10 days")
    assert check(data(), data(**old)) == []


@pytest.mark.parametrize(
    ("rows", "level"), [(1000, "fatal"), (1400, "warn"), (1600, None), (6000, None), (6100, "warn")]
)
def test_volume_is_a_ratio(rows, level):
    now = data(**{name: split(rows=rows, positives=rows // 2) for name in SPLITS})
    found = [f for f in check(now, data()) if f.feature == "rows"]
    assert [f.level for f in found] == ([level] if level else [])


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


def test_distances_are_tfdvs():
    """Checked against the formula: shares (1/2, 1/2) and (3/4, 1/4)."""
    skewed = statistics({"Drama": 0.75, "War": 0.25})
    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    m = (p + q) / 2
    expected = (np.sum(p * np.log2(p / m)) + np.sum(q * np.log2(q / m))) / 2
    settings = DataGateSettings().drift
    assert dict(rules.distances(skewed, EVEN, SCHEMA, settings, "drift")) == {
        "genres": pytest.approx(expected)
    }
    by_infinity = settings.model_copy(update={"measure": "infinity_norm"})
    assert dict(rules.distances(skewed, EVEN, SCHEMA, by_infinity, "skew")) == {"genres": pytest.approx(0.25)}
    assert math.isclose(expected, 0.0488, abs_tol=1e-4)


def test_few_rows_are_not_compared():
    few = statistics({"Drama": 1.0}, rows=999)
    assert not dict(rules.distances(few, EVEN, SCHEMA, DataGateSettings().drift, "drift"))


def test_skew_and_drift_become_findings():
    skewed = statistics({"Drama": 0.99, "War": 0.01})
    current = Data(data().profile, {**data().statistics, "test": skewed})
    found = only(check(current))
    assert (found.rule, found.feature, found.split, found.level) == ("skew", "genres", "test", "fatal")
    assert found.accept.startswith("--set data_gate.skew.genres.fatal=0.2")
    drifted = Data(data().profile, dict.fromkeys(SPLITS, skewed))
    assert only(check(drifted, data())).rule == "drift"


def test_policy_has_the_last_word():
    few = data(eval=split(rows=60))
    assert only(check(few, policy={"minimum": "warn"})).level == "warn"
    assert check(few, policy={"minimum": "ignore"}) == []


def anomaly(rule: str) -> anomalies_pb2.Anomalies:
    anomalies = anomalies_pb2.Anomalies()
    anomalies.baseline.CopyFrom(SCHEMA)
    reason = anomalies.anomaly_info["rating"].reason.add()
    reason.type = anomalies_pb2.AnomalyInfo.Type.Value(rule)
    reason.description = "as TFDV says"
    return anomalies


@pytest.mark.parametrize("rule", anomalies_pb2.AnomalyInfo.Type.keys())
def test_every_type_of_anomaly_has_a_sentence(rule):
    found = list(rules.schema_anomalies({"train": anomaly(rule)}, data(), DataGateSettings()))
    assert only(found).sentence.startswith("rating of train ")
    assert f"data_gate.policy.{rule}:rating=warn" in only(found).accept


def test_a_refusal_has_the_first_and_the_number_of_the_others():
    findings = check(data(**{name: split(rows=10, positives=1) for name in SPLITS}))
    message = str(refusal(findings, 3))
    assert f"for {len(findings)} things" in message
    assert "1. train has too little to learn from: 10 rows" in message
    assert ("and 1 more" in message) == (len(findings) == 6)
    assert "and 3 warnings, in the log" in message


def ratings(values: dict[float, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(list(values), float), np.array(list(values.values()))


def test_values_below_and_above_a_domain_are_counted_apart():
    counts = split(below=Counter(rating=12), above=Counter(rating=700), nan=Counter(rating=3))
    for kind, rows in (("SMALL_FLOAT", 12), ("BIG_FLOAT", 700), ("HAS_NAN", 3)):
        found = anomalies_pb2.Anomalies(baseline=SCHEMA)
        found.anomaly_info["rating"].reason.add(
            type=getattr(anomalies_pb2.AnomalyInfo, f"FLOAT_TYPE_{kind}"), description="d"
        )
        (finding,) = rules.schema_anomalies({"train": found}, data(train=counts), DataGateSettings())
        assert finding.rows == rows
        assert f"in {rows:,} of 2,000 rows" in finding.sentence


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


def test_where_every_rating_is_a_positive_their_values_are_no_gate():
    one_sided = data(train=split(positives=2000))
    strict = [f for f in check(one_sided) if f.level == "fatal"]
    assert [f.feature for f in strict] == ["not liked rows"]
    found = rules.check(
        one_sided, None, {}, SCHEMA, DataGateSettings(), Expectations(NOW, label=LabelRule(positives="rated"))
    )
    assert [(f.feature, f.level) for f in found] == [("not liked rows", "warn")]
    anomalies = anomalies_pb2.Anomalies(baseline=SCHEMA)
    anomalies.anomaly_info["rating"].reason.add(
        type=anomalies_pb2.AnomalyInfo.FLOAT_TYPE_BIG_FLOAT, description="d"
    )
    for positives, level in (("liked", "fatal"), ("rated", "warn")):
        found = rules.check(
            data(),
            None,
            {"train": anomalies},
            SCHEMA,
            DataGateSettings(),
            Expectations(NOW, label=LabelRule(positives=positives)),
        )
        assert [(f.rule, f.level) for f in found] == [("FLOAT_TYPE_BIG_FLOAT", level)]


@pytest.mark.parametrize("seed", range(5))
def test_a_random_split_of_counts_with_a_long_tail_is_no_skew(seed):
    """Plays of a song: the greatest of them is in one of the splits alone."""
    random = np.random.default_rng(seed)
    plays = np.round(random.pareto(0.8, 60_000) + 1)
    halves = np.split(random.permutation(plays), 2)
    one, other = (split(rows=30_000, ratings=np.unique(half, return_counts=True)) for half in halves)
    bars = DataGateSettings().skew
    ((feature, distance),) = rules.of_ratings(one, other, bars)
    assert feature == "rating"
    assert distance < bars.rating.warn / 5
    heavier = split(rows=30_000, ratings=np.unique(2 * halves[1] + 1, return_counts=True))
    ((_, distance),) = rules.of_ratings(one, heavier, bars)
    assert distance > bars.rating.fatal


def test_the_divergence_of_ratings_by_hand():
    """Half and half against all: base 2, by Jensen and Shannon."""
    one, other = split(ratings=ratings({1.0: 50, 5.0: 50})), split(ratings=ratings({5.0: 100}))
    ((_, distance),) = rules.of_ratings(one, other, DataGateSettings().skew)
    # P is (1/2, 1/2), Q (0, 1), and their mean (1/4, 3/4).
    by_hand = (0.5 * math.log2(0.5 / 0.25) + 0.5 * math.log2(0.5 / 0.75)) / 2 + math.log2(1 / 0.75) / 2
    assert distance == pytest.approx(by_hand)
    ((_, same),) = rules.of_ratings(one, one, DataGateSettings().skew)
    assert same == 0
