"""Proposals for the curated schema: what changes, and what stays as a person wrote it."""

from __future__ import annotations

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from components.shared.errors import DataError
from pipeline.config import SCHEMA, load_config
from pipeline.operations import schema_edit

TEXT = SCHEMA.read_text(encoding="utf-8")
TYPES = {
    "user_id": pa.large_binary(),
    "movie_id": pa.large_binary(),
    "rating": pa.float32(),
    "timestamp": pa.int64(),
    "genres": pa.large_binary(),
}


def checked(text: str = TEXT, **changes: list) -> schema_edit.Checked:
    """What TFDV says of ten rows of which some columns are others."""
    columns = {
        "user_id": [b"1"],
        "movie_id": [b"2"],
        "rating": [4.0],
        "timestamp": [978300760],
        "genres": [b"Drama"],
    }
    columns |= changes
    arrays = [
        pa.array([values] * 10, pa.large_list(TYPES.get(name, pa.large_binary())))
        for name, values in columns.items()
    ]
    statistics = stats_impl.generate_statistics_in_memory(pa.RecordBatch.from_arrays(arrays, list(columns)))
    anomalies = tfdv.validate_statistics(statistics, text_format.Parse(text, schema_pb2.Schema()))
    violations = list(schema_edit._violations(load_config(), "train", anomalies))
    return schema_edit.Checked("a run", violations, {"train": statistics})


def changed_lines(patch: str) -> list[str]:
    return [line for line in patch.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def test_only_the_line_that_has_to_change_does():
    proposal = schema_edit.propose(TEXT, checked(rating=[100.0]))
    removed, added = changed_lines(proposal.patch)
    assert "max: 5.0" in removed
    assert added == removed.replace("-", "+", 1).replace("max: 5.0", "max: 100.0")
    assert proposal.features == ("rating",)


def test_comments_and_the_other_features_stay():
    proposal = schema_edit.propose(TEXT, checked(timestamp=[978300760000], rating=[100.0]))
    assert proposal.features == ("rating", "timestamp")
    for line in TEXT.splitlines():
        if line.strip().startswith("#"):
            assert line in proposal.text.splitlines()
    assert len(changed_lines(proposal.patch)) == 4


def test_one_feature_of_several():
    proposal = schema_edit.propose(TEXT, checked(timestamp=[0], rating=[100.0]), ["timestamp"])
    assert proposal.features == ("timestamp",)
    assert "max: 5.0" in proposal.text


def test_a_new_feature_is_added_at_the_end():
    proposal = schema_edit.propose(TEXT, checked(device=[b"tv"]))
    assert proposal.text.startswith(TEXT.rstrip("\n"))
    assert 'name: "device"' in proposal.text


def test_the_data_satisfy_what_is_proposed():
    found = checked(rating=[100.0], timestamp=[0], device=[b"tv"])
    proposal = schema_edit.propose(TEXT, found)
    anomalies = tfdv.validate_statistics(
        found.statistics["train"], text_format.Parse(proposal.text, schema_pb2.Schema())
    )
    assert anomalies.anomaly_info == {}


@pytest.mark.parametrize(
    ("domain", "apart"),
    [
        ('string_domain { name: "kinds" value: "Drama" }', ""),
        ('domain: "kinds"', 'string_domain { name: "kinds" value: "Drama" }'),
    ],
    ids=["in the feature", "apart"],
)
def test_a_new_value_is_added_to_the_domain(domain, apart):
    text = TEXT.replace("  value_count { min: 0 max: 30 }", f"  value_count {{ min: 0 max: 30 }}\n  {domain}")
    text += f"\n{apart}\n"
    found = checked(text, genres=[b"Drama", b"Telenovela"])
    assert {violation.rule for violation in found.violations} == {"ENUM_TYPE_UNEXPECTED_STRING_VALUES"}
    proposal = schema_edit.propose(text, found)
    assert 'value: "Drama" value: "Telenovela"' in proposal.text
    schema = text_format.Parse(proposal.text, schema_pb2.Schema())
    assert tfdv.validate_statistics(found.statistics["train"], schema).anomaly_info == {}


def test_what_is_not_violated_is_named():
    with pytest.raises(DataError, match="did you mean 'rating'"):
        schema_edit.propose(TEXT, checked(rating=[100.0]), ["ratng"])


def test_nothing_to_propose():
    assert schema_edit.propose(TEXT, checked()).patch == ""


def test_the_schema_is_never_written(tmp_path):
    path = tmp_path / "schema.pbtxt"
    path.write_text(TEXT)
    written = schema_edit.write(schema_edit.propose(TEXT, checked(rating=[100.0])), path)
    assert path.read_text() == TEXT
    assert {file.name for file in written} == {"schema.pbtxt.proposed", "schema.pbtxt.patch"}
    assert "max: 100.0" in written[0].read_text()


def test_the_level_is_that_of_the_gate():
    anomalies = anomalies_pb2.Anomalies()
    anomalies.anomaly_info["rating"].reason.add().type = anomalies_pb2.AnomalyInfo.FLOAT_TYPE_BIG_FLOAT
    config = load_config(overrides=["data_gate.policy.FLOAT_TYPE_BIG_FLOAT:rating=warn"])
    assert [v.level for v in schema_edit._violations(config, "eval", anomalies)] == ["warn"]


def test_without_a_run_one_is_told_to_start_one(tmp_path):
    with pytest.raises(DataError, match="marquee run"):
        schema_edit.latest(load_config(overrides=[f"root={tmp_path}"]))
