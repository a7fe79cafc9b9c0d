"""Multi-layer perceptron over the concatenated embeddings of user and movie.

Model: logit = w . relu(W [p_u; q_i] + c) + b; Dense(64) by default. The probability is its sigmoid.
Loss: of the objective, see `components.trainer.losses`, plus L2 on the embeddings of each training row.
Source: the MLP of He et al., "Neural collaborative filtering" (2017), with one hidden layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from components.models import VocabularySizes
from components.models.hyperparameters import MlpConfig
from components.models.layers import IdEmbedding, id_input, normal, probability
from components.shared.features import MOVIE_KEY, USER_KEY, transformed_name


def build(config: MlpConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""
    inputs, vectors = embedded_ids(config, sizes)
    return keras.Model(inputs, perceptron(config, vectors), name=config.name)


def embedded_ids(
    config: MlpConfig,
    sizes: VocabularySizes,
    dim: int | None = None,
    suffix: str = "",
    inputs: Sequence[keras.KerasTensor] = (),
) -> tuple[list[keras.KerasTensor], list[keras.KerasTensor]]:
    """Inputs for user and movie, (B,) each, and embeddings of them, (B, dim or embedding_dim) each."""
    asked, vectors = list(inputs), []
    for place, (key, size, layer) in enumerate(
        ((USER_KEY, sizes.user_id, "user"), (MOVIE_KEY, sizes.movie_id, "movie"))
    ):
        if not inputs:
            asked.append(id_input(transformed_name(key)))
        embedding = IdEmbedding(
            size,
            dim or config.embedding_dim,
            l2=config.embedding_l2,
            embeddings_initializer=normal(config.embedding_init),
            name=f"{layer}{suffix}_embedding",
        )
        vectors.append(embedding(asked[place]))
    return asked, vectors


def hidden_layers(config: MlpConfig, vectors: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Concatenation and ReLU layers."""
    hidden = keras.layers.Concatenate(name="concatenated")(vectors)
    for number, units in enumerate(config.hidden_units, start=1):
        if config.dropout:
            hidden = keras.layers.Dropout(config.dropout, name=f"dropout_{number}")(hidden)
        hidden = keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")(hidden)
    return hidden


def perceptron(config: MlpConfig, vectors: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Concatenation, hidden layers and the probability, (B, 1)."""
    return probability(keras.layers.Dense(1, name="logit")(hidden_layers(config, vectors)))
