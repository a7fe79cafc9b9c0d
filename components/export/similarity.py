"""What movies are compared by: their likeness is the cosine of two of these vectors.

Of movie i with n_i training rows, the trained vector q_i and f_i, what a ridge regression says of genres and year:

    v_i = (n_i * (q_i - mean) + H * f_i) / (n_i + H)

- mean: that of all rows. Every trained vector has a part that says how many watch the movie, so that movies watched by
  many are near each other whatever they are; without it neighbours are by taste.
- f_i: as for unknown movies (`cold_start`), of which it is the whole vector, n_i being 0. A movie that few have watched
  is drawn to it, as in cold_start's smoothed means.

The vectors are the model's own: without those of a regression on other movies that have joined it
(`components.trainer.joining`), which say that a movie is watched beside another, and so mostly that both are popular.
"""

from __future__ import annotations

import numpy as np

from components.export.cold_start import HALF, ridge


def comparable(vectors: np.ndarray, counts: np.ndarray, known: np.ndarray, cold: np.ndarray) -> np.ndarray:
    """The vectors v of all movies.

    Args:
        vectors: What was trained of M movies, then of the out-of-vocabulary buckets, which have no features,
            (M + buckets, D).
        counts: Training rows of each, (M + buckets,).
        known: Features of the M movies, see `cold_start.design`, (M, F).
        cold: Those of movies without a vector, (C, F).

    Returns:
        float64 (M + buckets + C, D). One that nothing is known of is zero.
    """
    number = len(known)
    mean = np.average(vectors[:number], axis=0, weights=np.maximum(counts[:number], 1e-3))
    _, predicted = ridge(known, vectors[:number], counts[:number], np.concatenate([known, cold]))
    buckets = np.zeros((len(vectors) - number, vectors.shape[1]))
    rows = counts[:, None]
    own = rows * (vectors - mean) + HALF * np.concatenate([predicted[:number], buckets])
    return np.concatenate([own / (rows + HALF), predicted[number:]])


def support(counts: np.ndarray, shrinkage: float) -> np.ndarray:
    """What a movie's likeness to another counts, n / (n + shrinkage) of its n training rows (M,), float32 (M,)."""
    rows = counts.astype(np.float32)
    return rows / np.maximum(rows + shrinkage, 1e-9) if shrinkage else np.ones_like(rows)
