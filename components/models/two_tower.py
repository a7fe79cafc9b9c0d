"""Two towers: a user's vector, and a movie's from its id, genres and year, so that a new movie has one too.

Model: logit = <f(p_u), g(q_i + mean of its genres' vectors + its year's vector)> + b_u + b_i + b; f and g are dense
ReLU layers with a linear one of embedding_dim units at the end, or nothing where `hidden_units` is empty (the default).
Loss: of the objective, see `components.trainer.losses`, plus L2.
Source: Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations" (2019) for the
towers; Kula, "Metadata embeddings for user and item cold-start recommendations" (2015) for the sum of features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from components.models import (
    GLOBAL_BIAS,
    MOVIE_BIAS,
    MOVIE_EMBEDDING,
    USER_BIAS,
    USER_EMBEDDING,
    Model,
    VocabularySizes,
    embedding_of,
)
from components.models.dot_product import DotProductConfig, ProductConfig
from components.models.dot_product import space as space_of_dot_product
from components.models.hyperparameters import ModelConfig
from components.models.search_space import Dimension
from components.shared.features import (
    GENRES_KEY,
    MOVIE_KEY,
    NUM_YEAR_BUCKETS,
    USER_KEY,
    YEAR_KEY,
    transformed_name,
)

if TYPE_CHECKING:
    import keras

USER, MOVIE, GENRES, YEAR = map(transformed_name, (USER_KEY, MOVIE_KEY, GENRES_KEY, YEAR_KEY))
_USER_VECTOR, _MOVIE_VECTOR = "user_vector", "movie_vector"


class TwoTowerConfig(ProductConfig):
    """A user tower, and a movie tower over id, genres and year."""

    INTERACTION: ClassVar[dict[str, Any]] = {
        key: value for key, value in DotProductConfig.INTERACTION.items() if key != "item_item"
    }

    name: str = Field("two_tower", description="Name of the model in the registry.")
    hidden_units: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        (), description="Units of each hidden ReLU layer of both towers; none: the vectors themselves."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Fraction of the hidden layers' outputs dropped in training."
    )
    feature_l2: float = Field(0.03, ge=0, description="L2 penalty on the vectors of genres and years.")


def space(config: ModelConfig) -> dict[str, Dimension]:
    """What a search searches."""
    return {**space_of_dot_product(config), "hidden_units": Dimension(choices=((), (64,), (128, 64)))}


def build(config: TwoTowerConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""

    import keras

    from components.models.layers import (
        GlobalBias,
        IdEmbedding,
        MeanEmbedding,
        id_input,
        normal,
        probability,
    )

    def ids(size: int, name: str, dim: int = config.embedding_dim, **settings: Any) -> keras.layers.Layer:
        settings = {
            "l2": config.embedding_l2,
            "embeddings_initializer": normal(config.embedding_init),
        } | settings
        return IdEmbedding(size, dim, name=name, **settings)

    user, movie, year = id_input(USER), id_input(MOVIE), id_input(YEAR)
    genres = keras.Input(shape=(None,), dtype="int64", name=GENRES)
    genre_vector = MeanEmbedding(
        sizes.genres,
        config.embedding_dim,
        l2=config.feature_l2,
        embeddings_initializer=normal(config.embedding_init),
        name=embedding_of("genre"),
    )(genres)
    year_vector = ids(NUM_YEAR_BUCKETS, embedding_of("year"), l2=config.feature_l2, usual_count=None)(year)
    features = [ids(sizes.movie_id, MOVIE_EMBEDDING)(movie), genre_vector, year_vector]
    movie_vector = _tower(config, keras.layers.Add(name="movie_features")(features), _MOVIE_VECTOR)
    user_vector = _tower(config, ids(sizes.user_id, USER_EMBEDDING)(user), _USER_VECTOR)
    dot = keras.layers.Dot(axes=1, name="dot")([user_vector, movie_vector])
    biases = [
        ids(size, name, 1, l2=config.bias_l2, embeddings_initializer="zeros")(of)
        for size, name, of in ((sizes.user_id, USER_BIAS, user), (sizes.movie_id, MOVIE_BIAS, movie))
    ]
    logit = GlobalBias(name=GLOBAL_BIAS)(keras.layers.Add(name="biased")([dot, *biases]))
    return keras.Model([user, movie, genres, year], probability(logit), name=config.name)


def vectors(model: keras.Model, users: Mapping[str, Any], movies: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Vectors of users (B, D) and movies (M, D), and what is added to their products, of a shape like (B, M)."""
    from keras import ops

    user = _submodel(model, [USER], _USER_VECTOR)(users[USER])
    of_user, of_movie = (
        ops.take(ops.convert_to_tensor(model.get_layer(name).embeddings), ids, axis=0)
        for name, ids in ((USER_BIAS, users[USER]), (MOVIE_BIAS, movies[MOVIE]))
    )
    bias = of_user + ops.transpose(of_movie) + ops.convert_to_tensor(model.get_layer(GLOBAL_BIAS).bias)
    return user, movie_vectors(model, movies), bias


def movie_vectors(model: keras.Model, movies: Mapping[str, Any]) -> Any:
    """Vectors of movies, (M, D)."""
    names = [MOVIE, GENRES, YEAR]
    return _submodel(model, names, _MOVIE_VECTOR)([movies[name] for name in names])


def _submodel(model: keras.Model, inputs: list[str], layer: str) -> keras.Model:
    import keras

    by_name = {tensor.name: tensor for tensor in model.inputs}
    chosen = [by_name[name] for name in inputs]
    return keras.Model(chosen if len(chosen) > 1 else chosen[0], model.get_layer(layer).output)


def _tower(config: TwoTowerConfig, vector: keras.KerasTensor, name: str) -> keras.KerasTensor:
    import keras

    for number, units in enumerate(config.hidden_units, start=1):
        prefix = name.removesuffix("_vector")
        vector = keras.layers.Dense(units, activation="relu", name=f"{prefix}_hidden_{number}")(vector)
        if config.dropout:
            vector = keras.layers.Dropout(config.dropout, name=f"{prefix}_dropout_{number}")(vector)
    if config.hidden_units:
        return keras.layers.Dense(config.embedding_dim, name=name)(vector)
    return keras.layers.Identity(name=name)(vector)


MODEL = Model(TwoTowerConfig, build, space, vectors, movie_vectors)
