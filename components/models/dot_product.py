"""Dot product of a user's and a movie's embedding: logistic matrix factorization.

Model: P(user likes movie) = sigmoid(<p_u, q_i> + b_u + b_i + b), the three biases being an option.
Loss: binary cross-entropy, plus L2 on the vectors and biases of each training row.
Source: Koren, Bell, Volinsky, "Matrix factorization techniques for recommender systems" (2009), with a
logistic output; defaults in the spirit of Rendle et al., "Neural collaborative filtering vs. matrix
factorization revisited" (2020): a well-regularised dot product is hard to beat.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from components.features import MOVIE_KEY, USER_KEY, transformed_name
from components.models import VocabularySizes
from components.models.hyperparameters import DotProductConfig
from components.models.layers import GlobalBias, IdEmbedding, id_input, normal


def build(config: DotProductConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""
    vectors, biases, inputs = [], [], []
    for key, size, prefix in ((USER_KEY, sizes.user_id, "user"), (MOVIE_KEY, sizes.movie_id, "movie")):
        ids = id_input(transformed_name(key))
        vector = IdEmbedding(
            size,
            config.embedding_dim,
            l2=config.embedding_l2,
            embeddings_initializer=normal(config.embedding_init),
            name=f"{prefix}_embedding",
        )
        bias = IdEmbedding(size, 1, l2=config.bias_l2, embeddings_initializer="zeros", name=f"{prefix}_bias")
        inputs.append(ids)
        vectors.append(vector(ids))
        biases.append(bias(ids))
    logit = keras.layers.Dot(axes=1, name="dot")(vectors)
    if config.use_bias:
        logit = GlobalBias(name="global_bias")(keras.layers.Add(name="biased")([logit, *biases]))
    output = keras.layers.Activation("sigmoid", name="probability")(logit)
    return keras.Model(inputs, output, name=config.name)


def all_pairs(model: keras.Model, users: Any, movies: Any) -> Any:
    """P(user likes movie) of every pair by one matrix product: indices (B,), (M,) -> (B, M)."""

    def rows(layer: str, ids: Any) -> Any:
        return ops.take(ops.convert_to_tensor(model.get_layer(layer).embeddings), ids, axis=0)

    logits = ops.matmul(rows("user_embedding", users), ops.transpose(rows("movie_embedding", movies)))
    if any(layer.name == "global_bias" for layer in model.layers):
        logits += rows("user_bias", users) + ops.transpose(rows("movie_bias", movies))
        logits += ops.convert_to_tensor(model.get_layer("global_bias").bias)
    return ops.sigmoid(logits)
