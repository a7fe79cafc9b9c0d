"""Neural matrix factorization: an element-wise product and a perceptron side by side, each on embeddings of its own.

Model: logit = w . [p_u * q_i; MLP([p'_u; q'_i])] + b, the perceptron being that of `mlp`.
Loss: of the objective, see `components.trainer.losses`, plus L2 on the embeddings.
Source: He et al., "Neural collaborative filtering" (2017), eq. 12.
"""

from __future__ import annotations

import keras

from components.models import VocabularySizes
from components.models.hyperparameters import NeuMfConfig
from components.models.layers import probability
from components.models.mlp import embedded_ids, hidden_layers


def build(config: NeuMfConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""
    inputs, product = embedded_ids(config, sizes)
    _, concatenated = embedded_ids(config, sizes, config.mlp_dim, "_mlp", inputs)
    both = [
        keras.layers.Multiply(name="product")(product),
        hidden_layers(config, concatenated),
    ]
    logit = keras.layers.Dense(1, name="logit")(keras.layers.Concatenate(name="both")(both))
    return keras.Model(inputs, probability(logit), name=config.name)
