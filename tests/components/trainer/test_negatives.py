"""Negatives: drawn by the asked distribution, and never a user's own movie."""

from __future__ import annotations

import numpy as np
import pytest

from components.trainer import negatives
from components.trainer.negatives import Negatives

RANDOM = np.random.default_rng(0)
USERS = np.sort(RANDOM.integers(0, 50, 2000))
MOVIES = (RANDOM.random(2000) ** 2 * 90).astype(int)  # low ids are popular; 90 to 99 nobody has watched


def draw(exponent: float = 0.0, exclude: bool = True, count: int = 5) -> np.ndarray:
    return Negatives(USERS, MOVIES, 50, 100, exponent, exclude).draw(np.random.default_rng(1), count)


@pytest.mark.parametrize("table", [1 << 30, 0], ids=["table", "search"])
def test_never_a_users_own_movie(table, monkeypatch):
    monkeypatch.setattr(negatives, "_TABLE_BYTES", table)
    drawn = draw()
    assert drawn.shape == (2000, 5)
    own = set(zip(USERS.tolist(), MOVIES.tolist(), strict=True))
    hits = [
        (user, movie) in own
        for user, row in zip(USERS.tolist(), drawn.tolist(), strict=True)
        for movie in row
    ]
    # Of those drawn without a look about a fifth are; a few tries leave hardly one.
    assert np.mean(hits) < 0.002
    free = draw(exclude=False)
    assert np.mean([(u, m) in own for u, row in zip(USERS, free, strict=True) for m in row]) > 0.1


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_drawn_by_popularity_to_a_power(exponent):
    drawn = np.bincount(draw(exponent, exclude=False, count=100).reshape(-1), minlength=100)
    counts = np.bincount(MOVIES, minlength=100).astype(float)
    expected = np.where(counts > 0, np.maximum(counts, 1) ** exponent, 0)
    assert not drawn[90:].any()
    np.testing.assert_allclose(drawn / drawn.sum(), expected / expected.sum(), atol=0.002)


def test_another_draw_each_time_and_the_same_from_the_same_seed():
    drawer, random = Negatives(USERS, MOVIES, 50, 100, 0.0, True), np.random.default_rng(1)
    first, second = drawer.draw(random, 2), drawer.draw(random, 2)
    assert (first != second).any()
    np.testing.assert_array_equal(first, drawer.draw(np.random.default_rng(1), 2))
