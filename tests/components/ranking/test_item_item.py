"""The regression of each movie on the others: as by its definition, from either side, and of low rank."""

from __future__ import annotations

import numpy as np
import pytest

from components.ranking import item_item


def positives(users: int, movies: int, share: float = 0.2, seed: int = 0) -> np.ndarray:
    """(users, movies) of 0 and 1; the last movie has no positives."""
    found = (np.random.default_rng(seed).random((users, movies)) < share).astype(np.float64)
    found[:, -1] = 0
    return found


def by_definition(x: np.ndarray, strength: float) -> np.ndarray:
    """S = X B, each column of B a ridge regression of its movie on the others."""
    movies = x.shape[1]
    b = np.zeros((movies, movies))
    for movie in range(movies):
        others = np.delete(np.arange(movies), movie)
        gram = x[:, others].T @ x[:, others] + strength * np.eye(movies - 1)
        b[others, movie] = np.linalg.solve(gram, x[:, others].T @ x[:, movie])
    return x @ b


@pytest.mark.parametrize(("users", "movies"), [(60, 15), (15, 60)], ids=["more users", "more movies"])
def test_scores_are_those_of_a_ridge_regression_of_each_movie(users, movies):
    x = positives(users, movies)
    fitted = item_item.fit(*np.nonzero(x), x.shape, 3.0)
    assert (fitted.diagonal is None) == (users > movies)
    found = fitted.scores(np.arange(users))
    np.testing.assert_allclose(found, by_definition(x, 3.0), atol=2e-5)
    np.testing.assert_array_equal(fitted.scores(np.array([3, 1])), found[[3, 1]])


@pytest.mark.parametrize(("users", "movies"), [(60, 15), (15, 60)], ids=["more users", "more movies"])
def test_products_with_the_scores_need_no_matrix_of_them(users, movies):
    x = positives(users, movies)
    fitted = item_item.fit(*np.nonzero(x), x.shape, 3.0)
    scores = fitted.scores(np.arange(users))[:, fitted.chosen]
    random = np.random.default_rng(1)
    right = random.normal(size=(len(fitted.chosen), 4)).astype(np.float32)
    left = random.normal(size=(users, 4)).astype(np.float32)
    np.testing.assert_allclose(fitted.times(right), scores @ right, atol=1e-4)
    np.testing.assert_allclose(fitted.transposed_times(left), scores.T @ left, atol=1e-4)


@pytest.mark.parametrize(("strength", "precise"), [(3.0, False), (0.02, True)])
def test_a_matrix_near_to_singular_is_inverted_in_double(strength, precise):
    """Movies of the same users: in float32 the factor would be of rounding errors alone."""
    x = np.repeat(positives(60, 15), 4, axis=1)
    exact = np.trace(x.T @ x) > item_item._WELL_CONDITIONED * strength
    assert exact == precise
    found = item_item._inverse((x.T @ x).astype(np.float32), strength)
    expected = np.linalg.inv(x.T @ x + strength * np.eye(60))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    np.testing.assert_array_equal(found, found.T)


def test_of_full_rank_the_vectors_give_the_scores_and_of_a_low_one_the_nearest():
    x = positives(40, 12)
    fitted = item_item.fit(*np.nonzero(x), x.shape, 3.0)
    scores = fitted.scores(np.arange(40))
    users, movies = item_item.low_rank(fitted, 20, seed=1)
    assert (users.shape, movies.shape) == ((40, 20), (12, 20))
    np.testing.assert_allclose(users @ movies.T, scores, atol=1e-4)
    assert not users[:, 11:].any()  # 11 movies have positives
    few = item_item.low_rank(fitted, 3, seed=1)
    left, values, right = np.linalg.svd(scores)
    np.testing.assert_allclose(few[0] @ few[1].T, (left[:, :3] * values[:3]) @ right[:3], atol=1e-3)


@pytest.mark.parametrize(("users", "movies"), [(60, 15), (15, 60)], ids=["more users", "more movies"])
def test_strengths_tried_one_after_the_other_do_not_touch_each_other(users, movies):
    x = positives(users, movies)
    tried = item_item.fits(*np.nonzero(x), x.shape)
    for strength in (3.0, 50.0, 3.0):
        np.testing.assert_allclose(
            tried(strength).scores(np.arange(users)), by_definition(x, strength), atol=2e-5
        )


def test_beyond_a_size_the_most_frequent_movies_alone_have_a_part():
    x = positives(50, 30)
    fitted = item_item.fit(*np.nonzero(x), x.shape, 3.0, largest=10)
    counts = x.sum(axis=0)
    assert len(fitted.chosen) == 10
    assert counts[fitted.chosen].min() >= np.sort(counts)[-10]
    scores = fitted.scores(np.arange(50))
    assert not np.delete(scores, fitted.chosen, axis=1).any()
    np.testing.assert_allclose(scores[:, fitted.chosen], by_definition(x[:, fitted.chosen], 3.0), atol=2e-5)


def test_the_best_strength_is_looked_for_until_it_gets_worse():
    tried = []

    def make(strength):
        tried.append(strength)
        return strength

    assert item_item.best([1.0, 2.0, 4.0, 8.0], make, lambda fitted: -abs(fitted - 4.0)) == (4.0, 4.0)
    assert tried == [8.0, 4.0, 2.0]
