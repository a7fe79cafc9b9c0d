"""Policy and bars: what is said in the configuration, and what it makes of a finding."""

from __future__ import annotations

import pytest

from components.data_gate.settings import Bars, DataGateSettings, Floors
from components.shared.errors import ConfigError
from pipeline.config import load_config


@pytest.mark.parametrize(
    ("policy", "level"),
    [
        ({}, "fatal"),
        ({"drift": "warn"}, "warn"),
        ({"drift": "warn", "drift:rating": "ignore"}, "ignore"),
        ({"drift:rating": "ignore", "drift": "warn"}, "ignore"),
        ({"drift:genres": "ignore"}, "fatal"),
        ({"*:rating": "warn"}, "warn"),
        ({"drift:*:train": "warn"}, "warn"),
        ({"drift:rating:eval": "warn"}, "fatal"),
        ({"*:rating:train": "ignore", "drift": "warn"}, "warn"),
    ],
)
def test_the_most_specific_entry_of_the_policy_holds(policy, level):
    assert DataGateSettings(policy=policy).level("drift", "rating", "train", "fatal") == level


def test_values_outside_of_a_domain_are_fatal_in_train_alone():
    levels = [
        DataGateSettings().level("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "genres", split, "fatal")
        for split in ("train", "eval", "test")
    ]
    assert levels == ["fatal", "warn", "warn"]


def test_the_policy_overrules_its_defaults():
    settings = DataGateSettings(policy={"SCHEMA_NEW_COLUMN": "fatal"})
    assert settings.level("SCHEMA_NEW_COLUMN", "device", "train", "fatal") == "fatal"


@pytest.mark.parametrize(("value", "level"), [(0.1, None), (0.2, None), (0.3, "warn"), (0.6, "fatal")])
def test_bars_are_exceeded_above_and_floors_below(value, level):
    assert Bars(warn=0.2, fatal=0.5).level(value) == level
    assert Floors(warn=0.8, fatal=0.5).level(1 - value) == level


def test_no_bar_is_never_exceeded():
    assert Bars().level(1e9) is None
    assert Bars(warn=1).level(2) == "warn"


def test_a_bar_that_is_set_leaves_the_others_as_they_are():
    settings = load_config(overrides=["data_gate.drift.rating.fatal=0.4"]).data_gate
    assert settings.drift.rating == Bars(warn=0.02, fatal=0.4)
    assert settings.drift.genres == DataGateSettings().drift.genres
    assert settings.volume == DataGateSettings().volume


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data_gate.policy.drfit=warn", "did you mean 'drift'"),
        ("data_gate.policy.FLOAT_TYPE_BIG_FLAOT=warn", "did you mean 'FLOAT_TYPE_BIG_FLOAT'"),
        ("data_gate.policy.drift:rating:validation=warn", "train, eval, test"),
        ("data_gate.policy.drift=stop", "warn"),
        ("data_gate.drift.raing.fatal=1", "did you mean data_gate.drift.rating?"),
    ],
)
def test_mistakes_are_named(override, words):
    with pytest.raises(ConfigError) as error:
        load_config(overrides=[override])
    assert words in str(error.value)
