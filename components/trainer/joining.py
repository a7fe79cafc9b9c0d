"""Joins the regression of each movie on all others to a dot product that was trained.

The two are good at different things: the vectors of the one are learned for all movies of a user at once, those of the
other are pairs of movies. A sum of two products is a product of longer vectors: the model stays a dot product, and what
it is exported as, and how fast it answers, stays the same. How strong the regression's penalty is, and what it weighs
beside the logits, is chosen by NDCG on eval; a weight of 0 is one of the choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from components.models import MOVIE_EMBEDDING, USER_EMBEDDING, build_model
from components.models.hyperparameters import ModelConfig
from components.ranking import item_item
from components.trainer.rows import Rows
from components.trainer.validation import RankingValidation

WEIGHTS = (0.0, 2.5, 5.0, 10.0, 20.0, 40.0)


@dataclass(frozen=True)
class Joined:
    """What was chosen.

    Attributes:
        share: The strength of the penalty, as a share of the number of positives.
        weight: Of the regression's scores beside the model's logits.
        metrics: Of the validation rows, with it.
    """

    share: float = 0.004
    weight: float = 10.0
    metrics: dict[str, float] | None = None


def joins(config: ModelConfig) -> bool:
    """Whether the model is one that the regression joins."""
    return config.objective == "interaction" and bool(getattr(config, "item_item", 0))


def choose(config: ModelConfig, model: keras.Model, train: Rows, validation: RankingValidation) -> Joined:
    """Tries strengths and weights.

    Args:
        config: Of the model; `item_item` is the length of the vectors.
        model: Trained on `train`.
        train: The rows.
        validation: What to judge by.
    """
    number = len(train.positives[0])
    strength, fitted = item_item.best(
        item_item.strengths(number),
        lambda strength: _fit(train, strength),
        lambda fitted: validation.of_scores(fitted.scores(validation.users))[validation.metric],
    )
    users, movies = item_item.low_rank(fitted, config.item_item, config.seed)  # type: ignore[attr-defined]
    product = users[validation.users] @ movies.T
    logits = validation.scores(model)
    tried = {weight: validation.of_scores(logits + weight * product) for weight in WEIGHTS}
    weight = max(tried, key=lambda weight: tried[weight][validation.metric])
    return Joined(strength / max(number, 1), weight, tried[weight])


def join(config: ModelConfig, model: keras.Model, rows: Rows, joined: Joined) -> keras.Model:
    """The model with longer vectors: its own, and those of the regression on `rows`."""
    if not joined.weight:
        return model
    fitted = _fit(rows, max(joined.share * len(rows.positives[0]), 1.0))
    length = config.item_item  # type: ignore[attr-defined]
    vectors = item_item.low_rank(fitted, length, config.seed)
    longer = build_model(
        config.model_copy(update={"embedding_dim": config.embedding_dim + length}), rows.sizes
    )
    for layer in model.layers:
        weights = layer.get_weights()
        for name, more in zip((USER_EMBEDDING, MOVIE_EMBEDDING), vectors, strict=True):
            if layer.name == name:
                weights = [np.concatenate([weights[0], more * np.sqrt(joined.weight)], axis=1)]
        longer.get_layer(layer.name).set_weights(weights)
    return longer


def _fit(rows: Rows, strength: float) -> item_item.ItemItem:
    users, movies = rows.positives
    return item_item.fit(users, movies, (rows.sizes.user_id, rows.sizes.movie_id), strength)
