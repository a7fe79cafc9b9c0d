"""Search spaces are typed by the models' own classes, and what is set by hand is not searched."""

from __future__ import annotations

import pytest

from components.models import MODELS, config_of
from components.models.dot_product import DotProductConfig
from components.models.mlp import MlpConfig
from components.models.neumf import NeuMfConfig
from components.models.search_space import (
    Dimension,
    decoded,
    default_space,
    encoded,
    purpose,
    search_space,
    sentence,
    with_values,
)
from components.models.two_tower import TwoTowerConfig
from components.shared.errors import ConfigError


@pytest.mark.parametrize("objective", ["like", "interaction"])
@pytest.mark.parametrize("name", MODELS)
def test_default_spaces_are_allowed_and_have_the_defaults_in_them(name, objective):
    """So that the first trial can be the model as it comes; the embedding dimension is first of all."""
    model = config_of(name, objective=objective)
    space = search_space(model, {})
    assert next(iter(space)) == "embedding_dim"
    assert space.keys() == default_space(model).keys() >= {"embedding_l2", "learning_rate", "batch_size"}
    assert [key for key in space if getattr(model, key) not in space[key]] == []
    for key, dimension in space.items():
        ends = dimension.choices or (dimension.min, dimension.max)
        assert {type(end) for end in ends} == {type(getattr(model, key))}, key


def test_spaces_follow_model_and_loss():
    assert "hidden_units" not in search_space(DotProductConfig(), {})
    assert "negatives" not in search_space(DotProductConfig(objective="interaction"), {})
    assert "vector_dropout" in search_space(DotProductConfig(objective="interaction"), {})
    assert "negatives" in search_space(DotProductConfig(objective="interaction", loss="binary"), {})
    assert "negatives" in search_space(MlpConfig(objective="interaction"), {})
    assert "mlp_dim" in search_space(NeuMfConfig(), {})
    assert () in search_space(TwoTowerConfig(), {})["hidden_units"].choices


def test_what_is_set_by_hand_is_not_searched():
    assert "embedding_dim" not in search_space(DotProductConfig(embedding_dim=7), {})
    assert search_space(DotProductConfig(embedding_dim=7), {}, ["embedding_dim"]) == {}
    assert "embedding_dim" in search_space(DotProductConfig(embedding_dim=32), {})


def test_given_dimensions_replace_the_default_ones_in_part_or_in_whole():
    space = search_space(
        MlpConfig(),
        {
            "embedding_dim": Dimension(max=64.0),
            "learning_rate": Dimension(choices=(1, 0.5)),
            "embedding_init": Dimension(min=0.01, max=0.1),
        },
    )
    assert space["embedding_dim"] == Dimension(min=4, max=64)
    assert space["learning_rate"].choices == (1.0, 0.5)
    assert "embedding_init" in space
    assert list(search_space(MlpConfig(), {}, ["dropout"])) == ["dropout"]


@pytest.mark.parametrize(
    ("given", "keys", "parts"),
    [
        (
            {"embeding_dim": Dimension(min=1, max=2)},
            None,
            ["tuning.space.embeding_dim", "mean embedding_dim?"],
        ),
        ({}, ["hidden_units"], ["tuning.keys", "'hidden_units' of dot_product", "one of"]),
        ({}, ["seed"], ["'seed'"]),
        ({}, ["negatives"], ["'negatives'"]),
        ({}, ["vector_dropout"], ["'vector_dropout'"]),
        ({}, ["bias_l2"], ["no default range", "tuning.space.bias_l2"]),
        ({"embedding_dim": Dimension(min=0)}, None, ["embedding_dim.min", "found:    0", "greater than"]),
        ({"embedding_dim": Dimension(max=9999)}, None, ["embedding_dim.max", "9999", "less than or equal"]),
        ({"embedding_dim": Dimension(min=4.5)}, None, ["4.5", "valid integer"]),
        ({"learning_rate": Dimension(choices=("fast",))}, None, ["'fast'", "valid number"]),
        ({"embedding_dim": Dimension(min=8, max=8)}, None, ["min 8, max 8", "min < max"]),
        ({"embedding_l2": Dimension(min=0)}, None, ["begins above 0", "scale: linear"]),
        ({"use_bias": Dimension(min=0, max=1)}, None, ["use_bias is not a number", "choices"]),
        ({"bias_l2": Dimension(min=1)}, None, ["no ends"]),
    ],
)
def test_a_mistake_is_named(given, keys, parts):
    with pytest.raises(ConfigError) as caught:
        search_space(DotProductConfig(), given, keys)
    for part in parts:
        assert part in str(caught.value)


def test_values_go_to_kerastuner_and_back():
    """Choices are JSON, KerasTuner's own values are left out, and fractions are what people can write down."""
    space = search_space(MlpConfig(), {})
    raw = {
        "embedding_dim": 24,
        "learning_rate": 0.00123456,
        "hidden_units": encoded((64, 32), space["hidden_units"]),
        "tuner/epochs": 4,
    }
    assert decoded(raw) == {"embedding_dim": 24, "learning_rate": 0.00123, "hidden_units": [64, 32]}
    assert with_values(MlpConfig(seed=7), raw) == MlpConfig(
        seed=7, embedding_dim=24, learning_rate=0.00123, hidden_units=(64, 32)
    )
    assert sentence(decoded(raw)) == "embedding_dim 24, learning_rate 0.00123, hidden_units [64, 32]"


def test_values_are_tuned_for_a_model_an_objective_the_keys_and_the_rest_of_the_values():
    def of(model=DotProductConfig(), keys=("embedding_dim", "learning_rate"), positives="liked"):  # noqa: B008
        return purpose(model, keys, positives)

    same = [
        of(DotProductConfig(seed=3, epochs=2, patience=1, refit=False)),
        of(keys=("learning_rate", "embedding_dim")),
        of(positives="rated"),  # of no matter for likes
    ]
    assert {of(), *same} == {of()}
    others = [
        of(MlpConfig()),
        of(DotProductConfig(objective="interaction")),
        of(DotProductConfig(objective="interaction"), positives="rated"),
        of(DotProductConfig(use_bias=False)),
        of(keys=("embedding_dim",)),
    ]
    assert len({of(), *others}) == 1 + len(others)
