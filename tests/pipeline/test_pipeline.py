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
