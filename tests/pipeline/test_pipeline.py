"""The wiring, as TFX sees it."""

from __future__ import annotations

import json

import pytest

from components.shared import artifacts
from pipeline.config import load_config

OURS = (
    artifacts.EXAMPLE_GEN,
    artifacts.DATA_GATE,
    artifacts.TRANSFORM,
    artifacts.TRAINER,
    artifacts.EVALUATOR,
    artifacts.RANKING_EVALUATOR,
    artifacts.BLESSING,
    artifacts.SERVING_VALIDATOR,
    artifacts.REPORT,
)


@pytest.fixture
def made(tmp_path):
    from pipeline.pipeline import create_pipeline

    def make(*overrides: str):
        config = load_config(None, [f"root={tmp_path}", *overrides])
        return {one.id: one for one in create_pipeline(config).components}

    return make


def test_nodes_bear_the_ids_by_which_others_find_them(made):
    """Runs, figures and recovery look nodes up by the constants."""
    nodes = made("model.warm_start=true").keys() | made("tuning.tune=true").keys()
    nodes |= made("serving.kind=docker").keys()
    names = {value for key, value in vars(artifacts).items() if key.isupper() and isinstance(value, str)}
    assert nodes <= names
    assert nodes >= {*OURS, artifacts.TUNER, artifacts.TUNED_VALUES, artifacts.PUSHER, artifacts.BASE_MODEL}


def test_each_component_of_ours_runs_again_when_its_code_changes(made):
    """TFX's cache sees parameters, not code: each has a fingerprint of its own among them."""
    nodes = made("tuning.tune=true")
    codes = {}
    for name in (*OURS, artifacts.TUNER):
        properties = nodes[name].exec_properties
        custom = json.loads(properties.get("custom_config") or "{}")
        codes[name] = properties.get("code") or custom["code"]
    assert all(codes.values())
    assert len(set(codes.values())) == len(codes)


def test_a_backfill_is_not_stopped_for_being_older_and_keeps_from_what_is_newer(made, tmp_path):
    for number in (1, 2):
        (tmp_path / f"r-{number}.csv").write_text("user_id,movie_id,rating,timestamp\n1,2,4,5\n")
    log = [f"data.path={tmp_path}", "data.layout=csv", "data.ratings_file=r-{SPAN}.csv"]

    def bars(*overrides: str) -> dict:
        return json.loads(made(*log, *overrides)[artifacts.DATA_GATE].exec_properties["settings"])

    assert bars("data.spans.last=2")["freshness"]["step_back_days"] == {"warn": 1, "fatal": 7}
    backfill = bars("data.spans.to=1")
    assert backfill["freshness"].pop("step_back_days") == {"warn": 1, "fatal": None}
    assert backfill["minimum"] == bars("data.spans.last=2")["minimum"]
    for overrides, older in (([], 1), (["data.spans.to=1"], 0), (["data.spans.push_older=true"], 1)):
        assert made(*log, *overrides)[artifacts.PUSHER].exec_properties["push_older"] == older


def test_a_changed_model_from_outside_is_trained_and_searched_again(made, tmp_path, monkeypatch):
    """Its file is in the fingerprints of Trainer and Tuner, and in no others."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "another" / "model.py"
    file.parent.mkdir()
    file.write_text("from components.models.mlp import MODEL\n")

    def codes() -> dict[str, str]:
        nodes = made("tuning.tune=true", "model.name=another.model")
        return {
            name: str(node.exec_properties)
            for name, node in nodes.items()
            if name in (*OURS, artifacts.TUNER)
        }

    before = codes()
    assert codes() == before
    file.write_text(file.read_text() + "# another line\n")
    after = codes()
    assert {name for name in before if before[name] != after[name]} == {artifacts.TRAINER, artifacts.TUNER}
