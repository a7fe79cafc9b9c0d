"""Neural matrix factorization: an element-wise product and a perceptron side by side, each on embeddings of its own.

Model: logit = w . [p_u * q_i; MLP([p'_u; q'_i])] + b, the perceptron being that of `mlp`.
Loss: of the objective, see `components.trainer.losses`, plus L2 on the embeddings.
Source: He et al., "Neural collaborative filtering" (2017), eq. 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from components.models import LOGIT, Model, VocabularySizes
from components.models.hyperparameters import ModelConfig
from components.models.mlp import MlpConfig, embedded_ids, hidden_layers
from components.models.mlp import space as space_of_mlp
from components.models.search_space import Dimension, log_range

if TYPE_CHECKING:
    import keras


class NeuMfConfig(MlpConfig):
    """Element-wise product and perceptron side by side."""

    name: str = Field("neumf", description="Name of the model in the registry.")
    mlp_dim: int = Field(32, ge=1, le=1024, description="Length of the perceptron's own embedding vectors.")


def space(config: ModelConfig) -> dict[str, Dimension]:
    """What a search searches."""
    return {**space_of_mlp(config), "mlp_dim": log_range(4, 128)}


def build(config: NeuMfConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""
    import keras

    from components.models.layers import probability

    inputs, product = embedded_ids(config, sizes)
    _, concatenated = embedded_ids(config, sizes, config.mlp_dim, "_mlp", inputs)
    both = [
        keras.layers.Multiply(name="product")(product),
        hidden_layers(config, concatenated),
    ]
    logit = keras.layers.Dense(1, name=LOGIT)(keras.layers.Concatenate(name="both")(both))
    return keras.Model(inputs, probability(logit), name=config.name)


MODEL = Model(NeuMfConfig, build, space)
