"""A model whose logits are dot products, as two tables: one matrix product gives the calibrated logits of all pairs.

With `vectors` p_u and q_i of a model, biases b_u + b_i, calibration (slope a, offset c), the crowd's probability m_i:

- row of a known user: [a * p_u, a * b_u + c, 1, 0]
- row of whoever is unknown, behind those: [0, 0, 0, 1]
- row of a movie: [q_i, 1, a * b_i, logit(m_i)]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from scipy.special import logit

from components.models import CALIBRATION, is_dot_product, pair_logits, pair_vectors
from components.shared.features import USER_KEY, transformed_name

USER = transformed_name(USER_KEY)
_AT_ONCE = 1 << 16  # users
_CHECKED = 16  # users, with all movies each
_TOLERANCE = 1e-5  # of logits, beside the greatest
_LEAST = 1e-7  # of the crowd's probabilities, and as much below 1


@dataclass(frozen=True)
class Product:
    """The tables, float32; U users and M movies, those of the vocabularies.

    Attributes:
        users: (U + 1, E); the last row is that of unknown users.
        movies: (M, E).
    """

    users: np.ndarray
    movies: np.ndarray

    @staticmethod
    def of(known: np.ndarray, movies: np.ndarray) -> Product:
        """With the rows of known users (U, E): that of unknown ones takes the movies' last column alone."""
        stranger = np.append(np.zeros(known.shape[1] - 1), 1)[None]
        return Product(np.concatenate([known, stranger]).astype(np.float32), movies.astype(np.float32))


def product(
    model: keras.Model, num_users: int, movies: Mapping[str, np.ndarray], of_crowd: np.ndarray
) -> Product | None:
    """Makes the tables; None where the logits are no dot products, or what is added to them is no sum of two biases.

    Args:
        model: A model of `components.models`.
        num_users: U.
        movies: The inputs of the M movies, by name.
        of_crowd: What unknown users are told of them, (M,).
    """
    num_movies = len(of_crowd)
    if not (is_dot_product(model.name) and num_users and num_movies):
        return None
    first = {key: values[:1] for key, values in movies.items()}
    parts, of_users = [], []
    for start in range(0, num_users, _AT_ONCE):
        users = np.arange(start, min(start + _AT_ONCE, num_users))
        vectors, _, added = map(np.asarray, pair_vectors(model, {USER: users}, first))
        parts.append(vectors)
        of_users.append(np.broadcast_to(added, (len(users), 1)))
    _, vectors, added = map(np.asarray, pair_vectors(model, {USER: np.arange(1)}, movies))
    of_movies = np.broadcast_to(added, (1, num_movies)).T
    of_users = np.concatenate(of_users) - of_movies[0]
    calibration = model.get_layer(CALIBRATION)
    slope, offset = float(calibration.slope), float(calibration.offset)

    def ones(number: int) -> np.ndarray:
        return np.ones((number, 1), np.float32)

    nothing = np.zeros((num_users, 1))
    known = [slope * np.concatenate(parts), slope * of_users + offset, ones(num_users), nothing]
    told = logit(np.clip(of_crowd.astype(np.float64), _LEAST, 1 - _LEAST))[:, None]
    columns = [vectors, ones(num_movies), slope * of_movies, told]
    found = Product.of(np.concatenate(known, axis=1), np.concatenate(columns, axis=1))
    few = np.unique(np.linspace(0, num_users - 1, _CHECKED).astype(int))
    expected = slope * np.asarray(pair_logits(model, {USER: few}, movies)) + offset
    error = np.abs(found.users[few] @ found.movies.T - expected).max()
    return found if error <= _TOLERANCE * max(np.abs(expected).max(), 1) else None
