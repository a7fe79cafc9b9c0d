"""Cold start: what stands in for users and movies that training has not seen.

Unknown users get what everybody likes. Of movie i with k_i positives in n_i trials (like: likes in its ratings;
interaction: its positives in the users), with share p_i ~ Beta(s * p, s * (1 - p)), p being the share over all movies
and s the strength of greatest marginal likelihood (empirical Bayes):

- probability: the posterior mean (k_i + s * p) / (n_i + s).
- blend: the `LEVEL` quantile of the posterior Beta(k_i + s * p, n_i - k_i + s * (1 - p)), a lower bound that is high for
  what is liked (quality) by many (popularity). It is Wilson's bound with a prior in place of the normal approximation;
  Miller, "How not to sort by average rating" (2009). With n_i the same for all movies, it is the order of popularity.

Unknown movies get rows of their own in the tables of embeddings and biases: a ridge regression of the trained rows on
genres and years, each row weighing n_i / (n_i + H), since one that few ratings have made is mostly noise and penalty.
Its strength is that of the least leave-one-out error. A model with a movie tower has vectors for genres and years
already; there the movie's own is zero. Source: Gantner et al., "Learning attribute-to-feature mappings for cold-start
recommendations" (2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from scipy.special import betaincinv, betaln

from components.features import MOVIE_KEY, NUM_YEAR_BUCKETS, transformed_name
from components.models import has_movie_tower
from components.models.layers import IdEmbedding

LEVEL = 0.05
_STRENGTHS = np.geomspace(0.5, 512, 41)
_HALF = 10.0  # H: ratings at which a row has half the weight
_RIDGES = np.geomspace(0.1, 1000, 13)


@dataclass(frozen=True)
class Crowd:
    """What all users together say of each movie.

    Attributes:
        counts: Ratings (like) or positives (interaction) of each movie, int64 (M,).
        probability: The smoothed mean of each movie, float32 (M,).
        blend: What unknown users' recommendations are ranked by, float32 (M,).
        share: The mean over all movies, for one that nothing is known of.
    """

    counts: np.ndarray
    probability: np.ndarray
    blend: np.ndarray
    share: float


def crowd(movies: np.ndarray, positive: np.ndarray, num_movies: int, num_users: int | None = None) -> Crowd:
    """Counts the training rows.

    Args:
        movies: The movie of each row, int (N,); those from `num_movies` on do not count.
        positive: Whether it is a positive, (N,).
        num_movies: M.
        num_users: For the objective interaction: the trials of each movie.
    """
    known = movies < num_movies
    rows, positives = (
        np.bincount(movies[known], weights, num_movies).astype(np.int64) for weights in (None, positive[known])
    )
    trials = rows if num_users is None else np.full(num_movies, num_users)
    share = (positives.sum() + 1) / (trials.sum() + 2)  # never 0 or 1
    likelihoods = [
        (betaln(positives + s * share, trials - positives + s * (1 - share)) - betaln(s * share, s * (1 - share))).sum()
        for s in _STRENGTHS
    ]
    s = _STRENGTHS[int(np.argmax(likelihoods))]
    a, b = positives + s * share, trials - positives + s * (1 - share)
    return Crowd(
        rows if num_users is None else positives,
        (a / (a + b)).astype(np.float32),
        betaincinv(a, b, LEVEL).astype(np.float32),
        float(share),
    )


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
        counts: Their ratings, (M,).
        cold: Features of the cold movies, (C, F).
    """
    zero = has_movie_tower(model.name)
    larger: dict[str, np.ndarray] = {}
    for layer in model.layers:
        if isinstance(layer, IdEmbedding) and layer.input.name == transformed_name(MOVIE_KEY):
            rows = np.asarray(layer.embeddings)
            of_cold = ridge(known, rows[: len(known)], counts, cold)
            if zero and layer.output_dim > 1:
                of_cold = np.zeros_like(of_cold)
            larger[layer.name] = np.concatenate([rows, of_cold])

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in larger:
            config["input_dim"] = len(larger[layer.name])
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(model, clone_function=copied)
    for layer in model.layers:
        weights = [larger[layer.name]] if layer.name in larger else layer.get_weights()
        copy.get_layer(layer.name).set_weights(weights)
    return copy


def ridge(x: np.ndarray, y: np.ndarray, counts: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Predicts rows from features.

    Args:
        x: Features of M movies, float64 (M, F).
        y: What was learned of them, (M, D).
        counts: Of how many ratings, (M,).
        asked: Features of others, (C, F).

    Returns:
        float32 (C, D).
    """
    weights = counts / (counts + _HALF)
    if not weights.any():
        return np.zeros((len(asked), y.shape[1]), np.float32)
    centre, mean = (np.average(of, axis=0, weights=weights) for of in (x, y))
    x, y, asked = x - centre, y - mean, asked - centre
    best, least = mean, np.inf
    for penalty in _RIDGES:
        inverse = np.linalg.inv((x * weights[:, None]).T @ x + penalty * np.eye(x.shape[1]))
        coefficients = inverse @ (x * weights[:, None]).T @ y
        own = weights * (((x @ inverse) * x).sum(axis=1) + 1 / weights.sum())  # diagonal of the hat matrix
        left_out = (y - x @ coefficients) / np.maximum(1 - own, 1e-6)[:, None]
        error = (weights[:, None] * left_out**2).sum()
        if error < least:
            best, least = coefficients, error
    return (asked @ best + mean).astype(np.float32)
