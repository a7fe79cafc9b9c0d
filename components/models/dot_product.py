"""Dot product of a user's and a movie's embedding: matrix factorization.

Model: logit = <p_u, q_i> + b_u + b_i + b, the three biases being an option; the probability is its sigmoid.
Loss: of the objective, see `components.trainer.losses`, plus L2 on vectors and biases.
Source: Koren, Bell, Volinsky, "Matrix factorization techniques for recommender systems" (2009), with a
logistic output; defaults in the spirit of Rendle et al., "Neural collaborative filtering vs. matrix
factorization revisited" (2020): a well-regularised dot product is hard to beat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from components.models import (
    GLOBAL_BIAS,
    MOVIE_BIAS,
    USER_BIAS,
    Model,
    VocabularySizes,
    bias_of,
    embedding_of,
)
from components.models.hyperparameters import ModelConfig
from components.models.search_space import Dimension, log_range
from components.shared.features import MOVIE_KEY, USER_KEY, transformed_name

if TYPE_CHECKING:
    import keras

_SIDES = ((USER_KEY, "user"), (MOVIE_KEY, "movie"))


class ProductConfig(ModelConfig):
    """What dot products have in common."""

    learning_rate: float = Field(0.02, gt=0, le=1, description="Learning rate of Adam.")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "linear",
        description="How the learning rate falls to nothing over `epochs`, if it does; nothing stops early then.",
    )
    max_batch_size: int | None = Field(16_384, ge=1, description="Most rows in a training step of likes.")
    epochs: int = Field(8, ge=1, description="Most passes over the training rows.")
    warm_epochs: int | None = Field(
        4, ge=1, description="Most passes where training starts from earlier weights; null: those of epochs."
    )
    l2_factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1.0, 3.0, 10.0),
        min_length=1,
        description="Multiples of all L2 penalties to train with in turn, until the validation metric is worse than"
        " before; 1 where embedding_l2 is set.",
    )
    bias_l2: float = Field(0.003, ge=0, description="L2 penalty on the biases that a training row looks up.")


class DotProductConfig(ProductConfig):
    """Matrix factorization: dot product of user and movie embeddings."""

    INTERACTION: ClassVar[dict[str, Any]] = {
        "loss": "softmax",
        "rest_weight": 0.2,
        "item_item": 128,
        "l2_factors": (1.0,),
        "bias_l2": 0.001,
        "embedding_dim": 64,
        "embedding_l2": 5.0,
        "embedding_init": 0.1,
        "learning_rate": 0.01,
        "schedule": "linear",
        "batch_size": 64,
        "epochs": 40,
        "max_steps": 2000,
        "warm_epochs": None,
    }

    name: str = Field("dot_product", description="Name of the model in the registry.")
    use_bias: bool = Field(True, description="Whether to add a user, a movie and a global bias to the logit.")
    item_item: int = Field(
        0,
        ge=0,
        le=1024,
        description="Length that a regression of each movie on the others adds to the vectors (interaction); 0: none.",
    )


def space(config: ModelConfig) -> dict[str, Dimension]:
    """What a search searches, of any dot product."""
    if config.loss == "softmax":
        return {
            "embedding_dim": log_range(16, 256),
            "embedding_l2": log_range(0.5, 50.0),
            "learning_rate": log_range(0.003, 0.03),
            "batch_size": log_range(32, 256),  # users
            "rest_weight": Dimension(min=0.0, max=0.5, scale="linear"),
            "vector_dropout": Dimension(min=0.0, max=0.6, scale="linear"),
        }
    return {
        "embedding_dim": log_range(4, 128),
        "embedding_l2": log_range(0.003, 0.3),
        "learning_rate": log_range(0.003, 0.05),
        "batch_size": log_range(256, 4096),
    }


def build(config: DotProductConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""
    import keras

    from components.models.layers import GlobalBias, IdEmbedding, id_input, normal, probability

    vectors, biases, inputs = [], [], []
    for key, prefix in _SIDES:
        size = getattr(sizes, key)
        ids = id_input(transformed_name(key))
        vector = IdEmbedding(
            size,
            config.embedding_dim,
            l2=config.embedding_l2,
            embeddings_initializer=normal(config.embedding_init),
            name=embedding_of(prefix),
        )
        bias = IdEmbedding(size, 1, l2=config.bias_l2, embeddings_initializer="zeros", name=bias_of(prefix))
        inputs.append(ids)
        vectors.append(vector(ids))
        biases.append(bias(ids))
    logit = keras.layers.Dot(axes=1, name="dot")(vectors)
    if config.use_bias:
        logit = GlobalBias(name=GLOBAL_BIAS)(keras.layers.Add(name="biased")([logit, *biases]))
    return keras.Model(inputs, probability(logit), name=config.name)


def vectors(model: keras.Model, users: Mapping[str, Any], movies: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Vectors of users (B, D) and movies (M, D), and what is added to their products, of a shape like (B, M)."""
    from keras import ops

    ids = {
        prefix: part[transformed_name(key)]
        for (key, prefix), part in zip(_SIDES, (users, movies), strict=True)
    }
    user, movie = (_rows(model, embedding_of(prefix), ids[prefix]) for _, prefix in _SIDES)
    if not any(layer.name == GLOBAL_BIAS for layer in model.layers):
        return user, movie, 0.0
    bias = _rows(model, USER_BIAS, ids["user"]) + ops.transpose(_rows(model, MOVIE_BIAS, ids["movie"]))
    return user, movie, bias + ops.convert_to_tensor(model.get_layer(GLOBAL_BIAS).bias)


def _rows(model: keras.Model, layer: str, ids: Any) -> Any:
    from keras import ops

    return ops.take(ops.convert_to_tensor(model.get_layer(layer).embeddings), ids, axis=0)


MODEL = Model(DotProductConfig, build, space, vectors)
