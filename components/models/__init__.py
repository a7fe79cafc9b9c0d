"""The models: what a model is, and where each is found by name. Keras is imported when one is built, not before."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from components.models.hyperparameters import ModelConfig
from components.shared.errors import ConfigError
from components.shared.features import INTERACTION, LIKE, MOVIE_KEY, transformed_name

if TYPE_CHECKING:
    import keras

    from components.models.search_space import Dimension

# Name of a model -> its module, which has a `MODEL`. One from outside is named by its module, `my_package.my_model`.
MODELS: dict[str, str] = {
    "dot_product": "components.models.dot_product",
    "mlp": "components.models.mlp",
    "genre_mlp": "components.models.genre_mlp",
    "two_tower": "components.models.two_tower",
    "neumf": "components.models.neumf",
}
# The model of an objective that names none.
DEFAULTS = {LIKE: "two_tower", INTERACTION: "dot_product"}
MODEL_NAME = "key model.name"  # where errors about the name are

# Layers that training and the export look up; those of ids are named by `embedding_of` and `bias_of`.
LOGIT, CALIBRATION, PROBABILITY, GLOBAL_BIAS = "logit", "calibration", "probability", "global_bias"


def embedding_of(what: str, suffix: str = "") -> str:
    """Name of the embedding of users, movies, genres or years; a model with a second one gives it a suffix."""
    return f"{what}{suffix}_embedding"


def bias_of(what: str) -> str:
    """Name of the layer with the biases of users or movies."""
    return f"{what}_bias"


USER_EMBEDDING, MOVIE_EMBEDDING = embedding_of("user"), embedding_of("movie")
USER_BIAS, MOVIE_BIAS = bias_of("user"), bias_of("movie")


@dataclass(frozen=True)
class VocabularySizes:
    """Number of indices of each feature, out-of-vocabulary buckets included (they come last)."""

    user_id: int
    movie_id: int
    genres: int


@dataclass(frozen=True)
class Model:
    """What there is to know of a model; the object `MODEL` of its module.

    Attributes:
        config: Its hyperparameters with their defaults; `name` is by default that of the model.
        build: Makes the Keras model, not compiled. Its inputs bear the names of transformed features (`user_id_xf`,
            `movie_id_xf`: integers, (B,); `genres_xf`: integers, (B, G), padded with -1; `year_xf`: integers, (B,), see
            `features.year_bucket`). Its output is the probability that the user likes the movie or, with the objective
            interaction, that the movie is among those that the user watches: float32, (B, 1), by `layers.probability`.
            Its embeddings of users and movies are `layers.IdEmbedding`s named `USER_EMBEDDING` and `MOVIE_EMBEDDING`.
        space: What a search searches of a configuration: a dimension by hyperparameter.
        vectors: Where the logit of a pair is a dot product: vectors of users (B, D) and of movies (M, D), and what is
            added to their products, like (B, M), of a Keras model and the inputs of B users and of M movies by name.
        movie_vectors: Where a movie's vector is made of its features, too, and so a new movie has one: vectors (M, D),
            of a Keras model and the inputs of M movies.
    """

    config: type[ModelConfig]
    build: Callable[[Any, VocabularySizes], keras.Model]
    space: Callable[[Any], dict[str, Dimension]]
    vectors: Callable[[keras.Model, Mapping[str, Any], Mapping[str, Any]], tuple[Any, Any, Any]] | None = None
    movie_vectors: Callable[[keras.Model, Mapping[str, Any]], Any] | None = None


def find(name: str) -> Model:
    """The model of a name, or of a module from outside.

    Raises:
        ConfigError: There is none, or the module cannot be imported or has no `MODEL`.
    """
    found = getattr(import_module(MODELS[name]) if name in MODELS else _outside(name), "MODEL", None)
    if not isinstance(found, Model):
        raise ConfigError(
            f"The module {name!r} has no model.",
            where=MODEL_NAME,
            found="no MODEL" if found is None else f"MODEL is {found!r}"[:200],
            expected="MODEL = components.models.Model(config, build, space)",
        )
    return found


def _outside(name: str) -> Any:
    try:
        if "." not in name:
            raise ModuleNotFoundError(name)
        return import_module(name)
    except Exception as error:
        close = difflib.get_close_matches(name, MODELS, n=1)
        outside = "." in name
        raise ConfigError(
            "The module of the model cannot be imported."
            if outside
            else f"There is no model named {name!r}.",
            where=MODEL_NAME,
            found=f"{name}: {type(error).__name__}: {error}" if outside else repr(name),
            expected="one of " + ", ".join(MODELS) + ", or the dotted path of a module with a MODEL",
            fix=f"did you mean {close[0]!r}?" if close else None,
        ) from None


def source_of(name: str) -> Path | None:
    """The file of a model from outside, of which the fingerprints of components know nothing; None of the own ones."""
    return None if name in MODELS else Path(str(import_module(name).__file__))


def name_of(values: Any) -> Any:
    """The name that values of a model bear, or that of the default model of their objective."""
    given = values if isinstance(values, Mapping) else {}
    return given.get("name", DEFAULTS[INTERACTION if given.get("objective") == INTERACTION else LIKE])


def _by_name(values: Any) -> Any:
    """Values of `model` as the class of the model that they name; pydantic's errors keep their places."""
    if isinstance(values, ModelConfig):
        return values
    name = name_of(values)
    if not isinstance(name, str):
        raise ConfigError(
            "There is no such model.",
            where=MODEL_NAME,
            found=repr(name)[:200],
            expected="one of " + ", ".join(MODELS) + ", or the dotted path of a module with a MODEL",
        )
    return find(name).config.model_validate(
        {"name": name, **values} if isinstance(values, Mapping) else values
    )


AnyModelConfig = Annotated[SerializeAsAny[ModelConfig], BeforeValidator(_by_name)]


def config_of(name: str, **settings: Any) -> ModelConfig:
    """The configuration of a model, its defaults where nothing else is given."""
    return find(name).config.model_validate({"name": name, **settings})


def build_model(config: ModelConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds, but does not compile, the model that `config.name` names, see `Model.build`."""
    model = find(config.name).build(config, sizes)
    model.name = config.name  # by which it is found again
    return model


def logits(model: keras.Model) -> keras.Model:
    """The model without its calibration and sigmoid: the same inputs, logits (B, 1)."""
    import keras

    return keras.Model(model.inputs, model.get_layer(CALIBRATION).input)


def is_dot_product(name: str) -> bool:
    """Whether a model's logits are dot products, so that those of all pairs are one matrix product."""
    return find(name).vectors is not None


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
    vectors = find(model.name).vectors
    assert vectors, f"{model.name} is no dot product"
    return vectors(model, users, movies)


def all_pairs(model: keras.Model, users: Mapping[str, Any], movies: Mapping[str, Any]) -> Any:
    """Probabilities of every pair, (B, M), for any model; arguments as of `pair_logits`."""
    from keras import ops

    if is_dot_product(model.name):
        return ops.sigmoid(model.get_layer(CALIBRATION)(pair_logits(model, users, movies)))
    num_users, num_movies = (ops.shape(next(iter(part.values())))[0] for part in (users, movies))
    rows = {key: ops.repeat(value, num_movies, axis=0) for key, value in users.items()}
    for key, value in movies.items():
        ones = [1] * (len(value.shape) - 1)
        rows[key] = ops.tile(value, [num_users, *ones])
    names = [tensor.name for tensor in model.inputs]
    return ops.reshape(model({name: rows[name] for name in names}, training=False), (-1, num_movies))


def has_movie_tower(name: str) -> bool:
    """Whether a model makes a movie's vector from its features too, and so has one for a movie without ratings."""
    return find(name).movie_vectors is not None


def movie_vectors(model: keras.Model, movies: Mapping[str, Any]) -> Any:
    """Vectors (M, D) of movies in the embedding space: the tower's where there is one, else the embedding."""
    from keras import ops

    tower = find(model.name).movie_vectors
    if tower:
        return tower(model, movies)
    embeddings = ops.convert_to_tensor(model.get_layer(MOVIE_EMBEDDING).embeddings)
    return ops.take(embeddings, movies[transformed_name(MOVIE_KEY)], axis=0)
