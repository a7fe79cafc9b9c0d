"""The regression of each movie on all others, in closed form: EASE.

Source: Steck, "Embarrassingly shallow autoencoders for sparse data" (2019). With X (U, M) the positives of users, 1 or
0, the scores are S = X B, where B is least in |X - X B|^2 + strength |B|^2 with a zero diagonal:
B = I - P / diag(P), P = (X'X + strength I)^-1.

Where there are fewer users than movies, the same comes of a matrix of users: X P = K X with
K = (X X' + strength I)^-1, so that S = X - K X / diag(P), and diag(P) = (1 - column sums of X * K X) / strength. The
cost is that of inverting the smaller of the two; beyond `largest` the `largest` most frequent movies alone have a part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

# The strengths tried, as shares of the number of positives: what suits grows with it, on sets of 17,000 to 200,000.
SHARES = (0.001, 0.002, 0.004, 0.008)
LARGEST = 6000
_STRIP = 256  # rows
# Condition number up to which float32 inverts to about 1e-4, in half of the time; SHARES are within, by their trace.
_WELL_CONDITIONED = 2000


@dataclass(frozen=True)
class ItemItem:
    """What was fitted: S as an operator, which is never made as a whole.

    Attributes:
        positives: X, float32 (U, M), of the movies that have a part; the columns of the others are empty.
        inverse: float32, P / diag(P) of those movies, (C, C), or K, (U, U).
        chosen: int (C,), the movies that have a part.
        diagonal: float32 (C,), diag(P), where `inverse` is K; else None.
    """

    positives: sparse.csr_matrix
    inverse: np.ndarray
    chosen: np.ndarray
    diagonal: np.ndarray | None

    @property
    def shape(self) -> tuple[int, int]:
        """Users and movies."""
        return self.positives.shape

    def scores(self, users: np.ndarray) -> np.ndarray:
        """S of some users, float32 (B, M); 0 for a movie that has no part."""
        own = self.positives[users][:, self.chosen]
        if self.diagonal is None:
            found = own @ self.inverse
        else:
            found = (self.positives[:, self.chosen].T @ self.inverse[users].T).T
            found /= self.diagonal
        # Less what is predicted, in place: the sparse matrix is never made a dense one.
        np.negative(found, out=found)
        found[np.repeat(np.arange(len(users)), np.diff(own.indptr)), own.indices] += own.data
        if len(self.chosen) == self.shape[1]:
            return found
        scores = np.zeros((len(users), self.shape[1]), np.float32)
        scores[:, self.chosen] = found
        return scores

    def times(self, right: np.ndarray) -> np.ndarray:
        """S R, float32 (U, k), of R (C, k)."""
        own = self.positives[:, self.chosen]
        if self.diagonal is None:
            return own @ (right - self.inverse @ right)
        return own @ right - self.inverse @ (own @ (right / self.diagonal[:, None]))

    def transposed_times(self, left: np.ndarray) -> np.ndarray:
        """S' L, float32 (C, k), of L (U, k)."""
        own = self.positives[:, self.chosen].T.tocsr()
        if self.diagonal is None:
            product = own @ left
            return product - self.inverse.T @ product
        return own @ left - (own @ (self.inverse @ left)) / self.diagonal[:, None]


def fit(
    users: np.ndarray, movies: np.ndarray, shape: tuple[int, int], strength: float, largest: int = LARGEST
) -> ItemItem:
    """Fits the regression to the positives of a log.

    Args:
        users: int (N,), of the positives.
        movies: int (N,).
        shape: U and M.
        strength: Of the penalty, above 0.
        largest: The greatest matrix to invert.
    """
    return fits(users, movies, shape, largest)(strength)


def fits(
    users: np.ndarray, movies: np.ndarray, shape: tuple[int, int], largest: int = LARGEST
) -> Callable[[float], ItemItem]:
    """`fit` by the strength, to try several: what is common to them is done once, and kept."""
    counts = np.bincount(movies, minlength=shape[1])
    chosen = np.flatnonzero(counts)
    if min(shape[0], len(chosen)) > largest:
        chosen = np.sort(np.argsort(-counts, kind="stable")[:largest])
    ones = np.ones(len(users), np.float32)
    positives = sparse.csr_matrix((ones, (users, movies)), shape)
    positives.data[:] = 1
    own = positives[:, chosen]
    of_users = shape[0] < len(chosen)
    gram = (own @ own.T if of_users else own.T @ own).toarray()

    def of_strength(strength: float) -> ItemItem:
        inverse = _inverse(gram, strength)
        if of_users:
            predicted = np.asarray(own.multiply((own.T @ inverse).T).sum(axis=0)).reshape(-1)
            return ItemItem(positives, inverse, chosen, ((1 - predicted) / strength).astype(np.float32))
        inverse /= np.diag(inverse).copy()
        return ItemItem(positives, inverse, chosen, None)

    return of_strength


def strengths(num_positives: int) -> list[float]:
    """Those worth trying."""
    return [max(share * num_positives, 1.0) for share in SHARES]


def best(
    candidates: list[float], make: Callable[[float], ItemItem], judge: Callable[[ItemItem], float]
) -> tuple[float, ItemItem]:
    """The strength with the greatest figure, tried from the strongest on until it gets worse.

    Args:
        candidates: Strengths.
        make: Fits with one.
        judge: How good that is.
    """
    chosen, found, greatest = 0.0, None, -np.inf
    for strength in sorted(candidates, reverse=True):
        fitted = make(strength)
        figure = judge(fitted)
        if found is not None and figure <= greatest:
            break
        chosen, found, greatest = strength, fitted, figure
    assert found is not None
    return chosen, found


def low_rank(of: ItemItem, rank: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors whose products are nearest to S: those of users, float32 (U, rank), and of movies, (M, rank).

    A randomised singular value decomposition with two power iterations: Halko, Martinsson, Tropp, "Finding structure
    with randomness" (2011). Each side has the square root of the singular values. What has no rank left is zero.
    """
    number = min(rank, len(of.chosen), of.shape[0])
    random = np.random.default_rng(seed).standard_normal((len(of.chosen), min(number + 16, len(of.chosen))))
    basis = of.times(random.astype(np.float32))
    for _ in range(2):
        basis, _ = np.linalg.qr(basis)
        other, _ = np.linalg.qr(of.transposed_times(basis))
        basis = of.times(other)
    basis, _ = np.linalg.qr(basis)
    left, values, right = np.linalg.svd(of.transposed_times(basis).T, full_matrices=False)
    root = np.sqrt(values[:number])
    users = np.zeros((of.shape[0], rank), np.float32)
    movies = np.zeros((of.shape[1], rank), np.float32)
    users[:, :number] = (basis @ left[:, :number]) * root
    movies[of.chosen, :number] = (right[:number] * root[:, None]).T
    return users, movies


def _inverse(gram: np.ndarray, strength: float) -> np.ndarray:
    """(gram + strength I)^-1 of a symmetric matrix, float32, by its Cholesky factor."""
    if not len(gram):  # without positives, which LAPACK calls an error
        return np.zeros((0, 0), np.float32)
    # No eigenvalue is above the trace, which is the number of positives.
    exact = np.trace(gram, dtype=np.float64) > _WELL_CONDITIONED * strength
    kind = np.dtype(np.float64 if exact else np.float32)
    potrf, potri = lapack.get_lapack_funcs(("potrf", "potri"), dtype=kind)
    # Its transpose is the same matrix, and has the order of LAPACK.
    of_lapack: np.ndarray = gram.T.astype(kind, order="F")
    of_lapack[np.diag_indices_from(gram)] += strength
    factor, failed = potrf(of_lapack, lower=1, overwrite_a=1)
    found, wrong = potri(factor, lower=1, overwrite_c=1)
    if failed or wrong:
        raise ValueError(f"a Gram matrix with strength {strength:g} is not positive definite")
    # One half of it has been written, and is mirrored a strip at a time.
    inverse = found.T.astype(np.float32, order="C", copy=False)
    for start in range(0, len(inverse), _STRIP):
        end = start + _STRIP
        corner = inverse[start:end, start:end]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        inverse[end:, start:end] = inverse[start:end, end:].T
    return inverse
