"""What ExampleValidator found, in sentences."""

from __future__ import annotations

from collections import Counter

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.data_gate.anomalies import schema_anomalies
from components.data_gate.settings import DataGateSettings
from tests.components.data_gate.made import SCHEMA, data, only, split


def anomaly(rule: str) -> anomalies_pb2.Anomalies:
    anomalies = anomalies_pb2.Anomalies()
    anomalies.baseline.CopyFrom(SCHEMA)
    reason = anomalies.anomaly_info["rating"].reason.add()
    reason.type = anomalies_pb2.AnomalyInfo.Type.Value(rule)
    reason.description = "as TFDV says"
    return anomalies


@pytest.mark.parametrize("rule", anomalies_pb2.AnomalyInfo.Type.keys())
def test_every_type_of_anomaly_has_a_sentence(rule):
    found = list(schema_anomalies({"train": anomaly(rule)}, data(), DataGateSettings()))
    assert only(found).sentence.startswith("rating of train ")
    assert f"data_gate.policy.{rule}:rating=warn" in only(found).accept


def test_values_below_and_above_a_domain_are_counted_apart():
    counts = split(below=Counter(rating=12), above=Counter(rating=700), nan=Counter(rating=3))
    for kind, rows in (("SMALL_FLOAT", 12), ("BIG_FLOAT", 700), ("HAS_NAN", 3)):
        found = anomalies_pb2.Anomalies(baseline=SCHEMA)
        found.anomaly_info["rating"].reason.add(
            type=getattr(anomalies_pb2.AnomalyInfo, f"FLOAT_TYPE_{kind}"), description="d"
        )
        (finding,) = schema_anomalies({"train": found}, data(train=counts), DataGateSettings())
        assert finding.rows == rows
        assert f"in {rows:,} of 2,000 rows" in finding.sentence
