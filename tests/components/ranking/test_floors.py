"""The floors: by hand, and what is chosen on eval."""

from __future__ import annotations

import numpy as np
import pytest

from components.ranking import floors
from components.ranking.floors import Ratings
from components.ranking.regression import Biases, Regression


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


@pytest.mark.parametrize("floor", ["ease", "item_knn"])
def test_what_is_watched_together_is_found(floor):
    """Pairs of movies that the same users watch; the strength is chosen on eval, and both splits are learned from."""
    random = np.random.default_rng(3)
    first = random.integers(0, 20, (80, 5)) * 2
    pairs = np.stack([np.repeat(np.arange(80), 10), np.concatenate([first, first + 1], axis=1).reshape(-1)])
    users, movies = np.unique(pairs, axis=1)
    held = random.random(len(users)) < 0.2
    train, evaluation = (Ratings(users[at], movies[at], np.ones(at.sum(), bool)) for at in (~held, held))
    fit, memory = getattr(floors, floor), (64,) if floor == "item_knn" else ()
    fitted = fit(train, evaluation, 80, np.arange(40), 40, *memory)
    scores = fitted.scores(np.arange(80))
    for user in (0, 7):
        seen = set(movies[users == user].tolist())
        partners = [movie for movie in range(40) if movie not in seen and (movie ^ 1) in seen]
        others = [movie for movie in range(40) if movie not in seen and (movie ^ 1) not in seen]
        assert not partners or scores[user, partners].min() > scores[user, others].max()
    nothing = Ratings(*(np.zeros(0, int),) * 2, np.zeros(0, bool))
    for none in ((train, nothing), (nothing, evaluation), (nothing, nothing)):
        assert fit(*none, 80, np.arange(40), 40, *memory).scores(np.array([1])).shape == (1, 40)


def test_eval_is_judged_the_same_in_blocks_of_users(monkeypatch):
    train, evaluation = simulated(1500), simulated(300, seed=1)
    scores = np.random.default_rng(2).random((60, 40))
    figures = []
    for at_once in (1 << 24, 7 * 40, 1):
        monkeypatch.setattr(floors, "_JUDGED_SCORES", at_once)
        judge = floors._judge(train, evaluation, 60, np.arange(0, 40, 2), 40)
        asked = []
        figures.append(judge(lambda users, asked=asked: asked.append(len(users)) or scores[users]))
        assert max(asked) <= max(at_once // 40, 1)
    assert figures == [figures[0]] * 3
    assert 0 < figures[0] < 1


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


def test_strength_is_chosen_on_eval_and_the_fit_is_of_both_splits():
    train, evaluation, test = simulated(3000), simulated(500, seed=1), simulated(3000, seed=2)
    chosen = floors.bias_logistic_regression(train, evaluation, 60, 40, 6)

    none = np.zeros((40, 0), bool)
    both = Regression(train + evaluation, 60, none)
    losses = [loss(both.fit(c), test) for c in np.geomspace(0.02, 8, 6)]
    assert loss(chosen, test) <= min(losses) + 0.005
    assert loss(chosen, test) < max(losses)


def loss(fitted: Biases, ratings: Ratings) -> float:
    return floors.log_losses(ratings.liked, fitted.probability(ratings.users, ratings.movies)).mean()


def tastes(rows: int, seed: int, taste: float) -> tuple[Ratings, np.ndarray]:
    """Likes of a world in which users differ in the genres they like, as much as `taste` says; and the genres."""
    of_genres, world = np.random.default_rng(seed), np.random.default_rng(98)
    member = world.random((40, 4)) < 0.4
    likings = taste * world.normal(size=(60, 4))
    users, movies = of_genres.integers(0, 60, rows), of_genres.integers(0, 40, rows)
    logits = (likings[users] * member[movies]).sum(axis=1)
    return Ratings(users, movies, of_genres.random(rows) < 1 / (1 + np.exp(-logits))), member


def test_genres_help_where_users_differ_in_them_and_do_no_harm_where_not():
    for taste, helps in ((1.0, True), (0.0, False)):
        (train, member), (evaluation, _), (test, _) = (
            tastes(rows, seed, taste) for seed, rows in enumerate((4000, 600, 4000))
        )
        plain = floors.bias_logistic_regression(train, evaluation, 60, 40, 6)
        crossed = floors.bias_genre_logistic_regression(train, evaluation, 60, member, plain.c)
        if helps:
            assert loss(crossed, test) < loss(plain, test) - 0.02
            assert crossed.c_genre > 0.01  # not the strongest penalty
        else:
            assert crossed.c_genre == 0.01
            assert loss(crossed, test) < loss(plain, test) + 0.002
        # It has learned from eval, too: as one fit to both splits at its own strengths.
        again = Regression(train + evaluation, 60, member).fit(crossed.c, crossed.c_genre)
        pairs = test.users, test.movies
        np.testing.assert_allclose(crossed.probability(*pairs), again.probability(*pairs), atol=2e-3)


def test_without_eval_rows_there_are_regressions_all_the_same():
    train, member = tastes(500, 0, 1.0)
    nothing = train[np.zeros(0, int)]
    plain = floors.bias_logistic_regression(train, nothing, 60, 40, 3)
    crossed = floors.bias_genre_logistic_regression(train, nothing, 60, member, plain.c)
    assert np.isfinite(crossed.probability(train.users, train.movies)).all()
