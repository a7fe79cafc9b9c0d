"""A model from outside of the package: the dot product without biases, and a scale that is trained."""

from __future__ import annotations

import keras
from keras import ops
from pydantic import Field

from components.models import MOVIE_EMBEDDING, USER_EMBEDDING, Model, VocabularySizes
from components.models.hyperparameters import ModelConfig
from components.models.layers import IdEmbedding, id_input, normal, probability
from components.models.search_space import log_range


class ScaledConfig(ModelConfig):
    """Hyperparameters."""

    name: str = Field(__name__, description="Name of the model in the registry.")
    scale: float = Field(1.0, gt=0, description="The scale at the beginning.")


def build(config: ScaledConfig, sizes: VocabularySizes) -> keras.Model:
    """logit = s <p_u, q_i>."""
    users, movies = id_input("user_id_xf"), id_input("movie_id_xf")
    vectors = [
        IdEmbedding(
            size,
            config.embedding_dim,
            l2=config.embedding_l2,
            embeddings_initializer=normal(config.embedding_init),
            name=name,
        )(ids)
        for size, name, ids in (
            (sizes.user_id, USER_EMBEDDING, users),
            (sizes.movie_id, MOVIE_EMBEDDING, movies),
        )
    ]
    dot = keras.layers.Dot(axes=1, name="dot")(vectors)
    scaled = keras.layers.Dense(
        1, use_bias=False, kernel_initializer=keras.initializers.Constant(config.scale), name="scaled"
    )(dot)
    return keras.Model([users, movies], probability(scaled), name=config.name)


def vectors(model, users, movies):
    """Vectors of users and movies, and nothing added."""
    scale = ops.convert_to_tensor(model.get_layer("scaled").kernel)
    user, movie = (
        ops.take(ops.convert_to_tensor(model.get_layer(layer).embeddings), part[key], axis=0)
        for layer, part, key in (
            (USER_EMBEDDING, users, "user_id_xf"),
            (MOVIE_EMBEDDING, movies, "movie_id_xf"),
        )
    )
    return user * scale, movie, 0.0


def space(config: ScaledConfig):
    """Two dimensions."""
    return {"embedding_dim": log_range(4, 16), "learning_rate": log_range(0.001, 0.01)}


MODEL = Model(ScaledConfig, build, space, vectors)
