"""The floors: what needs no embeddings, learned from the same ratings as the models.

- Popularity: a movie's score is the number of its positives.
- EASE: a movie's score is what a regression on the user's other positives says, see `item_item`.
- Movie mean: P(like) is the movie's share of likes, drawn towards the share over all movies:
  (likes + s * share) / (ratings + s).
- Bias logistic regression: P(like) = sigmoid(b + b_user + b_movie), with an L2 penalty on b_user and b_movie:
  the baseline predictor of Koren, "Factorization meets the neighborhood" (2008), eq. 1, with a logistic
  output. It is the dot product model without the dot product.

The strengths of s and of the penalties are chosen on eval after learning from train, by the log-loss, that of EASE by
NDCG; and what is chosen learns from both, as the models do by default (`refit`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from components.ranking import item_item, metrics
from components.ranking.metrics import log_losses

_SMOOTHING = np.geomspace(0.5, 64, 15)
_JUDGED_USERS, _JUDGED_AT = 2000, 10  # by which the strength of EASE is chosen
_WEAKEST, _STRONGEST = 8.0, 0.02  # sklearn's C; what suits one-hot users and movies is far within


@dataclass(frozen=True)
class Ratings:
    """Ratings as codes.

    Attributes:
        users: int (N,).
        movies: int (N,).
        liked: bool (N,).
        positive: bool (N,), which a list should hold; the liked ones if not given.
    """

    users: np.ndarray
    movies: np.ndarray
    liked: np.ndarray
    positive: np.ndarray = field(default=None)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        if self.positive is None:
            object.__setattr__(self, "positive", self.liked)

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, rows: np.ndarray) -> Ratings:
        """Some of the rows, by a mask or places."""
        return Ratings(self.users[rows], self.movies[rows], self.liked[rows], self.positive[rows])

    def __add__(self, other: Ratings) -> Ratings:
        return Ratings(
            np.concatenate([self.users, other.users]),
            np.concatenate([self.movies, other.movies]),
            np.concatenate([self.liked, other.liked]),
            np.concatenate([self.positive, other.positive]),
        )


@dataclass(frozen=True)
class Biases:
    """A fitted bias logistic regression: logits of ids that were not in the ratings are 0.

    Attributes:
        intercept: b.
        users: b_user, float64 (U,).
        movies: b_movie, float64 (M,).
    """

    intercept: float
    users: np.ndarray
    movies: np.ndarray

    def probability(self, users: np.ndarray, movies: np.ndarray) -> np.ndarray:
        """P(like) of each pair of codes, float64 (N,)."""
        return expit(self.intercept + self.users[users] + self.movies[movies])


def popularity(ratings: Ratings, num_movies: int) -> np.ndarray:
    """Positives of each movie, float64 (M,)."""
    return np.bincount(ratings.movies, weights=ratings.positive, minlength=num_movies)


def ease(
    train: Ratings, evaluation: Ratings, num_users: int, catalogue: np.ndarray, num_movies: int
) -> item_item.ItemItem:
    """The regression of each movie on the others, of the positives of both splits.

    Args:
        train: Learned from.
        evaluation: The strength is chosen by.
        num_users: U.
        catalogue: Codes of the movies that a list may hold.
        num_movies: M.
    """

    def make(ratings: Ratings, strength: float) -> item_item.ItemItem:
        at = ratings.positive
        return item_item.fit(ratings.users[at], ratings.movies[at], (num_users, num_movies), strength)

    number = int(train.positive.sum())
    wanted = evaluation.positive & np.isin(evaluation.movies, catalogue)
    users = np.unique(evaluation.users[wanted])
    users = users[np.unique(np.linspace(0, len(users) - 1, min(len(users), _JUDGED_USERS)).astype(int))]
    if not number or not len(users):
        return make(train + evaluation, 1.0)
    row, column = np.full(num_users, -1), np.full(num_movies, -1)
    row[users], column[catalogue] = np.arange(len(users)), np.arange(len(catalogue))
    candidate, positive = (np.full((len(users), len(catalogue)), value) for value in (True, False))
    for mask, ratings, at, value in (
        (candidate, train, np.ones(len(train), bool), False),
        (positive, evaluation, wanted, True),
    ):
        at = at & (row[ratings.users] >= 0) & (column[ratings.movies] >= 0)
        mask[row[ratings.users[at]], column[ratings.movies[at]]] = value

    def judge(fitted: item_item.ItemItem) -> float:
        scores = fitted.scores(users)[:, catalogue]
        lists = metrics.best(scores, positive & candidate, candidate, _JUDGED_AT)
        found = metrics.relevance(lists.hits, positive.sum(axis=1), [_JUDGED_AT])
        return float(found[metrics.name("ndcg", _JUDGED_AT)].mean())

    strength, _ = item_item.best(item_item.strengths(number), lambda strength: make(train, strength), judge)
    return make(train + evaluation, strength * (number + int(evaluation.positive.sum())) / number)


def movie_mean(train: Ratings, evaluation: Ratings, num_movies: int) -> np.ndarray:
    """Smoothed share of likes of each movie, float64 (M,)."""
    losses = [
        log_losses(evaluation.liked, _shares(train, num_movies, s)[evaluation.movies]).sum()
        for s in _SMOOTHING
    ]
    return _shares(train + evaluation, num_movies, _SMOOTHING[int(np.argmin(losses))])


def bias_logistic_regression(
    train: Ratings, evaluation: Ratings, num_users: int, num_movies: int, values: int
) -> Biases:
    """Fits at `values` strengths of the penalty, the weakest last, and once more at the best on both splits."""
    strengths = np.geomspace(_STRONGEST, _WEAKEST, values).tolist()
    fitted = None
    best, least = strengths[0], np.inf
    for c in strengths:
        # From the solution before it, which is near.
        fitted = fit_biases(train, num_users, num_movies, c, fitted)
        loss = log_losses(evaluation.liked, fitted.probability(evaluation.users, evaluation.movies)).sum()
        if loss < least:
            best, least = c, loss
    return fit_biases(train + evaluation, num_users, num_movies, best, fitted)


def fit_biases(
    ratings: Ratings, num_users: int, num_movies: int, c: float, start: Biases | None = None
) -> Biases:
    """Least of c * sum of log-losses + |b_user|^2 / 2 + |b_movie|^2 / 2, by L-BFGS.

    It is the objective of scikit-learn's LogisticRegression(C=c) on one-hot users and movies, at several times
    the speed: the products with the one-hot matrix are sums by user and by movie.

    Args:
        ratings: What to learn from.
        num_users: U; every user's code is below.
        num_movies: M; every movie's code is below.
        c: Inverse of the strength of the penalty.
        start: Where to start.
    """
    liked = ratings.liked.astype(np.float64)
    counts = np.concatenate(
        [
            [len(ratings)],
            np.bincount(ratings.users, minlength=num_users),
            np.bincount(ratings.movies, minlength=num_movies),
        ]
    )
    penalty = np.full(len(counts), 1 / c)
    penalty[0] = 0
    # In units in which the curvature is about 1 for all: a user's count is hundreds of times another's, and L-BFGS
    # would take several times the steps.
    scale = 1 / np.sqrt(counts / 4 + penalty)

    def loss(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        weights = scaled * scale
        logits = weights[0] + weights[1 : num_users + 1][ratings.users]
        logits += weights[num_users + 1 :][ratings.movies]
        error = expit(logits) - liked
        gradient = penalty * weights
        gradient[0] += error.sum()
        gradient[1 : num_users + 1] += np.bincount(ratings.users, error, num_users)
        gradient[num_users + 1 :] += np.bincount(ratings.movies, error, num_movies)
        # log(1 + exp(x)) is -log(expit(-x)).
        value = -log_expit(-logits).sum() - liked @ logits + penalty @ weights**2 / 2
        return value / len(ratings), gradient * scale / len(ratings)

    first = np.zeros(len(counts))
    if start is not None:
        first = np.concatenate([[start.intercept], start.users, start.movies]) / scale
    found = (
        minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 300, "gtol": 1e-6}).x * scale
    )
    return Biases(float(found[0]), found[1 : num_users + 1], found[num_users + 1 :])


def _shares(ratings: Ratings, num_movies: int, smoothing: float) -> np.ndarray:
    share = (ratings.liked.sum() + 1) / (len(ratings) + 2)  # never 0 or 1
    likes = np.bincount(ratings.movies, weights=ratings.liked, minlength=num_movies)
    return (likes + smoothing * share) / (np.bincount(ratings.movies, minlength=num_movies) + smoothing)
