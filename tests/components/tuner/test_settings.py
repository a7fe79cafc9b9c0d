"""What may be set about the search, through the configuration, and what is said of mistakes."""

from __future__ import annotations

import pytest

from components.models.search_space import Dimension
from components.shared.errors import ConfigError
from pipeline.config import load_config


def test_spaces_are_typed_in_yaml(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "model: {name: mlp}\n"
        "tuning:\n"
        "  tune: true\n"
        "  keys: [embedding_dim, hidden_units, dropout]\n"
        "  space:\n"
        "    embedding_dim: {min: 8, max: 64}\n"
        "    hidden_units: {choices: [[16], [32, 16]]}\n"
        "    dropout: {max: 0.2}\n"
    )
    assert load_config(str(file)).search_space() == {
        "embedding_dim": Dimension(min=8, max=64),
        "hidden_units": Dimension(choices=((16,), (32, 16))),
        "dropout": Dimension(min=0.0, max=0.2, scale="linear"),
    }


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["tuning.keys=[]", "tuning.tune=true"], ["search space is empty", "tuning.keys"]),
        (
            ["tuning.keys=[embedding_dim]", "model.embedding_dim=8", "tuning.tune=true"],
            ["search space is empty"],
        ),
        (
            ["tuning.keys=[hidden_units]", "model.name=dot_product"],
            ["'hidden_units' of dot_product", "tuning.keys"],
        ),
        (["tuning.space.embedding_dims={min: 2}"], ["tuning.space.embedding_dims", "did you mean"]),
        (["tuning.space.embedding_dim.max=5000"], ["tuning.space.embedding_dim.max", "5000", "1024"]),
        (
            ["tuning.space.embedding_dim.maxx=5"],
            ["tuning.space.embedding_dim.maxx", "choices, max, min, scale"],
        ),
        (["tuning.space.embedding_dim={choices: [2], max: 3}"], ["either choices, or min and max"]),
        (["tuning.algorithm=bayes"], ["tuning.algorithm", "bayesian, hyperband, random", "did you mean"]),
        (["tuning.max_trials=0"], ["tuning.max_trials", "greater than or equal to 1"]),
    ],
)
def test_a_mistake_is_named(overrides, parts):
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=overrides)
    for part in parts:
        assert part in str(caught.value)


def test_an_empty_space_is_no_mistake_of_a_run_that_does_not_search():
    assert (
        load_config(overrides=["tuning.keys=[embedding_dim]", "model.embedding_dim=8"]).search_space() == {}
    )
