"""A model as two tables says what the model says, or there are none."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.special import expit

from components.export import products
from components.export.products import product
from components.models import CALIBRATION, VocabularySizes, build_model, config_of, pair_logits
from components.trainer.rows import MOVIE, USER

SIZES = VocabularySizes(user_id=42, movie_id=9, genres=4)
USERS = 40
MOVIES = {MOVIE: np.arange(8), "genres_xf": np.tile([[0, 2]], (8, 1)), "year_xf": np.arange(8)}
CROWD = np.linspace(0.1, 0.9, 8)


def trained(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build_model(config_of(name, embedding_dim=4, embedding_init=0.5), SIZES)
    for layer in model.layers:  # biases start from nothing
        weights = [w + np.random.default_rng(1).normal(size=w.shape) for w in layer.get_weights()]
        if layer.name != CALIBRATION:
            layer.set_weights(weights)
    model.get_layer(CALIBRATION).calibrate(1.5, -0.3)
    return model


@pytest.mark.parametrize("name", ["dot_product", "two_tower"])
@pytest.mark.parametrize("at_once", [1 << 16, 7], ids=["at once", "in parts"])
def test_products_are_the_calibrated_logits(name, at_once, monkeypatch):
    """Of known users; unknown ones are told what the crowd is."""
    monkeypatch.setattr(products, "_AT_ONCE", at_once)
    model = trained(name)
    found = product(model, USERS, MOVIES, CROWD)
    assert found is not None
    assert found.users.shape[0] == USERS + 1
    scores = found.users @ found.movies.T
    expected = 1.5 * np.asarray(pair_logits(model, {USER: np.arange(USERS)}, MOVIES)) - 0.3
    np.testing.assert_allclose(scores[:-1], expected, atol=1e-4)
    np.testing.assert_allclose(expit(scores[-1]), CROWD, atol=1e-6)


def test_a_perceptron_has_none():
    assert product(trained("mlp"), USERS, MOVIES, CROWD) is None


def test_nobody_or_nothing_has_none():
    model = trained("dot_product")
    assert product(model, 0, MOVIES, CROWD) is None
    assert product(model, USERS, {key: of[:0] for key, of in MOVIES.items()}, CROWD[:0]) is None


def test_what_is_added_and_is_no_sum_of_two_has_none(monkeypatch):
    """As of a model from outside, whose pairs have numbers of their own: the model itself is asked then."""
    stock = products.pair_vectors

    def with_pairs(model, users, movies):
        vectors, of_movies, added = stock(model, users, movies)
        return vectors, of_movies, np.asarray(added) + np.outer(np.asarray(users[USER]), movies[MOVIE])

    def logits(model, users, movies):
        vectors, of_movies, added = with_pairs(model, users, movies)
        return np.asarray(vectors) @ np.asarray(of_movies).T + added

    monkeypatch.setattr(products, "pair_vectors", with_pairs)
    monkeypatch.setattr(products, "pair_logits", logits)
    assert product(trained("dot_product"), USERS, MOVIES, CROWD) is None
