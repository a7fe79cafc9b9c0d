"""Multi-layer perceptron over the concatenated embeddings of user and movie.

Model: P(user likes movie) = sigmoid(w . relu(W [p_u; q_i] + c) + b); Dense(64) by default.
Loss: binary cross-entropy, plus L2 on the embeddings of each training row.
Source: the MLP of He et al., "Neural collaborative filtering" (2017), with one hidden layer.
"""

from __future__ import annotations

import keras

from components.features import MOVIE_KEY, USER_KEY, transformed_name
from components.models import VocabularySizes
from components.models.hyperparameters import MlpConfig
from components.models.layers import IdEmbedding, id_input, normal


def build(config: MlpConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""
    inputs, vectors = embedded_ids(config, sizes)
    return keras.Model(inputs, perceptron(config, vectors), name=config.name)


def embedded_ids(
    config: MlpConfig, sizes: VocabularySizes
) -> tuple[list[keras.KerasTensor], list[keras.KerasTensor]]:
    """Inputs for user and movie, (B,) each, and their embeddings, (B, embedding_dim) each."""
    inputs, vectors = [], []
    for key, size, layer in (
        (USER_KEY, sizes.user_id, "user_embedding"),
        (MOVIE_KEY, sizes.movie_id, "movie_embedding"),
    ):
        inputs.append(id_input(transformed_name(key)))
        embedding = IdEmbedding(
            size,
            config.embedding_dim,
            l2=config.embedding_l2,
            embeddings_initializer=normal(config.embedding_init),
            name=layer,
        )
        vectors.append(embedding(inputs[-1]))
    return inputs, vectors


def perceptron(config: MlpConfig, vectors: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Concatenation, hidden layers and the probability, (B, 1)."""
    hidden = keras.layers.Concatenate(name="concatenated")(vectors)
    for number, units in enumerate(config.hidden_units, start=1):
        if config.dropout:
            hidden = keras.layers.Dropout(config.dropout, name=f"dropout_{number}")(hidden)
        hidden = keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")(hidden)
    return keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden)
