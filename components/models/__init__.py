"""The models, by name. Keras is imported when a model is built, not before."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from components.models.hyperparameters import ModelConfig
from components.shared.errors import ConfigError
from components.shared.features import MOVIE_KEY, transformed_name

if TYPE_CHECKING:
    import keras

# Name of a model -> module with `build(config, sizes) -> keras.Model`. Where a pair's logit is a dot product of
# vectors, the module has `vectors(model, users, movies)` too, see `pair_logits`.
BUILDERS: dict[str, str] = {
    "dot_product": "components.models.dot_product",
    "mlp": "components.models.mlp",
    "genre_mlp": "components.models.genre_mlp",
    "two_tower": "components.models.two_tower",
    "neumf": "components.models.neumf",
}


@dataclass(frozen=True)
class VocabularySizes:
    """Number of indices of each feature, out-of-vocabulary buckets included (they come last)."""

    user_id: int
    movie_id: int
    genres: int


def build_model(config: ModelConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds, but does not compile, the model that `config.name` names.

    Its inputs bear the names of transformed features (`user_id_xf`, `movie_id_xf`: integers, (B,);
    `genres_xf`: integers, (B, G), padded with -1; `year_xf`: integers, (B,), see `features.year_bucket`); its
    output is the probability that the user likes the movie or, with the objective `interaction`, that the movie is
    among those that the user watches: float32, (B, 1). It is the sigmoid of the layer `calibration`, whose input is
    the layer `logit`.
    """
    if config.name not in BUILDERS:
        close = difflib.get_close_matches(config.name, BUILDERS, n=1)
        raise ConfigError(
            f"There is no model named {config.name!r}.",
            where="model.name",
            found=repr(config.name),
            expected="one of " + ", ".join(BUILDERS),
            fix=f"did you mean {close[0]!r}?" if close else "choose one of the names above",
        )
    return import_module(BUILDERS[config.name]).build(config, sizes)


def logits(model: keras.Model) -> keras.Model:
    """The model without its calibration and sigmoid: the same inputs, logits (B, 1)."""
    import keras

    return keras.Model(model.inputs, model.get_layer("calibration").input)


def is_dot_product(name: str) -> bool:
    """Whether a model's logits are dot products, so that those of all pairs are one matrix product."""
    return hasattr(import_module(BUILDERS[name]), "vectors")


def pair_logits(model: keras.Model, users: Mapping[str, Any], movies: Mapping[str, Any]) -> Any:
    """Logits of every pair, (B, M), of a model that `is_dot_product`.

    Args:
        model: The model.
        users: The inputs of B users, by name.
        movies: Those of M movies.
    """
    from keras import ops

    user, movie, bias = pair_vectors(model, users, movies)
    return ops.matmul(user, ops.transpose(movie)) + bias


def pair_vectors(
    model: keras.Model, users: Mapping[str, Any], movies: Mapping[str, Any]
) -> tuple[Any, Any, Any]:
    """What `pair_logits` multiplies: vectors of users (B, D) and of movies (M, D), and what is added, like (B, M)."""
    return import_module(BUILDERS[model.name]).vectors(model, users, movies)


def all_pairs(model: keras.Model, users: Mapping[str, Any], movies: Mapping[str, Any]) -> Any:
    """Probabilities of every pair, (B, M), for any model; arguments as of `pair_logits`."""
    from keras import ops

    if is_dot_product(model.name):
        return ops.sigmoid(model.get_layer("calibration")(pair_logits(model, users, movies)))
    num_users, num_movies = (ops.shape(next(iter(part.values())))[0] for part in (users, movies))
    rows = {key: ops.repeat(value, num_movies, axis=0) for key, value in users.items()}
    for key, value in movies.items():
        ones = [1] * (len(value.shape) - 1)
        rows[key] = ops.tile(value, [num_users, *ones])
    names = [tensor.name for tensor in model.inputs]
    return ops.reshape(model({name: rows[name] for name in names}, training=False), (-1, num_movies))


def has_movie_tower(name: str) -> bool:
    """Whether a model makes a movie's vector from its features too, and so has one for a movie without ratings."""
    return hasattr(import_module(BUILDERS[name]), "movie_vectors")


def movie_vectors(model: keras.Model, movies: Mapping[str, Any]) -> Any:
    """Vectors (M, D) of movies in the embedding space: the tower's where there is one, else the embedding."""
    from keras import ops

    if has_movie_tower(model.name):
        return import_module(BUILDERS[model.name]).movie_vectors(model, movies)
    embeddings = ops.convert_to_tensor(model.get_layer("movie_embedding").embeddings)
    return ops.take(embeddings, movies[transformed_name(MOVIE_KEY)], axis=0)
