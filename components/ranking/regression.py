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
        """Logits of B users for movies (C,), but for what is the same for all of a user's movies; float32 (B, C)."""
        found: np.ndarray = self.genres[users] @ self.member[movies].T.astype(np.float32)
        found += self.movies[movies].astype(np.float32)
        return found


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
        ratings = ratings.by_user()
        users, self._movies = ratings.users, ratings.movies.astype(np.int32, copy=False)
        self._sign = np.where(ratings.liked, np.float32(1), np.float32(-1))
        # The first column is of the user's bias.
        columns = np.column_stack([np.ones(len(member), bool), member])
        sets, set_of_movie = np.unique(columns, axis=0, return_inverse=True)
        self._sets = sets.astype(np.float64)
        self._member_of_set = sets.astype(np.float32).T
        at_once = min(_CELLS // max(len(sets), 1), _ROWS * num_users // max(len(users), 1))
        bounds = np.append(np.arange(0, num_users, max(at_once, 1)), num_users)
        starts = np.searchsorted(users, bounds.astype(users.dtype))  # else all users are cast
        self._blocks = [
            (slice(*of_users), slice(*rows))
            for of_users, rows in zip(pairwise(bounds), pairwise(starts), strict=True)
        ]
        self._cells = set_of_movie.reshape(-1).astype(np.int32)[self._movies]
        for of_users, rows in self._blocks:
            self._cells[rows] += ((users[rows] - of_users.start) * len(sets)).astype(np.int32)

    def fit(self, c: float, c_genre: float = 1.0, start: Biases | None = None) -> Biases:
        """The least of the objective.

        Args:
            c: Inverse of the strength of the penalty on b_user and b_movie.
            c_genre: The same of w.
            start: Where to start.
        """
        num_movies, num_genres = self._member.shape
        number = max(len(self._sign), 1)
        of_user = slice(1, 1 + self._num_users * (1 + num_genres))
        of_movie = slice(of_user.stop, None)
        counts = np.zeros(of_user.stop + num_movies)
        for users, rows in self._blocks:
            places = self._cells[rows].astype(np.intp), self._movies[rows].astype(np.intp)
            self._add(np.ones(len(places[0])), users, *places, counts)
        penalty = np.full(len(counts), 1 / c)
        penalty[0] = 0
        _by_user(penalty[of_user], num_genres)[:, 1:] = 1 / c_genre
        # In units in which the curvature is about 1 for all: a user's count is hundreds of times another's, and L-BFGS
        # would take several times the steps.
        scale = 1 / np.sqrt(np.maximum(counts / 4 + penalty, 1e-12))

        def loss(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            weights = scaled * scale
            value, gradient = penalty @ weights**2 / 2, penalty * weights
            # What is of a row is float32, what is summed over rows float64.
            short = weights.astype(np.float32)
            by_user, of_movies = _by_user(short[of_user], num_genres), short[of_movie]
            for users, rows in self._blocks:
                table = by_user[users] @ self._member_of_set
                table += short[0]
                cells, movies = self._cells[rows].astype(np.intp), self._movies[rows].astype(np.intp)
                logits = table.reshape(-1).take(cells)
                logits += of_movies.take(movies)
                sign = self._sign[rows]
                logits *= sign
                # log(1 + exp(-x)) = log(1 + exp(-|x|)) - min(x, 0), whose exp does not overflow.
                rest = np.log1p(np.exp(-np.abs(logits))) - np.minimum(logits, 0)
                value += rest.sum(dtype=np.float64)
                # 1 / (1 + exp(x)) = (1 - tanh(x / 2)) / 2
                logits *= 0.5
                error = (np.tanh(logits) - 1) * 0.5 * sign
                self._add(error.astype(np.float64), users, cells, movies, gradient)
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

    def _add(
        self, of_rows: np.ndarray, users: slice, cells: np.ndarray, movies: np.ndarray, sums: np.ndarray
    ) -> None:
        """Adds the sums of a column over a block's rows, float64, to those of each weight in `sums`."""
        num_movies, num_genres = self._member.shape
        first_movie = len(sums) - num_movies
        table = np.bincount(cells, of_rows, (users.stop - users.start) * len(self._sets))
        sums[0] += of_rows.sum()
        by_user = _by_user(sums[1:first_movie], num_genres)
        by_user[users] += table.reshape(-1, len(self._sets)) @ self._sets
        sums[first_movie:] += np.bincount(movies, of_rows, num_movies)


def _by_user(weights: np.ndarray, num_genres: int) -> np.ndarray:
    """Each user's bias and weights of genres, as rows of the same memory."""
    return weights.reshape(-1, 1 + num_genres)
