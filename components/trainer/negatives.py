"""Negatives for implicit feedback: movies that a user has not watched, drawn anew each epoch.

All at once with numpy, never a loop over rows: uniform (He et al., "Neural collaborative filtering", 2017) or by
popularity to a power (Mikolov et al., "Distributed representations of words and phrases", 2013).
"""

from __future__ import annotations

import numpy as np

_TRIES = 8
_TABLE_BYTES = 1 << 30  # of a table of all pairs; beyond it pairs are searched for


class Negatives:
    """Draws negatives for the positives of a log.

    Args:
        users: int (P,), the user of each positive.
        movies: int (P,), its movie.
        num_users: Every user is below.
        num_movies: Every movie is below.
        exponent: A movie is drawn by its number of positives to this power, those of train alone; at 0 each of them
            is as likely.
        exclude: Whether a user's own positives are not drawn.
    """

    def __init__(
        self,
        users: np.ndarray,
        movies: np.ndarray,
        num_users: int,
        num_movies: int,
        exponent: float,
        exclude: bool,
    ) -> None:
        self._users, self._num_movies = users.astype(np.int64), num_movies
        counts = np.bincount(movies, minlength=num_movies)
        self._candidates = np.flatnonzero(counts).astype(np.int32)
        self._cumulated = (
            np.cumsum(counts[self._candidates].astype(np.float64) ** exponent) if exponent else None
        )
        self._own: np.ndarray | None = None
        self._pairs: np.ndarray | None = None
        if exclude and num_users * num_movies <= _TABLE_BYTES:
            self._own = np.zeros(num_users * num_movies, bool)
            self._own[self._users * num_movies + movies] = True
        elif exclude:
            self._pairs = np.unique(self._users * num_movies + movies)

    def draw(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Negatives of each positive, int32 (P, count).

        One of a user's own movies is drawn again, a few times; a user who has watched nearly everything may keep one.
        """
        drawn = self._some(random, len(self._users) * count)
        users = np.repeat(self._users, count)
        at = np.arange(len(drawn))
        for _ in range(_TRIES):
            at = at[self._is_own(users[at], drawn[at])]
            if not len(at):
                break
            drawn[at] = self._some(random, len(at))
        return drawn.reshape(-1, count)

    def _some(self, random: np.random.Generator, number: int) -> np.ndarray:
        if self._cumulated is None:
            return self._candidates[random.integers(0, len(self._candidates), number, np.int32)]
        at = np.searchsorted(self._cumulated, random.random(number) * self._cumulated[-1], side="right")
        return self._candidates[np.minimum(at, len(self._candidates) - 1)]

    def _is_own(self, users: np.ndarray, movies: np.ndarray) -> np.ndarray:
        keys = users * self._num_movies + movies
        if self._own is not None:
            return self._own[keys]
        if self._pairs is None:
            return np.zeros(len(keys), bool)
        found = np.minimum(np.searchsorted(self._pairs, keys), len(self._pairs) - 1)
        return self._pairs[found] == keys
