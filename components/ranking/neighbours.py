"""The nearest neighbours of each movie, by the cosine of who likes them: ItemKNN.

A movie's score is the sum of its cosines with the user's positives among its nearest neighbours. The cosine is shrunk:
|users of both| / (sqrt(|users of i| * |users of j|) + shrinkage), so that few common users count for less. Source:
Sarwar et al., "Item-based collaborative filtering recommendation algorithms" (2001); the shrinkage as in Dacrema et
al., "Are we really making much progress?" (2019). Unlike EASE it inverts nothing: the cost is that of counting pairs of
movies that have a user in common.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    shrinkage: float,
    number: int,
    memory_mb: int,
) -> Neighbours:
    """Finds the neighbours among the positives of a log.

    Args:
        users: int (N,), of the positives; a pair that comes twice counts once.
        movies: int (N,).
        shape: U and M.
        shrinkage: Of the cosines, 0 or more.
        number: Neighbours of each movie, at most.
        memory_mb: Memory for the pairs of one chunk of movies, were each to have a user in common with all others.
    """
    positives = sparse.csr_matrix((np.ones(len(users), np.float32), (users, movies)), shape)
    positives.data[:] = 1
    of_movie = positives.T.tocsr()
    roots = np.sqrt(np.diff(of_movie.indptr)).astype(np.float32)
    data, indices, lengths = [], [], np.zeros(shape[1], np.int64)
    chunk = max(memory_mb * 2**20 // (_PAIR_BYTES * max(shape[1], 1)), 1)
    for start in range(0, shape[1], chunk):
        together = (of_movie[start : start + chunk] @ positives).tocsr()
        for row, (first, last) in enumerate(
            zip(together.indptr[:-1], together.indptr[1:], strict=True), start
        ):
            others = together.indices[first:last]
            cosines = together.data[first:last] / (roots[row] * roots[others] + shrinkage)
            cosines[others == row] = -1  # no neighbour of itself
            # Of equal ones the first by code, whatever the order in which a product has them.
            best = np.argpartition(-cosines, number)[:number] if len(cosines) > number else slice(None)
            others, cosines = others[best], cosines[best]
            order = np.lexsort((others, -cosines))
            order = order[cosines[order] > 0]
            data.append(cosines[order])
            indices.append(others[order])
            lengths[row] = len(order)
    found = sparse.csr_matrix(
        (
            np.concatenate([*data, np.zeros(0, np.float32)]),
            np.concatenate([*indices, np.zeros(0, np.int32)]),
            np.concatenate([[0], np.cumsum(lengths)]),
        ),
        (shape[1], shape[1]),
    )
    return Neighbours(positives, found)
