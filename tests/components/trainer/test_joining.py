"""A regression of each movie on the others joins a dot product where it helps."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from components.models import VocabularySizes, all_pairs, config_of, pair_logits
from components.ranking import item_item
from components.trainer.joining import Joined, joins
from components.trainer.training import fit

USERS, MOVIES = 60, 40
SIZES = VocabularySizes(USERS + 1, MOVIES + 1, 2)


def log(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Who watches a movie watches the next one."""
    random = np.random.default_rng(seed)
    first = random.integers(0, MOVIES // 2, (USERS, 6)) * 2
    movies = np.concatenate([first, first + 1], axis=1)
    users = np.repeat(np.arange(USERS), movies.shape[1])
    pairs = np.unique(np.stack([users, movies.reshape(-1)], axis=1), axis=0)
    return {"user_id_xf": pairs[:, 0], "movie_id_xf": pairs[:, 1]}, np.ones(len(pairs), int)


def divided():
    x, y = log()
    held = np.random.default_rng(1).random(len(y)) < 0.25
    return [({key: values[at] for key, values in x.items()}, y[at]) for at in (~held, held)]


def config(**settings):
    return config_of(
        "dot_product",
        objective="interaction",
        **{"embedding_dim": 4, "item_item": 16, "epochs": 5, "batch_size": 16, **settings},
    )


def everything(model: keras.Model) -> np.ndarray:
    users, movies = {"user_id_xf": np.arange(USERS)}, {"movie_id_xf": np.arange(MOVIES)}
    return keras.ops.convert_to_numpy(pair_logits(model, users, movies))


def test_the_logits_are_those_of_the_model_and_the_regression():
    train, _ = divided()
    empty = ({key: values[:0] for key, values in train[0].items()}, train[1][:0])
    plain, _ = fit(config(item_item=0), SIZES, *train, *empty)
    joined, history = fit(config(), SIZES, *train, *empty)
    assert history.joined == Joined()
    x, y = train
    regression = item_item.fit(
        x["user_id_xf"], x["movie_id_xf"], (USERS + 1, MOVIES + 1), max(Joined().share * len(y), 1.0)
    )
    users, movies = item_item.low_rank(regression, 16, seed=42)
    expected = everything(plain) + Joined().weight * (users @ movies.T)[:USERS, :MOVIES]
    np.testing.assert_allclose(everything(joined), expected, rtol=1e-4, atol=1e-4)
    assert joined.get_layer("user_embedding").embeddings.shape == (USERS + 1, 4 + 16)
    # It is a model like another.
    pairs = all_pairs(joined, {"user_id_xf": np.arange(2)}, {"movie_id_xf": np.arange(3)})
    assert keras.ops.convert_to_numpy(pairs).shape == (2, 3)


def test_it_is_chosen_on_eval_and_never_worse_there():
    train, held = divided()
    _, without = fit(config(item_item=0), SIZES, *train, *held)
    _, history = fit(config(), SIZES, *train, *held)
    assert without.joined is None
    assert history.joined.weight > 0
    assert history.best["val_ndcg@10"] > without.best["val_ndcg@10"]
    assert history.best["val_ndcg@10"] == history.joined.metrics["val_ndcg@10"]
    # What is kept to start from, and is searched, is the model's own.
    assert history.weights["user_embedding"][0].shape == (USERS + 1, 4)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("dot_product", {"objective": "interaction"}, True),
        ("dot_product", {"objective": "interaction", "item_item": 0}, False),
        ("dot_product", {}, False),
        ("two_tower", {"objective": "interaction"}, False),
    ],
)
def test_which_models_it_joins(name, settings, expected):
    assert joins(config_of(name, **settings)) is expected
