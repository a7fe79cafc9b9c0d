"""The logistic regressions: by hand, and as scikit-learn fits them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from components.ranking.floors import Ratings
from components.ranking.regression import Regression
from tests.components.ranking.test_floors import ratings, simulated

NO_GENRES = np.zeros((40, 0), bool)


@pytest.mark.parametrize("c", [0.05, 1.0, 8.0])
def test_biases_are_those_of_scikit_learn(c):
    train = simulated(1500)
    rows = np.arange(len(train))
    design = sparse.csr_matrix((np.ones(len(train)), (rows, train.users)), (len(train), 60))
    design = sparse.hstack([design, sparse.csr_matrix((np.ones(len(train)), (rows, train.movies)))]).tocsr()
    theirs = LogisticRegression(C=c, tol=1e-8, max_iter=1000).fit(design, train.liked)
    ours = Regression(train, 60, NO_GENRES).fit(c)
    expected = theirs.predict_proba(design)[:, 1]
    np.testing.assert_allclose(ours.probability(train.users, train.movies), expected, atol=1e-3)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=5e-3)


def test_two_users_of_opposite_taste_by_hand():
    """All but w cancels out, and of each w there is one row: w = c_genre * (1 - sigmoid(w))."""
    member = np.array([[True, False], [False, True], [False, False]])
    log = ratings((0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1))
    fitted = Regression(log, 3, member).fit(1.0, 0.5)
    w = fitted.genres[0, 0]
    assert w == pytest.approx(0.5 * expit(-w), abs=1e-4)
    np.testing.assert_allclose(fitted.genres, [[w, -w], [-w, w], [0, 0]], atol=1e-4)
    np.testing.assert_allclose([fitted.intercept, *fitted.users, *fitted.movies], 0, atol=1e-4)
    # Of a movie without genres, and of a user without ratings, there is nothing to say.
    p = fitted.probability(np.array([0, 0, 1, 0, 2]), np.array([0, 1, 0, 2, 0]))
    np.testing.assert_allclose(p, [expit(w), expit(-w), expit(-w), 0.5, 0.5], atol=1e-4)
    scores = fitted.scores(np.array([1, 2]), np.array([1, 0]))
    np.testing.assert_allclose(scores, [[w, -w], [0, 0]], atol=1e-4)


def test_users_and_genres_are_those_of_scikit_learn():
    """Whose one penalty is for all, so that columns which are a third as large have one nine times as strong."""
    train = simulated(2000)
    member = np.random.default_rng(1).random((40, 5)) < 0.4
    rows, genres = np.nonzero(member[train.movies])
    number, scale = len(train), 1 / 3
    blocks = (
        (np.ones(number), np.arange(number), train.users, 60),
        (np.ones(number), np.arange(number), train.movies, 40),
        (np.full(len(rows), scale), rows, train.users[rows] * 5 + genres, 300),
    )
    design = sparse.hstack(
        [sparse.csr_matrix((values, (at, of)), (number, width)) for values, at, of, width in blocks]
    ).tocsr()
    theirs = LogisticRegression(C=0.9, tol=1e-8, max_iter=2000).fit(design, train.liked)
    ours = Regression(train, 60, member).fit(0.9, 0.1)
    expected = theirs.predict_proba(design)[:, 1]
    np.testing.assert_allclose(ours.probability(train.users, train.movies), expected, atol=2e-3)


def test_where_it_starts_changes_nothing():
    train, member = simulated(1500), np.random.default_rng(1).random((40, 5)) < 0.4
    regression = Regression(train, 60, member)
    afar = regression.fit(8.0, 1.0)
    cold, warm = regression.fit(0.5, 0.1), regression.fit(0.5, 0.1, afar)
    pairs = train.users, train.movies
    np.testing.assert_allclose(warm.probability(*pairs), cold.probability(*pairs), atol=2e-3)
    assert (warm.c, warm.c_genre) == (0.5, 0.1)


def test_ids_that_were_never_rated_have_no_bias():
    fitted = Regression(simulated(500), 62, np.zeros((45, 0), bool)).fit(1.0)
    assert np.abs(fitted.users[60:]).max() == np.abs(fitted.movies[40:]).max() == 0
    assert fitted.probability(np.array([61]), np.array([44]))[0] == pytest.approx(expit(fitted.intercept))


@pytest.mark.parametrize("genres", [0, 2])
def test_a_log_without_rows_says_nothing(genres):
    nothing = Ratings(*(np.zeros(0, int),) * 2, np.zeros(0, bool))
    fitted = Regression(nothing, 3, np.ones((2, genres), bool)).fit(1.0)
    assert fitted.probability(np.array([0, 2]), np.array([1, 0])).tolist() == [0.5, 0.5]


def test_likes_alone_stay_finite():
    fitted = Regression(ratings((0, 0, 1), (1, 1, 1)), 2, np.ones((2, 1), bool)).fit(1.0, 0.1)
    p = fitted.probability(np.array([0, 1]), np.array([1, 0]))
    assert np.isfinite(p).all()
    assert (p > 0.9).all()
