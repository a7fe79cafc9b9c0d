"""Logistic regressions of likes on who rates what, with L2 penalties, by L-BFGS.

P(like) = sigmoid(b + b_user + b_movie + sum over the movie's genres of w[user, genre]); without genres it is the bias
logistic regression. Minimised is

    sum of log-losses + (|b_user|^2 + |b_movie|^2) / (2 c) + |w|^2 / (2 c_genre),

the objective of scikit-learn's LogisticRegression(C=c) on one-hot users and movies where c_genre is c, at several times
the speed: the products with the one-hot columns are sums by user and by movie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, log_expit

if TYPE_CHECKING:
    from components.ranking.floors import Ratings

_ROWS = 100_000  # of which the genres are looked up at once


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

    Args:
        ratings: What to learn from.
        num_users: U; every user's code is below.
        member: bool (M, G), which movie has which genre; every movie's code is below M. G may be 0.
    """

    def __init__(self, ratings: Ratings, num_users: int, member: np.ndarray) -> None:
        self._ratings, self._member, self._sizes = ratings, member, (num_users, *member.shape)
        rows, genres = _genres_of(ratings.movies, member)
        # Of all pairs of a user and a genre those that are in the log, as columns.
        self._pairs, columns = np.unique(ratings.users[rows] * member.shape[1] + genres, return_inverse=True)
        shape = (len(ratings), len(self._pairs))
        first = np.searchsorted(rows, np.arange(len(ratings) + 1))
        self._crossed = sparse.csr_matrix((np.ones(len(rows)), columns.reshape(-1), first), shape)
        self._by_pair = self._crossed.T.tocsr()

    def fit(self, c: float, c_genre: float = 1.0, start: Biases | None = None) -> Biases:
        """The least of the objective.

        Args:
            c: Inverse of the strength of the penalty on b_user and b_movie.
            c_genre: The same of w.
            start: Where to start.
        """
        ratings, (num_users, num_movies, num_genres) = self._ratings, self._sizes
        of_user, of_movie = slice(1, num_users + 1), slice(num_users + 1, num_users + num_movies + 1)
        of_pair = slice(of_movie.stop, None)
        liked, number = ratings.liked.astype(np.float64), max(len(ratings), 1)
        users = np.bincount(ratings.users, minlength=num_users)
        movies = np.bincount(ratings.movies, minlength=num_movies)
        counts = np.concatenate([[len(ratings)], users, movies, np.diff(self._by_pair.indptr)])
        penalty = np.full(len(counts), 1 / c)
        penalty[0], penalty[of_pair] = 0, 1 / c_genre
        # In units in which the curvature is about 1 for all: a user's count is hundreds of times another's, and L-BFGS
        # would take several times the steps.
        scale = 1 / np.sqrt(np.maximum(counts / 4 + penalty, 1e-12))

        def loss(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            weights = scaled * scale
            logits = weights[0] + weights[of_user][ratings.users]
            logits += weights[of_movie][ratings.movies]
            if num_genres:
                logits += self._crossed @ weights[of_pair]
            error = expit(logits) - liked
            gradient = penalty * weights
            gradient[0] += error.sum()
            gradient[of_user] += np.bincount(ratings.users, error, num_users)
            gradient[of_movie] += np.bincount(ratings.movies, error, num_movies)
            if num_genres:
                gradient[of_pair] += self._by_pair @ error
            # log(1 + exp(x)) is -log(expit(-x)).
            value = -log_expit(-logits).sum() - liked @ logits + penalty @ weights**2 / 2
            return value / number, gradient * scale / number

        first = np.zeros(len(counts))
        if start is not None:
            pairs = start.genres.reshape(-1)[self._pairs] if start.genres.size else np.zeros(len(self._pairs))
            first = np.concatenate([[start.intercept], start.users, start.movies, pairs]) / scale
        found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 300, "gtol": 1e-6}).x
        found *= scale
        genres = np.zeros(num_users * num_genres, np.float32)
        genres[self._pairs] = found[of_pair]
        return Biases(
            float(found[0]),
            found[of_user],
            found[of_movie],
            genres.reshape(num_users, num_genres),
            self._member,
            c,
            c_genre,
        )


def _genres_of(movies: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place in `movies` and the genre of each genre of each of them, in order; int64 (P,) both."""
    owners, genres = np.nonzero(member)
    first = np.searchsorted(owners, np.arange(len(member) + 1))
    lengths = np.diff(first)[movies]
    rows = np.repeat(np.arange(len(movies)), lengths)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return rows, genres[first[movies][rows] + place]
