"""The logits of two models in one probability, as a model and as tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from components.export import blending
from components.export.blending import Blend
from components.export.products import product
from components.models import VocabularySizes, build_model, config_of
from components.trainer.rows import MOVIE, USER

SIZES = VocabularySizes(user_id=12, movie_id=9, genres=4)
MOVIES = {MOVIE: np.arange(8), "genres_xf": np.tile([[0, 2]], (8, 1)), "year_xf": np.arange(8)}


def rows(number: int, weight: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    own, other = random.normal(size=(2, number))
    return own, other, random.random(number) < expit(0.3 + 0.9 * own + weight * other)


def trained(name: str, seed: int, slope: float, offset: float):  # type: ignore[no-untyped-def]
    import keras

    keras.utils.set_random_seed(seed)
    model = build_model(config_of(name, embedding_dim=4, embedding_init=0.3), SIZES)
    model.get_layer("calibration").calibrate(slope, offset)
    return model


def test_it_is_the_logistic_regression():
    own, other, liked = rows(5000, 0.4)
    found = blending.fit(own, other, liked)
    fitted = LogisticRegression(C=1e9, tol=1e-8).fit(np.stack([own, other], axis=1), liked)
    expected = [fitted.intercept_[0], *fitted.coef_[0]]
    assert [found.offset, found.own, found.other] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("weight", [0.0, -0.4])
def test_a_model_that_adds_nothing_has_no_part(weight):
    """What is not liked although it is watched is no reason to turn the model round."""
    assert blending.fit(*rows(5000, weight)) is None


def test_nothing_to_fit():
    own, other, liked = rows(50, 0.4)
    assert blending.fit(own[:0], other[:0], liked[:0]) is None
    assert blending.fit(own, other, np.ones(50)) is None


def test_weights_hold_after_calibration_too():
    """Of logits as they leave the model: (logit - offset) / slope is what was fitted."""
    likes, recommends = trained("dot_product", 0, 2.0, 0.5), trained("dot_product", 1, 0.5, -3.0)
    blend = Blend(0.1, 0.9, 0.4).of_calibrated(likes, recommends)
    raw = np.array([0.7, -1.2])
    after = raw * [2.0, 0.5] + [0.5, -3.0]
    assert blend.offset + after @ [blend.own, blend.other] == pytest.approx(0.1 + raw @ [0.9, 0.4])


@pytest.mark.parametrize("likes", ["two_tower", "dot_product", "mlp"])
def test_the_model_and_the_tables_say_the_same(likes):
    """`mlp` has no tables. What one model does not take of the inputs is not asked of it."""
    first, second, blend = (
        trained(likes, 0, 1.5, 0.2),
        trained("dot_product", 1, 1.0, -2.0),
        Blend(0.1, 0.8, 0.3),
    )
    model = blending.blended(first, second, blend)
    users, movies = np.repeat(np.arange(11), 8), np.tile(np.arange(8), 11)
    asked = {USER: users, **{key: values[movies] for key, values in MOVIES.items()}}

    def of(one) -> np.ndarray:  # type: ignore[no-untyped-def]
        return np.asarray(one({tensor.name: asked[tensor.name] for tensor in one.inputs}))[:, 0]

    expected = 0.1 + 0.8 * logit(of(first).astype(float)) + 0.3 * logit(of(second).astype(float))
    np.testing.assert_allclose(logit(of(model).astype(float)), expected, atol=1e-4)
    crowd = np.linspace(0.1, 0.9, 8)
    own = product(first, 11, MOVIES, crowd)
    assert (own is None) is (likes == "mlp")
    if own:
        tables = blending.product_of(own, product(second, 11, MOVIES, crowd[::-1]), blend)
        found = tables.users @ tables.movies.T
        np.testing.assert_allclose(found[:-1].reshape(-1), expected, atol=1e-4)
        np.testing.assert_allclose(expit(found[-1]), crowd, atol=1e-5)  # that of the model of likes
