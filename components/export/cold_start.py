"""Cold start: what stands in for users and movies that training has not seen.

Unknown users get what everybody likes. Of movie i with k_i positives in n_i trials (like: likes in its ratings;
interaction: its positives in all users), with share p_i ~ Beta(s * q_i, s * (1 - q_i)), s being the strength of
greatest marginal likelihood (empirical Bayes):

- prior: q_i is the share over all movies; for likes, sigmoid of a ridge regression on the movie's genres and year, to
  which movies with few ratings are drawn. In it a rating of movie i weighs (s + 1) / (n_i + s), as the ratings of one
  movie are alike: the quasi-likelihood of a beta-binomial, Williams, "Extra-binomial variation in logistic linear
  models" (1982).
- quality: the posterior mean m_i = (k_i + s * q_i) / (n_i + s); it is the probability of an unknown user.
- blend: m_i * (n_i / max n) ** `POPULARITY`, between the quality (exponent 0) and the popularity among likes (1): the
  probability that a user watches the movie and likes it, where watching is tempered. With n_i the same for all
  movies it is the order of popularity. Source: the exponent as in Steck, "Item popularity and recommendation
  accuracy" (2011); for its value see tests/benchmarks/bench_cold_start.py.

Unknown movies get rows of their own in the tables of embeddings and biases: a level, and the deviation from it that a
ridge regression of the trained rows predicts from genres and years. In it a row weighs n_i / (n_i + H), since one that
few ratings have made is mostly noise and penalty; the strength is that of the least leave-one-out error. The level is
the out-of-vocabulary row, where training had any (those of eval, which it is refitted on): what is unknown is
no random movie, but mostly one that few watch. A model with a movie tower has vectors for genres and years already;
there only biases deviate. Source: Gantner et al., "Learning attribute-to-feature mappings for cold-start
recommendations" (2010). What unknown users are told of them is the prior at that level, or without one such a
regression of the shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit, log_expit, logit

from components.models import has_movie_tower
from components.models.layers import IdEmbedding
from components.shared.features import MOVIE_KEY, NUM_YEAR_BUCKETS, transformed_name

POPULARITY = 0.25
_STRENGTHS = np.geomspace(0.5, 512, 41)
HALF = 10.0  # H
_RIDGES = np.geomspace(0.1, 1000, 13)
_PRIOR_RIDGE = 20.0  # features move a movie's log-odds by about 1 / sqrt(20)
_OF_BUCKET = 50.0  # s of an out-of-vocabulary bucket: its ratings are of many movies, and few


@dataclass(frozen=True)
class Crowd:
    """What all users together say of each movie; M movies of the vocabulary, then the out-of-vocabulary buckets.

    Attributes:
        counts: Training rows of each, positives alone with interaction; int64 (M + buckets,).
        probability: Smoothed mean, float32 (M + buckets,).
        blend: What unknown users' recommendations are ranked by, float32 (M,).
        prior: What features say of a movie's log-odds: a weight of each, and the intercept, (F + 1,); None without.
    """

    counts: np.ndarray
    probability: np.ndarray
    blend: np.ndarray
    prior: np.ndarray | None = None


def crowd(
    movies: np.ndarray,
    positive: np.ndarray,
    num_movies: int,
    buckets: int,
    num_users: int | None = None,
    known: np.ndarray | None = None,
) -> Crowd:
    """Counts the training rows.

    Args:
        movies: The movie of each row, int (N,), below M + buckets.
        positive: Whether it is a positive, (N,).
        num_movies: M.
        buckets: Number of out-of-vocabulary buckets of movies.
        num_users: For the objective interaction: the trials of each movie.
        known: For the objective like: features of the movies of the vocabulary, see `design`, (M, F).
    """
    size = num_movies + buckets
    rows, likes = (np.bincount(movies[at], minlength=size) for at in (slice(None), np.asarray(positive) > 0))
    trials, positives = rows, likes
    if num_users is not None:
        # The users of a bucket are those of many movies, of which each has next to none.
        trials = np.full(size, max(num_users, likes.max(initial=1)))
        positives = np.where(np.arange(size) < num_movies, likes, 0)
    share = (positives.sum() + 1) / (trials.sum() + 2)  # never 0 or 1
    k, n = positives[:num_movies], trials[:num_movies]
    prior, shares = None, np.full(size, share)
    if known is not None and num_movies:
        prior = _prior(known, k, n, share, _strength(k, n, shares[:num_movies]))
        shares[:num_movies] = expit(known @ prior[:-1] + prior[-1])
        shares[num_movies:] = shares[:num_movies].mean()  # of an unknown movie: it is a movie
    s = np.full(size, _strength(k, n, shares[:num_movies]))
    if prior is not None:
        s[num_movies:] = _OF_BUCKET
    mean = (positives + s * shares) / (trials + s)
    popularity = (n / max(n.max(initial=1), 1)) ** POPULARITY
    return Crowd(
        rows if num_users is None else likes,
        mean.astype(np.float32),
        (mean[:num_movies] * popularity).astype(np.float32),
        prior,
    )


def _strength(positives: np.ndarray, trials: np.ndarray, shares: np.ndarray) -> float:
    """That of the greatest marginal likelihood."""
    rest = 1 - shares
    likelihoods = [
        (betaln(positives + s * shares, trials - positives + s * rest) - betaln(s * shares, s * rest)).sum()
        for s in _STRENGTHS
    ]
    return float(_STRENGTHS[int(np.argmax(likelihoods))])


def _prior(
    known: np.ndarray, positives: np.ndarray, trials: np.ndarray, share: float, strength: float
) -> np.ndarray:
    """A ridge regression of the log-odds on features: their weights, and the intercept, float64 (F + 1,)."""
    columns = np.concatenate([known, np.ones((len(known), 1))], axis=1)
    centre = np.append(np.zeros(known.shape[1]), logit(share))
    penalty = np.append(np.full(known.shape[1], _PRIOR_RIDGE), 0.01)  # so that likes alone stay finite
    weights = (strength + 1) / (trials + strength)
    liked, rated = weights * positives, weights * trials

    def loss(found: np.ndarray) -> tuple[float, np.ndarray]:
        odds = columns @ found
        value = -(liked @ odds + rated @ log_expit(-odds)) + penalty @ (found - centre) ** 2 / 2
        return value, columns.T @ (rated * expit(odds) - liked) + penalty * (found - centre)

    return np.asarray(minimize(loss, centre, jac=True, method="L-BFGS-B").x)


def design(genres: np.ndarray, years: np.ndarray, num_genres: int) -> np.ndarray:
    """Genres int (M, G), padded with -1, and year buckets int (M,) as columns of zeros and ones, float64 (M, F)."""
    columns = np.zeros((len(years), num_genres + NUM_YEAR_BUCKETS))
    rows, places = np.nonzero(genres >= 0)
    columns[rows, genres[rows, places]] = 1
    columns[np.arange(len(years)), num_genres + years] = 1
    return columns


def with_cold_movies(
    model: keras.Model, known: np.ndarray, counts: np.ndarray, cold: np.ndarray
) -> keras.Model:
    """A copy of a model whose tables have a row for each cold movie, behind all others.

    Args:
        model: A model of `components.models`.
        known: Features of the movies of the vocabulary, see `design`, (M, F).
        counts: Training rows of these movies and of the out-of-vocabulary buckets, (M + buckets,).
        cold: Features of the cold movies, (C, F).
    """
    number = len(known)
    tower = has_movie_tower(model.name)
    tables: dict[str, np.ndarray] = {}
    for layer in model.layers:
        if isinstance(layer, IdEmbedding) and layer.input.name == transformed_name(MOVIE_KEY):
            rows = np.asarray(layer.embeddings)
            level, deviations = ridge(known, rows[:number], counts[:number], cold)
            if tower and layer.output_dim > 1:
                level, deviations = np.zeros_like(level), np.zeros_like(deviations)
            unknown = counts[number:] @ rows[number:]
            level = (HALF * level + unknown) / (HALF + counts[number:].sum())
            tables[layer.name] = np.concatenate([rows, level + deviations]).astype(np.float32)

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in tables:
            config["input_dim"] = len(tables[layer.name])
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(model, clone_function=copied)
    for layer in model.layers:
        weights = [tables[layer.name]] if layer.name in tables else layer.get_weights()
        copy.get_layer(layer.name).set_weights(weights)
    return copy


def cold_probability(found: Crowd, known: np.ndarray, cold: np.ndarray) -> np.ndarray:
    """What unknown users are told of cold movies, float32 (C,): the buckets' mean, and a deviation by features."""
    number = len(known)
    of_known = found.probability[:number]
    level = np.average(found.probability[number:], weights=found.counts[number:] + 1)
    if found.prior is not None:
        odds = [of @ found.prior[:-1] + found.prior[-1] for of in (known, cold)]
        return expit(odds[1] + logit(level) - logit(expit(odds[0]).mean())).astype(np.float32)
    _, deviations = ridge(known, of_known[:, None], found.counts[:number], cold)
    return np.clip(level + deviations[:, 0], of_known.min(), of_known.max()).astype(np.float32)


def ridge(
    x: np.ndarray, y: np.ndarray, counts: np.ndarray, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted ridge regression, of the strength with the least leave-one-out error.

    Args:
        x: Features of M movies, float64 (M, F).
        y: What was learned of them, (M, D).
        counts: From how many ratings, (M,).
        asked: Features of others, (C, F).

    Returns:
        The weighted mean of y, (D,), and the deviations from it that are predicted for the others, (C, D).
    """
    weights = np.maximum(counts, 1e-3) / (counts + HALF)
    centre, mean = (np.average(of, axis=0, weights=weights) for of in (x, y))
    x, y = x - centre, y - mean
    weighted = (x * weights[:, None]).T
    best, least = np.zeros((x.shape[1], y.shape[1])), np.inf
    for penalty in _RIDGES:
        inverse = np.linalg.inv(weighted @ x + penalty * np.eye(x.shape[1]))
        coefficients = inverse @ (weighted @ y)
        # Of the hat matrix the diagonal, which gives each row's error without it in closed form.
        own = weights * (((x @ inverse) * x).sum(axis=1) + 1 / weights.sum())
        left_out = (y - x @ coefficients) / np.maximum(1 - own, 1e-6)[:, None]
        error = weights @ (left_out**2).sum(axis=1)
        if error < least:
            best, least = coefficients, error
    return mean, (asked - centre) @ best
