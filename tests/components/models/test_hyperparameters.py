"""Hyperparameters refuse what makes no sense, and cost nothing to import."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from components.models import MODELS, AnyModelConfig, config_of, find
from components.models.dot_product import DotProductConfig
from components.models.mlp import MlpConfig
from components.shared.errors import ConfigError

any_config = TypeAdapter(AnyModelConfig)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_name_selects_the_class(name):
    """A mapping with a name and nothing else gives that model with its own defaults."""
    config = any_config.validate_python({"name": name})
    assert type(config) is find(name).config
    assert any_config.validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"name": "dot_product", "embedding_dim": 0}, "embedding_dim"),
        ({"name": "dot_product", "embedding_l2": -0.1}, "embedding_l2"),
        ({"name": "dot_product", "learning_rate": 0}, "learning_rate"),
        ({"name": "dot_product", "batch_size": 0}, "batch_size"),
        ({"name": "dot_product", "epochs": 0}, "epochs"),
        ({"name": "dot_product", "patience": 0}, "patience"),
        ({"name": "dot_product", "seed": -1}, "seed"),
        ({"name": "dot_product", "l2_exponent": 1.5}, "l2_exponent"),
        ({"name": "dot_product", "embeding_dim": 8}, "embeding_dim"),
        ({"name": "dot_product", "hidden_units": [8]}, "hidden_units"),
        ({"name": "mlp", "use_bias": True}, "use_bias"),
        ({"name": "mlp", "dropout": 1.0}, "dropout"),
        ({"name": "genre_mlp", "hidden_units": [64, 0]}, "hidden_units"),
    ],
)
def test_bad_values_are_refused(settings, where):
    """The error names the key, whether its value or the key itself is wrong."""
    with pytest.raises(ValidationError, match=where):
        any_config.validate_python(settings)


def test_unknown_name_lists_the_models():
    """The error says which names there are."""
    with pytest.raises(ConfigError, match="one of dot_product, mlp, genre_mlp"):
        any_config.validate_python({"name": "svd"})


def test_configs_are_frozen_and_documented():
    """A configuration cannot change under a run, and every field has its sentence."""
    with pytest.raises(ValidationError):
        DotProductConfig().epochs = 3
    for config in (find(name).config for name in MODELS):
        for name, field in config.model_fields.items():
            assert (field.description or "").endswith("."), name


def test_hidden_layers_can_be_left_out():
    """No hidden layer is a valid choice: logistic regression on the embeddings."""
    assert MlpConfig(hidden_units=()).hidden_units == ()


def test_importing_configs_does_not_import_keras():
    """The command line validates configurations without TensorFlow's seconds."""
    code = (
        "import sys, components.models, components.models.hyperparameters; "
        "sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_strength_that_is_set_is_the_only_one_trained_with():
    """The multiples are for a default that may not suit the data; a sweep over strengths has them as they are."""
    assert len(config_of("dot_product").l2_factors) > 1
    assert config_of("dot_product", embedding_l2=0.03).l2_factors == (1.0,)
    assert config_of("dot_product", embedding_l2=0.03, l2_factors=(1.0, 2.0)).l2_factors == (1.0, 2.0)
    both = config_of("dot_product")
    assert any_config.validate_python(both.model_dump()) == both
