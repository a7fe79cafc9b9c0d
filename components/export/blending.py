"""A like by two models: that a user would watch a movie says something of whether they like it.

    logit = offset + own * (logit of the model of likes) + other * (logit of the model that recommends)

The three are a logistic regression on eval, of models that have learned from train alone. Source: Wolpert, "Stacked
generalization" (1992).
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from components.export.products import Product
from components.models import CALIBRATION

# What the log-loss of all eval rows has to fall by for the second model: one is Akaike's criterion for a number more.
_LEAST_GAIN = 4.0


@dataclass(frozen=True)
class Blend:
    """The regression, of logits before calibration in `fit`, and after it everywhere else."""

    offset: float
    own: float
    other: float

    def of_calibrated(self, likes: keras.Model, recommends: keras.Model) -> Blend:
        """The same of the calibrated logits of two models."""
        first, second = (model.get_layer(CALIBRATION) for model in (likes, recommends))
        own, other = self.own / float(first.slope), self.other / float(second.slope)
        return Blend(self.offset - own * float(first.offset) - other * float(second.offset), own, other)


def fit(own: np.ndarray, other: np.ndarray, liked: np.ndarray) -> Blend | None:
    """Fits the regression; None where the second model adds nothing.

    Args:
        own: Logits of the model of likes of N rows that it has not learned from, (N,).
        other: Those of the model that recommends, (N,).
        liked: 0 or 1, (N,).
    """
    x = np.stack([np.ones(len(own)), own, other], axis=1).astype(np.float64)
    sign = 2.0 * (np.asarray(liked) > 0.5) - 1
    if not len(sign) or abs(sign.sum()) == len(sign):
        return None

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margins = sign * (x @ w)
        return float(np.logaddexp(0, -margins).sum()), -x.T @ (sign * expit(-margins))

    def fitted(most: float | None) -> tuple[float, np.ndarray]:
        bounds = [(None, None), (0, None), (0, most)]
        found = minimize(loss, [0.0, 1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds)
        return float(found.fun), found.x

    (least, weights), (alone, _) = fitted(None), fitted(0.0)
    if alone - least < _LEAST_GAIN:
        return None
    return Blend(*map(float, weights))


def blended(likes: keras.Model, recommends: keras.Model, blend: Blend) -> keras.Model:
    """A model with the inputs of both and the probability of a like, (B, 1)."""
    inputs = {tensor.name: tensor for tensor in likes.inputs}
    for tensor in recommends.inputs:
        inputs.setdefault(tensor.name, tensor)
    second = keras.Model(recommends.inputs, recommends.get_layer(CALIBRATION).output, name="recommends")
    other = second([inputs[tensor.name] for tensor in recommends.inputs])
    logit = blend.offset + blend.own * likes.get_layer(CALIBRATION).output + blend.other * other
    return keras.Model(list(inputs.values()), keras.ops.sigmoid(logit), name="blended")


def product_of(likes: Product, recommends: Product, blend: Blend) -> Product:
    """The tables of a blend, of those of its models; unknown users are told what that of likes tells them."""
    known = [blend.own * likes.users[:-1, :-1], blend.other * recommends.users[:-1, :-1]]
    number = len(known[0])
    known += [np.full((number, 1), blend.offset), np.zeros((number, 1))]
    movies = [likes.movies[:, :-1], recommends.movies[:, :-1], np.ones((len(likes.movies), 1))]
    movies.append(likes.movies[:, -1:])
    return Product.of(np.concatenate(known, axis=1), np.concatenate(movies, axis=1))
