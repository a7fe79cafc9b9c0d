"""The Pusher's executor on artifacts as TFX gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfx.dsl.components.base import base_executor
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from components.pusher import versions
from components.pusher.component import Executor
from components.shared.artifact_types import BlessingReport, RankingEvaluation
from tests.components.pusher.test_versions import saved_model


@pytest.fixture
def artifacts(tmp_path):
    """Inputs and outputs of one execution."""
    model, blessing = standard_artifacts.Model(), standard_artifacts.ModelBlessing()
    evaluation, examples = standard_artifacts.ModelEvaluation(), standard_artifacts.Examples()
    pushed = standard_artifacts.PushedModel()
    model.uri, model.id, blessing.id = str(tmp_path / "model"), 5, 7
    saved_model(Path(model.uri) / "Format-Serving")
    blessing.set_int_custom_property("blessed", 1)
    evaluation.set_float_custom_property("auc", 0.75)
    evaluation.set_string_custom_property("failures", "[]")
    examples.set_int_custom_property("span", 3)
    examples.set_int_custom_property("oldest_timestamp", 874724710)
    examples.set_int_custom_property("newest_timestamp", 893286638)
    ranking, report = RankingEvaluation(), BlessingReport()
    ranking.set_int_custom_property("primary_k", 5)
    for name, value in {"ndcg@5": 0.2, "recall@5": 0.1, "popularity_ndcg@5": 0.15}.items():
        ranking.set_float_custom_property(name, value)
    pushed.uri = str(tmp_path / "pushed_model")
    inputs = {
        "model": [model],
        "model_blessing": [blessing],
        "evaluation": [evaluation],
        "examples": [examples],
        "ranking": [ranking],
        "report": [report],
    }
    return inputs, {"pushed_model": [pushed]}


def push(
    artifacts, base: Path, run_id: str = "2026-01-01", execution: int = 11, **properties: int
) -> standard_artifacts.PushedModel:
    inputs, outputs = artifacts
    destination = pusher_pb2.PushDestination(
        filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(base))
    )
    context = base_executor.BaseExecutor.Context(unique_id=str(execution), pipeline_run_id=run_id)
    properties = {"push_destination": proto_utils.proto_to_json(destination), **properties}
    Executor(context).Do(inputs, outputs, properties)
    return outputs["pushed_model"][0]


def test_blessed_model_is_pushed_and_recorded(artifacts, tmp_path):
    pushed = push(artifacts, tmp_path / "serving")
    (version,) = versions.versions(tmp_path / "serving")
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == version.name
    assert pushed.get_string_custom_property("pushed_destination") == str(version)
    assert pushed.get_string_custom_property("run_id") == "2026-01-01"
    assert pushed.get_int_custom_property("model_id") == 5
    assert pushed.get_int_custom_property("blessing_id") == 7
    assert pushed.get_int_custom_property("data_span") == 3
    assert pushed.get_int_custom_property("oldest_timestamp") == 874724710
    assert pushed.get_int_custom_property("newest_timestamp") == 893286638
    assert pushed.get_float_custom_property("auc") == 0.75
    marker = versions.read_marker(version)
    assert (marker.execution_id, marker.metrics) == (11, {"auc": 0.75})
    assert versions.digest(Path(pushed.uri)) == marker.model_digest


def test_second_execution_for_the_same_model_names_the_version_that_is_there(artifacts, tmp_path):
    first = push(artifacts, tmp_path / "serving").get_string_custom_property("pushed_version")
    again = push(artifacts, tmp_path / "serving", run_id="2026-01-02", execution=22)
    assert again.get_string_custom_property("pushed_version") == first
    assert again.get_string_custom_property("run_id") == "2026-01-01"
    assert len(versions.versions(tmp_path / "serving")) == 1


def older(artifacts) -> None:
    """The same inputs with another model, of ratings a day older."""
    (model,), (examples,) = artifacts[0]["model"], artifacts[0]["examples"]
    model.id = 6
    (Path(model.uri) / "Format-Serving/variables/variables.index").write_bytes(b"another")
    examples.set_int_custom_property("newest_timestamp", 893286638 - 86_400)


def test_a_backfill_is_not_pushed_over_a_model_of_newer_ratings(artifacts, tmp_path):
    base = tmp_path / "serving"
    artifacts[0]["examples"][0].set_string_custom_property("first_span", "2")
    artifacts[0]["examples"][0].set_string_custom_property("last_span", "4")
    served = push(artifacts, base, push_older=0).get_string_custom_property("pushed_version")
    marker = versions.read_marker(base / served)
    assert (marker.first_span, marker.last_span) == ("2", "4")
    again = push(artifacts, base, execution=12, push_older=0)
    assert (
        again.get_string_custom_property("pushed_version") == served
    )  # ratings of the same age are none older
    older(artifacts)
    artifacts[1]["pushed_model"][0] = standard_artifacts.PushedModel()
    kept = push(artifacts, base, execution=13, push_older=0)
    assert kept.get_int_custom_property("pushed") == 0
    assert kept.get_string_custom_property("not_pushed") == (
        f"its newest rating is of 1998-04-21, that of version {served} of 1998-04-22"
    )
    assert [one.name for one in versions.versions(base)] == [served]


def test_a_backfill_is_pushed_where_it_is_told_to(artifacts, tmp_path):
    push(artifacts, tmp_path / "serving")
    older(artifacts)
    artifacts[1]["pushed_model"][0].uri = str(tmp_path / "pushed_again")
    assert (
        push(artifacts, tmp_path / "serving", execution=12, push_older=1).get_int_custom_property("pushed")
        == 1
    )
    assert len(versions.versions(tmp_path / "serving")) == 2


def test_model_that_is_not_blessed_is_not_pushed(artifacts, tmp_path):
    artifacts[0]["model_blessing"][0].set_int_custom_property("blessed", 0)
    assert push(artifacts, tmp_path / "serving").get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists()


def test_what_only_completes_the_record_is_optional(artifacts, tmp_path):
    inputs, outputs = artifacts
    for key in ("evaluation", "examples", "ranking", "report"):
        del inputs[key]
    assert push((inputs, outputs), tmp_path / "serving").get_int_custom_property("pushed") == 1
    marker = versions.read_marker(versions.versions(tmp_path / "serving")[0])
    assert (marker.data_span, marker.newest_timestamp, marker.metrics) == (None, None, {})


def test_version_says_what_its_model_is_for_and_what_decided(artifacts, tmp_path):
    (report,) = artifacts[0]["report"]
    report.set_string_custom_property("objective", "interaction")
    report.set_string_custom_property("metric", "recall@5")
    pushed = push(artifacts, tmp_path / "serving")
    marker = versions.read_marker(versions.versions(tmp_path / "serving")[0])
    assert (marker.objective, marker.metric) == ("interaction", "recall@5")
    assert marker.metrics == {"auc": 0.75, "recall@5": 0.1}
    assert pushed.get_string_custom_property("objective") == "interaction"
    assert pushed.get_string_custom_property("metric") == "recall@5"
    assert pushed.get_float_custom_property("recall@5") == 0.1


@pytest.mark.parametrize(
    ("objective", "metric", "metrics"),
    [("interaction", "ndcg@5", {"auc": 0.75, "ndcg@5": 0.2}), ("like", "log_loss", {"auc": 0.75})],
)
def test_where_the_report_does_not_say_it_the_model_does(artifacts, tmp_path, objective, metric, metrics):
    artifacts[0]["model"][0].set_string_custom_property("objective", objective)
    push(artifacts, tmp_path / "serving")
    marker = versions.read_marker(versions.versions(tmp_path / "serving")[0])
    assert (marker.objective, marker.metric, marker.metrics) == (objective, metric, metrics)
