"""Dot product of a user's and a movie's embedding: matrix factorization.

Model: logit = <p_u, q_i> + b_u + b_i + b, the three biases being an option; the probability is its sigmoid.
Loss: of the objective, see `components.trainer.losses`, plus L2 on vectors and biases.
Source: Koren, Bell, Volinsky, "Matrix factorization techniques for recommender systems" (2009), with a
logistic output; defaults in the spirit of Rendle et al., "Neural collaborative filtering vs. matrix
factorization revisited" (2020): a well-regularised dot product is hard to beat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from components.models import VocabularySizes
from components.models.hyperparameters import DotProductConfig
from components.models.layers import GlobalBias, IdEmbedding, id_input, normal, probability
from components.shared.features import MOVIE_KEY, USER_KEY, transformed_name

_SIDES = ((USER_KEY, "user"), (MOVIE_KEY, "movie"))


def build(config: DotProductConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""
    vectors, biases, inputs = [], [], []
    for key, prefix in _SIDES:
        size = getattr(sizes, key)
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
    return keras.Model(inputs, probability(logit), name=config.name)


def vectors(model: keras.Model, users: Mapping[str, Any], movies: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Vectors of users (B, D) and movies (M, D), and what is added to their products, of a shape like (B, M)."""
    ids = {
        prefix: part[transformed_name(key)]
        for (key, prefix), part in zip(_SIDES, (users, movies), strict=True)
    }
    user, movie = (_rows(model, f"{prefix}_embedding", ids[prefix]) for _, prefix in _SIDES)
    if not any(layer.name == "global_bias" for layer in model.layers):
        return user, movie, 0.0
    bias = _rows(model, "user_bias", ids["user"]) + ops.transpose(_rows(model, "movie_bias", ids["movie"]))
    return user, movie, bias + ops.convert_to_tensor(model.get_layer("global_bias").bias)


def _rows(model: keras.Model, layer: str, ids: Any) -> Any:
    return ops.take(ops.convert_to_tensor(model.get_layer(layer).embeddings), ids, axis=0)
