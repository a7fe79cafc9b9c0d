"""The nearest neighbours of each movie, by the cosine of who likes them: ItemKNN.

A movie's score is the sum of its cosines with the user's positives among its nearest neighbours. The cosine is shrunk:
|users of both| / (sqrt(|users of i| * |users of j|) + shrinkage), so that few common users count for less. Source:
Sarwar et al., "Item-based collaborative filtering recommendation algorithms" (2001); the shrinkage as in Dacrema et
al., "Are we really making much progress?" (2019). Unlike EASE it inverts nothing: the cost is that of counting pairs of
movies that have a user in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse

# What is tried.
SHRINKAGES = (0.0, 10.0, 100.0)
NUMBERS = (50, 200)

_PAIR_BYTES = 24  # of a pair of movies in a chunk: two indices and values, of counts and of cosines


@dataclass(frozen=True)
class Neighbours:
    """What was fitted.

    Attributes:
        positives: 1 where a user likes a movie, float32 (U, M).
        cosines: Of each movie with its neighbours, the nearest first in each row, float32 (M, M).
    """

    positives: sparse.csr_matrix
    cosines: sparse.csr_matrix

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Of all movies for some users, float32 (B, M)."""
        return (self.positives[users] @ self.cosines.T).toarray()

    def nearest(self, number: int) -> Neighbours:
        """The same with but so many neighbours of each movie."""
        starts, lengths = self.cosines.indptr[:-1], np.diff(self.cosines.indptr)
        place = np.arange(self.cosines.nnz) - np.repeat(starts, lengths)
        kept = place < number
        first = np.concatenate([[0], np.cumsum(np.minimum(lengths, number))])
        parts = self.cosines.data[kept], self.cosines.indices[kept], first
        return Neighbours(self.positives, sparse.csr_matrix(parts, self.cosines.shape))


def fit(
    users: np.ndarray,
    movies: np.ndarray,
    shape: tuple[int, int],
    shrinkages: Sequence[float],
    number: int,
    memory_mb: int,
) -> list[Neighbours]:
    """Finds the neighbours among the positives of a log, by each shrinkage: the pairs are counted once for all.

    Args:
        users: int (N,), of the positives; a pair that comes twice counts once.
        movies: int (N,).
        shape: U and M.
        shrinkages: Of the cosines, 0 or more.
        number: Neighbours of each movie, at most.
        memory_mb: Memory for the pairs of one chunk of movies, were each to have a user in common with all others.
    """
    positives = sparse.csr_matrix((np.ones(len(users), np.float32), (users, movies)), shape)
    positives.data[:] = 1
    of_movie = positives.T.tocsr()
    roots = np.sqrt(np.diff(of_movie.indptr)).astype(np.float32)
    rows: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in shrinkages]
    chunk = max(memory_mb * 2**20 // (_PAIR_BYTES * max(shape[1], 1)), 1)
    for start in range(0, shape[1], chunk):
        together = (of_movie[start : start + chunk] @ positives).tocsr()
        for row, (first, last) in enumerate(pairwise(together.indptr), start):
            others, both = together.indices[first:last], together.data[first:last]
            root = roots[row] * roots[others]
            both[others == row] = -1  # no neighbour of itself
            for found, shrinkage in zip(rows, shrinkages, strict=True):
                found.append(_nearest(others, both / (root + np.float32(shrinkage)), number))
    return [Neighbours(positives, _matrix(found, shape[1])) for found in rows]


def _nearest(others: np.ndarray, cosines: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Of one movie's pairs the `number` nearest, nearest first: the others, and the cosines."""
    if len(cosines) > number:
        near = cosines >= np.partition(cosines, -number)[-number]
        others, cosines = others[near], cosines[near]
    # Of equal ones the first by code, whatever the order in which a product has them.
    order = np.lexsort((others, -cosines))[:number]
    order = order[cosines[order] > 0]
    return others[order], cosines[order]


def _matrix(rows: list[tuple[np.ndarray, np.ndarray]], movies: int) -> sparse.csr_matrix:
    lengths = [len(others) for others, _ in rows]
    indices = np.concatenate([*(others for others, _ in rows), np.zeros(0, np.int32)])
    cosines = np.concatenate([*(cosines for _, cosines in rows), np.zeros(0, np.float32)])
    return sparse.csr_matrix((cosines, indices, np.concatenate([[0], np.cumsum(lengths)])), (movies, movies))
