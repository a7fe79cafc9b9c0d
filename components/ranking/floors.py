"""The floors: what needs no embeddings, learned from the same ratings as the models.

- Popularity: a movie's score is the number of its positives.
- EASE: a movie's score is what a regression on the user's other positives says, see `item_item`. Where there are too
  many users and movies to invert a matrix of either, ItemKNN stands in: cosines of movies, see `neighbours`.
- Movie mean: P(like) is the movie's share of likes, drawn towards the share over all movies:
  (likes + s * share) / (ratings + s).
- Bias logistic regression: P(like) = sigmoid(b + b_user + b_movie), with an L2 penalty on b_user and b_movie:
  the baseline predictor of Koren, "Factorization meets the neighborhood" (2008), eq. 1, with a logistic
  output. It is the dot product model without the dot product.
- The same with genres: and for each genre of the movie a weight of the user's, with a penalty of their own. What it
  knows of a taste is what the user has said of the movie's genres. See `regression` for both.

The strengths of s and of the penalties are chosen on eval after learning from train, by the log-loss, those of EASE
and ItemKNN by NDCG; and what is chosen learns from both, as the models do by default (`refit`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from components.ranking import item_item, metrics, neighbours
from components.ranking.metrics import log_losses
from components.ranking.regression import Biases, Regression

_SMOOTHING = np.geomspace(0.5, 64, 15)
_JUDGED_USERS, _JUDGED_AT = 2000, 10  # by which the strengths of EASE and ItemKNN are chosen
_JUDGED_SCORES = 1 << 24  # at once
_TRIED_MOVIES = 2048  # with which strengths of EASE are tried, the most frequent ones: each inverts a matrix
_WEAKEST, _STRONGEST = 8.0, 0.02  # sklearn's C; what suits one-hot users and movies is far within
_OF_GENRES = (0.01, 0.03, 0.1, 0.3)  # the same of users x genres

# Scores of users: (codes of B users) -> float (B, M).
Scores = Callable[[np.ndarray], np.ndarray]


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

    def by_user(self) -> Ratings:
        """The rows in the order of their users; those of one user stay in theirs."""
        rows = np.arange(len(self), dtype=np.int32)
        # A counting sort, in a fifth of the time of numpy's.
        return self[sparse.coo_matrix((rows, (self.users, rows))).tocsr().data] if len(self) else self

    def __add__(self, other: Ratings) -> Ratings:
        return Ratings(
            np.concatenate([self.users, other.users]),
            np.concatenate([self.movies, other.movies]),
            np.concatenate([self.liked, other.liked]),
            np.concatenate([self.positive, other.positive]),
        )


def popularity(ratings: Ratings, num_movies: int) -> np.ndarray:
    """Positives of each movie, float64 (M,)."""
    return np.bincount(ratings.movies, weights=ratings.positive, minlength=num_movies)


def ease(
    train: Ratings,
    evaluation: Ratings,
    num_users: int,
    catalogue: np.ndarray,
    num_movies: int,
) -> item_item.ItemItem:
    """The regression of each movie on the others, of the positives of both splits.

    Args:
        train: Learned from.
        evaluation: The strength is chosen by.
        num_users: U.
        catalogue: Codes of the movies that a list may hold.
        num_movies: M.
    """

    def positives(ratings: Ratings) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        at = ratings.positive
        return ratings.users[at], ratings.movies[at], (num_users, num_movies)

    number = int(train.positive.sum())
    judge = _judge(train, evaluation, num_users, catalogue, num_movies)
    if not number or not judge:
        return item_item.fit(*positives(train + evaluation), 1.0)
    strength, _ = item_item.best(
        item_item.strengths(number),
        item_item.fits(*positives(train), _TRIED_MOVIES),
        lambda of: judge(of.scores),
    )
    strength *= (number + int(evaluation.positive.sum())) / number
    return item_item.fit(*positives(train + evaluation), strength)


def item_knn(
    train: Ratings,
    evaluation: Ratings,
    num_users: int,
    catalogue: np.ndarray,
    num_movies: int,
    memory_mb: int,
) -> neighbours.Neighbours:
    """The nearest neighbours of each movie among the positives of both splits.

    Args:
        train: Learned from.
        evaluation: The shrinkage and the number of neighbours are chosen by.
        num_users: U.
        catalogue: Codes of the movies that a list may hold.
        num_movies: M.
        memory_mb: Memory for the cosines of one chunk of movies.
    """

    def make(ratings: Ratings, shrinkages: Sequence[float]) -> list[neighbours.Neighbours]:
        at = ratings.positive
        shape = (num_users, num_movies)
        most = max(neighbours.NUMBERS)
        return neighbours.fit(ratings.users[at], ratings.movies[at], shape, shrinkages, most, memory_mb)

    judge = _judge(train, evaluation, num_users, catalogue, num_movies)
    shrinkage, number, greatest = neighbours.SHRINKAGES[0], max(neighbours.NUMBERS), -np.inf
    if not judge:
        return make(train + evaluation, [shrinkage])[0]
    for tried, fitted in zip(neighbours.SHRINKAGES, make(train, neighbours.SHRINKAGES), strict=True):
        for few in neighbours.NUMBERS:
            figure = judge(fitted.nearest(few).scores)
            if figure > greatest:
                shrinkage, number, greatest = tried, few, figure
    return make(train + evaluation, [shrinkage])[0].nearest(number)


def of_catalogue(scores: np.ndarray, catalogue: np.ndarray) -> np.ndarray:
    """The columns of scores (B, M) of some movies, sorted codes (C,); not copied where these are all."""
    return scores if len(catalogue) == scores.shape[1] else scores[:, catalogue]


def _judge(
    train: Ratings, evaluation: Ratings, num_users: int, catalogue: np.ndarray, num_movies: int
) -> Callable[[Scores], float] | None:
    """NDCG of what eval's users like there, of a sample of them; None where there is nothing to judge by."""
    wanted = evaluation.positive & np.isin(evaluation.movies, catalogue)
    users = np.unique(evaluation.users[wanted])
    users = users[np.unique(np.linspace(0, len(users) - 1, min(len(users), _JUDGED_USERS)).astype(int))]
    if not len(users):
        return None
    row, column = np.full(num_users, -1), np.full(num_movies, -1)
    row[users], column[catalogue] = np.arange(len(users)), np.arange(len(catalogue))
    candidate, positive = (np.full((len(users), len(catalogue)), value) for value in (True, False))
    for mask, ratings, at, value in (
        (candidate, train, np.ones(len(train), bool), False),
        (positive, evaluation, wanted, True),
    ):
        at = at & (row[ratings.users] >= 0) & (column[ratings.movies] >= 0)
        mask[row[ratings.users[at]], column[ratings.movies[at]]] = value

    number = positive.sum(axis=1)
    positive &= candidate
    step = max(_JUDGED_SCORES // num_movies, 1)

    def judge(scores: Scores) -> float:
        hits = []
        for start in range(0, len(users), step):
            at = slice(start, start + step)
            found = of_catalogue(scores(users[at]), catalogue)
            hits.append(metrics.best(found, positive[at], candidate[at], _JUDGED_AT).hits)
        ranked = metrics.relevance(np.concatenate(hits), number, [_JUDGED_AT])
        return float(ranked[metrics.name("ndcg", _JUDGED_AT)].mean())

    return judge


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
    """Fits at up to `values` strengths of the penalty until a weaker one is worse, and at the best on both splits."""
    none = np.zeros((num_movies, 0), bool)
    regression = Regression(train, num_users, none)
    strengths = np.geomspace(_STRONGEST, _WEAKEST, values).tolist()
    best, least = None, np.inf
    for c in strengths:
        # From the solution before it, which is near.
        fitted = regression.fit(c, start=best)
        loss = _loss(fitted, evaluation)
        if loss > least:
            break
        best, least = fitted, loss
    assert best is not None
    del regression  # its arrays are as long as the log
    return Regression(train + evaluation, num_users, none).fit(best.c, start=best)


def bias_genre_logistic_regression(
    train: Ratings, evaluation: Ratings, num_users: int, member: np.ndarray, near: float
) -> Biases:
    """The bias logistic regression with a weight for each user and genre, fitted to both splits.

    Args:
        train: Learned from.
        evaluation: The strengths are chosen by: that of the genres first, then that of the biases.
        num_users: U.
        member: bool (M, G), which movie has which genre.
        near: The strength of the biases that is best without genres; half and twice of it are tried, too.
    """
    regression = Regression(train, num_users, member)
    best, least, fitted = None, np.inf, None
    for c_genre in _OF_GENRES:
        fitted = regression.fit(near, c_genre, fitted)
        loss = _loss(fitted, evaluation)
        if loss > least:
            break  # a weaker penalty is worse still
        best, least = fitted, loss
    assert best is not None
    for c in (near / 2, near * 2):
        fitted = regression.fit(c, best.c_genre, best)
        loss = _loss(fitted, evaluation)
        if loss < least:
            best, least = fitted, loss
    del regression
    return Regression(train + evaluation, num_users, member).fit(best.c, best.c_genre, best)


def _loss(fitted: Biases, ratings: Ratings) -> float:
    return float(log_losses(ratings.liked, fitted.probability(ratings.users, ratings.movies)).sum())


def _shares(ratings: Ratings, num_movies: int, smoothing: float) -> np.ndarray:
    share = (ratings.liked.sum() + 1) / (len(ratings) + 2)  # never 0 or 1
    likes = np.bincount(ratings.movies, weights=ratings.liked, minlength=num_movies)
    return (likes + smoothing * share) / (np.bincount(ratings.movies, minlength=num_movies) + smoothing)
