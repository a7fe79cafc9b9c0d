"""Logistic regressions of likes on who rates what, with L2 penalties, by L-BFGS.

P(like) = sigmoid(b + b_user + b_movie + sum over the movie's genres of w[user, genre]); without genres it is the bias
logistic regression. Minimised is

    sum of log-losses + (|b_user|^2 + |b_movie|^2) / (2 c) + |w|^2 / (2 c_genre),

the objective of scikit-learn's LogisticRegression(C=c) on one-hot users and movies where c_genre is c, at many times
the speed: the products with the one-hot columns are sums by user and by movie.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from components.ranking.floors import Ratings

_ROWS = 100_000  # at once, few enough to stay in the cache
_CELLS = 1 << 17  # the same of the table of users and sets of genres


@dataclass(frozen=True)
class Biases:
    """A fitted regression: weights of ids that were not in the ratings are 0.

    Attributes:
        intercept: b.
        users: b_user, float64 (U,).
        movies: b_movie, float64 (M,).
        genres: w, float32 (U, G), or (U, 0) without genres.
        member: bool (M, G), which movie has which genre.
        c: Inverse of the strength of the penalty on b_user and b_movie.
        c_genre: The same of w.
    """

    intercept: float
    users: np.ndarray
    movies: np.ndarray
    genres: np.ndarray
    member: np.ndarray
    c: float
    c_genre: float

    def probability(self, users: np.ndarray, movies: np.ndarray) -> np.ndarray:
        """P(like) of each pair of codes, float64 (N,)."""
        logits = self.intercept + self.users[users] + self.movies[movies]
        if self.genres.size:
            for start in range(0, len(users), _ROWS):
                at = slice(start, start + _ROWS)
                logits[at] += (self.genres[users[at]] * self.member[movies[at]]).sum(axis=1)
        return expit(logits)

    def scores(self, users: np.ndarray, movies: np.ndarray) -> np.ndarray:
        """Logits of B users for movies (C,), but for what is the same for all of a user's movies; float64 (B, C)."""
        return self.movies[movies] + self.genres[users] @ self.member[movies].T.astype(np.float32)


class Regression:
    """The rows of a log as a regression takes them; `fit` may be asked at several strengths.

    Movies of the same genres have the same part of a user's logits: a block of users is a small table of users and sets
    of genres, in which each row looks up one place, whatever the number of genres.

    Args:
        ratings: What to learn from.
        num_users: U; every user's code is below.
        member: bool (M, G), which movie has which genre; every movie's code is below M. G may be 0.
    """

    def __init__(self, ratings: Ratings, num_users: int, member: np.ndarray) -> None:
        self._member, self._num_users = member, num_users
        order = np.argsort(ratings.users, kind="stable")
        users, self._movies = ratings.users[order], ratings.movies[order]
        self._liked = ratings.liked[order].astype(np.float64)
        # The first column is of the user's bias.
        columns = np.column_stack([np.ones(len(member), bool), member])
        sets, set_of_movie = np.unique(columns, axis=0, return_inverse=True)
        self._sets = sets.astype(np.float64)
        at_once = min(_CELLS // max(len(sets), 1), _ROWS * num_users // max(len(users), 1))
        bounds = np.append(np.arange(0, num_users, max(at_once, 1)), num_users)
        starts = np.searchsorted(users, bounds)
        self._blocks = [
            (slice(*of_users), slice(*rows))
            for of_users, rows in zip(pairwise(bounds), pairwise(starts), strict=True)
        ]
        first = np.repeat(bounds[:-1], np.diff(starts))
        self._cells = (users - first) * len(sets) + set_of_movie.reshape(-1)[self._movies]

    # Threads that wait for the next of many small products take more CPU seconds than the products.
    @threadpool_limits.wrap(limits=1, user_api="blas")
    def fit(self, c: float, c_genre: float = 1.0, start: Biases | None = None) -> Biases:
        """The least of the objective.

        Args:
            c: Inverse of the strength of the penalty on b_user and b_movie.
            c_genre: The same of w.
            start: Where to start.
        """
        num_movies, num_genres = self._member.shape
        number = max(len(self._liked), 1)
        of_user = slice(1, 1 + self._num_users * (1 + num_genres))
        of_movie = slice(of_user.stop, None)
        counts = np.empty(of_user.stop + num_movies)
        self._sums(np.ones(len(self._liked)), counts)
        penalty = np.full(len(counts), 1 / c)
        penalty[0] = 0
        _by_user(penalty[of_user], num_genres)[:, 1:] = 1 / c_genre
        # In units in which the curvature is about 1 for all: a user's count is hundreds of times another's, and L-BFGS
        # would take several times the steps.
        scale = 1 / np.sqrt(np.maximum(counts / 4 + penalty, 1e-12))
        error = np.empty(len(self._liked))

        def loss(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            weights = scaled * scale
            by_user, of_movies = _by_user(weights[of_user], num_genres), weights[of_movie]
            value = penalty @ weights**2 / 2
            for users, rows in self._blocks:
                table = by_user[users] @ self._sets.T
                logits = weights[0] + table.reshape(-1)[self._cells[rows]]
                logits += of_movies[self._movies[rows]]
                liked = self._liked[rows]
                # exp of what is below 0 alone, once for both: log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
                small = np.exp(-np.abs(logits))
                value += np.maximum(logits, 0).sum() + np.log1p(small).sum() - liked @ logits
                error[rows] = np.where(logits >= 0, 1, small) / (1 + small) - liked
            gradient = np.empty(len(weights))
            self._sums(error, gradient)
            gradient += penalty * weights
            return value / number, gradient * scale / number

        first = np.zeros(len(counts))
        if start is not None:
            genres = start.genres if start.genres.size else np.zeros((self._num_users, num_genres))
            by_user = np.column_stack([start.users, genres])
            first = np.concatenate([[start.intercept], by_user.reshape(-1), start.movies]) / scale
        found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 300, "gtol": 1e-6}).x
        found *= scale
        by_user = _by_user(found[of_user], num_genres)
        return Biases(
            float(found[0]),
            by_user[:, 0].copy(),
            found[of_movie],
            by_user[:, 1:].astype(np.float32),
            self._member,
            c,
            c_genre,
        )

    def _sums(self, of_rows: np.ndarray, sums: np.ndarray) -> None:
        """Writes the sums of a column (N,) over the rows of each weight to `sums`."""
        num_movies, num_genres = self._member.shape
        sums[0] = of_rows.sum()
        by_user = _by_user(sums[1 : len(sums) - num_movies], num_genres)
        for users, rows in self._blocks:
            number = (users.stop - users.start) * len(self._sets)
            cells = np.bincount(self._cells[rows], of_rows[rows], number)
            by_user[users] = cells.reshape(-1, len(self._sets)) @ self._sets
        sums[len(sums) - num_movies :] = np.bincount(self._movies, of_rows, num_movies)


def _by_user(weights: np.ndarray, num_genres: int) -> np.ndarray:
    """Each user's bias and weights of genres, as rows of the same memory."""
    return weights.reshape(-1, 1 + num_genres)
