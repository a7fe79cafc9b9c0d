"""All rules together: what the policy makes of them, and where some are off."""

from __future__ import annotations

import dataclasses

from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.data_gate import rules
from components.data_gate.findings import Expectations
from components.data_gate.settings import DataGateSettings
from components.shared.features import SPLITS, LabelRule
from tests.components.data_gate.made import NOW, SCHEMA, check, data, only, split


def test_nothing_amiss():
    assert check(data()) == []
    assert check(data(), data()) == []


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


def test_policy_has_the_last_word():
    few = data(eval=split(rows=60))
    assert only(check(few, policy={"minimum": "warn"})).level == "warn"
    assert check(few, policy={"minimum": "ignore"}) == []


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
