"""The floors: by hand, and as scikit-learn fits them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from components.ranking import floors
from components.ranking.floors import Ratings


def ratings(*rows: tuple[int, int, int]) -> Ratings:
    users, movies, liked = (np.array(column) for column in zip(*rows, strict=True))
    return Ratings(users, movies, liked.astype(bool))


def simulated(rows: int, users: int = 60, movies: int = 40, seed: int = 0) -> Ratings:
    """Likes of a world that is a bias logistic regression."""
    random = np.random.default_rng(seed)
    u, m = random.integers(0, users, rows), random.integers(0, movies, rows)
    biases = np.random.default_rng(99)
    logits = biases.normal(size=users)[u] + biases.normal(size=movies)[m] + 0.3
    return Ratings(u, m, random.random(rows) < 1 / (1 + np.exp(-logits)))


def test_popularity_counts_likes():
    assert floors.popularity(ratings((0, 0, 1), (1, 0, 0), (1, 2, 1), (2, 2, 1)), 4).tolist() == [
        1,
        0,
        2,
        0,
    ]


def test_ease_finds_what_is_watched_together():
    """Pairs of movies that the same users watch; its strength is chosen on eval, and it is fitted to both."""
    random = np.random.default_rng(3)
    first = random.integers(0, 20, (80, 5)) * 2
    pairs = np.stack([np.repeat(np.arange(80), 10), np.concatenate([first, first + 1], axis=1).reshape(-1)])
    users, movies = np.unique(pairs, axis=1)
    held = random.random(len(users)) < 0.2
    train, evaluation = (Ratings(users[at], movies[at], np.ones(at.sum(), bool)) for at in (~held, held))
    fitted = floors.ease(train, evaluation, 80, np.arange(40), 40)
    scores = fitted.scores(np.arange(80))
    for user in (0, 7):
        seen = set(movies[users == user].tolist())
        partners = [movie for movie in range(40) if movie not in seen and (movie ^ 1) in seen]
        others = [movie for movie in range(40) if movie not in seen and (movie ^ 1) not in seen]
        assert not partners or scores[user, partners].min() > scores[user, others].max()
    nothing = Ratings(*(np.zeros(0, int),) * 2, np.zeros(0, bool))
    assert floors.ease(train, nothing, 80, np.arange(40), 40).scores(np.array([1])).shape == (1, 40)


def test_movie_mean_is_drawn_towards_the_share_of_all():
    train, evaluation = simulated(2000), simulated(300, seed=1)
    means = floors.movie_mean(train, evaluation, 41)
    both = train + evaluation
    share = both.liked.mean()
    assert means[40] == pytest.approx(share, abs=1e-3)  # no ratings
    for movie in range(40):
        plain = both.liked[both.movies == movie].mean()
        assert min(plain, share) - 1e-3 <= means[movie] <= max(plain, share) + 1e-3


def test_movie_mean_of_likes_alone_is_no_certainty():
    means = floors.movie_mean(ratings((0, 0, 1), (1, 0, 1)), ratings((0, 0, 1)), 2)
    assert ((means > 0) & (means < 1)).all()


@pytest.mark.parametrize("c", [0.05, 1.0, 8.0])
def test_biases_are_those_of_scikit_learn(c):
    train = simulated(1500)
    rows = np.arange(len(train))
    design = sparse.csr_matrix((np.ones(len(train)), (rows, train.users)), (len(train), 60))
    design = sparse.hstack([design, sparse.csr_matrix((np.ones(len(train)), (rows, train.movies)))]).tocsr()
    theirs = LogisticRegression(C=c, tol=1e-8, max_iter=1000).fit(design, train.liked)
    ours = floors.fit_biases(train, 60, 40, c)
    expected = theirs.predict_proba(design)[:, 1]
    np.testing.assert_allclose(ours.probability(train.users, train.movies), expected, atol=1e-3)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=5e-3)


def test_ids_that_were_never_rated_have_no_bias():
    fitted = floors.fit_biases(simulated(500), 62, 45, 1.0)
    assert np.abs(fitted.users[60:]).max() == np.abs(fitted.movies[40:]).max() == 0
    assert fitted.probability(np.array([61]), np.array([44]))[0] == pytest.approx(
        1 / (1 + np.exp(-fitted.intercept))
    )


def test_strength_is_chosen_on_eval_and_the_fit_is_of_both_splits():
    train, evaluation, test = simulated(3000), simulated(500, seed=1), simulated(3000, seed=2)
    chosen = floors.bias_logistic_regression(train, evaluation, 60, 40, 6)

    def loss(fitted: floors.Biases) -> float:
        return floors.log_losses(test.liked, fitted.probability(test.users, test.movies)).mean()

    losses = [loss(floors.fit_biases(train + evaluation, 60, 40, c)) for c in np.geomspace(0.02, 8, 6)]
    assert loss(chosen) <= min(losses) + 0.005
    assert loss(chosen) < max(losses)
