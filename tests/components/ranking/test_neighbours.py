"""The nearest neighbours of movies: by hand, and in chunks."""

from __future__ import annotations

import numpy as np
import pytest

from components.ranking import neighbours

# Users 0 to 3 of movies 0 to 3; nobody likes movie 3.
LIKES = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 0]])


def fitted(shrinkage: float = 0.0, number: int = 4, likes=LIKES, memory_mb: int = 1) -> neighbours.Neighbours:
    (found,) = neighbours.fit(*np.nonzero(likes), likes.shape, [shrinkage], number, memory_mb)
    return found


def test_cosines_by_hand():
    cosines = fitted().cosines.toarray()
    near, far = 2 / np.sqrt(3 * 2), 1 / np.sqrt(3 * 2)
    expected = [[0, near, far, 0], [near, 0, 0, 0], [far, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(cosines, expected, atol=1e-6)
    shrunk = fitted(shrinkage=10.0).cosines.toarray()
    assert shrunk[0, 1] == pytest.approx(2 / (np.sqrt(6) + 10))
    assert shrunk[0, 2] == pytest.approx(1 / (np.sqrt(6) + 10))


def test_scores_sum_the_cosines_with_what_the_user_likes():
    near, far = 2 / np.sqrt(6), 1 / np.sqrt(6)
    scores = fitted().scores(np.array([2, 0]))
    np.testing.assert_allclose(scores, [[far, near, far, 0], [near, near, far, 0]], atol=1e-6)


def test_each_movie_has_its_nearest_alone():
    few = fitted(number=1)
    assert few.cosines.toarray()[0].tolist() == [0, pytest.approx(2 / np.sqrt(6)), 0, 0]
    # Movie 2 is near to movie 0, though movie 0 has a nearer one.
    assert few.cosines.toarray()[2, 0] > 0
    np.testing.assert_array_equal(fitted().nearest(1).cosines.toarray(), few.cosines.toarray())


def test_of_equal_ones_the_first_are_the_nearest_in_whatever_order_they_come():
    cosines = np.array([0.9, *[0.5] * 9])
    for order in (np.arange(10), np.random.default_rng(0).permutation(10)):
        others, near = neighbours._nearest(order, cosines[order], 4)
        assert others.tolist() == [0, 1, 2, 3]
        assert near.tolist() == [0.9, 0.5, 0.5, 0.5]


def test_several_shrinkages_are_each_as_alone():
    found = neighbours.fit(*np.nonzero(LIKES), LIKES.shape, [0.0, 10.0], 2, 1)
    for of, shrinkage in zip(found, (0.0, 10.0), strict=True):
        np.testing.assert_array_equal(of.cosines.toarray(), fitted(shrinkage, 2).cosines.toarray())


def test_a_pair_that_comes_twice_counts_once():
    users, movies = np.nonzero(LIKES)
    (twice,) = neighbours.fit(np.repeat(users, 2), np.repeat(movies, 2), LIKES.shape, [0.0], 4, 1)
    np.testing.assert_array_equal(twice.cosines.toarray(), fitted().cosines.toarray())


def test_chunks_change_nothing():
    """A megabyte holds a row of 900 movies some 48 times: 19 chunks."""
    likes = np.random.default_rng(0).random((300, 900)) < 0.05
    one, many = fitted(5.0, 20, likes, memory_mb=1000), fitted(5.0, 20, likes)
    np.testing.assert_array_equal(one.cosines.toarray(), many.cosines.toarray())
    together = likes.T.astype(float) @ likes
    counts = likes.sum(axis=0)
    expected = together / (np.sqrt(np.outer(counts, counts)) + 5.0)
    np.fill_diagonal(expected, 0)
    kept = one.cosines.toarray()
    assert (kept > 0).sum(axis=1).max() == 20
    np.testing.assert_allclose(kept[kept > 0], expected[kept > 0], rtol=1e-5)
    np.testing.assert_allclose(
        kept.min(axis=1, where=kept > 0, initial=9), np.sort(expected)[:, -20], rtol=1e-5
    )


def test_without_positives_nothing_is_near():
    nothing = fitted(likes=np.zeros((3, 5), int))
    assert nothing.scores(np.array([0, 2])).tolist() == [[0.0] * 5] * 2
    assert nothing.nearest(2).cosines.nnz == 0
