"""The models, by name. Keras is imported when a model is built, not before."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from components.errors import ConfigError
from components.models.hyperparameters import ModelConfig

if TYPE_CHECKING:
    import keras

# Name of a model -> module with `build(config, sizes) -> keras.Model`, and `all_pairs` where there is a quick way.
BUILDERS: dict[str, str] = {
    "dot_product": "components.models.dot_product",
    "mlp": "components.models.mlp",
    "genre_mlp": "components.models.genre_mlp",
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
    `genres_xf`: integers, (B, G), padded with -1); its output is the probability that the user likes
    the movie, float32, (B, 1).
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


def all_pairs(model: keras.Model) -> Callable[[keras.Model, Any, Any], Any] | None:
    """The model's own quick way to score every pair of users and movies, None if it has none.

    Called with the model, users (B,) and movies (M,), both indices, it returns the probabilities, (B, M).
    """
    module = BUILDERS.get(model.name)
    return getattr(import_module(module), "all_pairs", None) if module else None
