"""The evaluation on a small log by hand, and on a larger one: batches, memory, samples, unknown users."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.rows import MOVIES_SCHEMA
from components.ranking.data import Dataset, genres
from components.ranking.evaluation import Scorer, evaluate, scorers
from components.ranking.floors import Ratings
from components.ranking.settings import RankingSettings
from components.shared.features import EVAL_SPLIT, TEST_SPLIT, TRAIN_SPLIT

SETTINGS = RankingSettings(ks=(1, 2), primary_k=2, bootstrap_samples=100)


def ids(prefix: str, number: int) -> np.ndarray:
    return np.array([f"{prefix}{i:04d}".encode() for i in range(number)], object)


def ratings(*rows: tuple[int, int, int]) -> Ratings:
    users, movies, liked = np.array(rows, np.int64).reshape(-1, 3).T
    return Ratings(users, movies, liked.astype(bool))


@pytest.fixture
def small() -> Dataset:
    """Three users and five movies; movie 4 is in test alone, and user 2 too."""
    splits = {
        TRAIN_SPLIT: ratings((0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 2, 0), (1, 3, 0), (0, 2, 0)),
        EVAL_SPLIT: ratings((1, 1, 1)),
        TEST_SPLIT: ratings((0, 3, 1), (0, 4, 1), (1, 4, 0), (2, 0, 1), (2, 2, 0)),
    }
    return Dataset(splits, ids("u", 3), ids("m", 5), np.arange(4))


def fixed(scores: list[list[float]], likes: list[float] | None = None) -> Scorer:
    table = np.array(scores, np.float32)
    return Scorer(None if likes is None else np.array(likes), lambda users: table[users])


NO_GENRES: tuple[list[str], np.ndarray] = ([], np.zeros((5, 0), bool))


def test_by_hand(small):
    of_genres = (["Drama", "War"], np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 0]], bool))
    candidate = fixed([[9, 9, 9, 1], [0, 0, 0, 0], [5, 7, 6, 1]], [0.8, 0.8, 0.6, 0.5, 0.5])
    found = evaluate(small, {"candidate": candidate}, of_genres, SETTINGS)
    report = found.report
    assert (report["users"], report["users_without_positives"], report["ratings"]) == (2, 1, 5)
    assert (report["positives"], report["positives_outside_catalogue"], report["catalogue"]) == (3, 1, 4)
    overall = {name: of["value"] for name, of in report["models"]["candidate"]["overall"].items()}
    # User 0 has but movie 3 left, and finds it; movie 4 cannot be found. User 2 has movie 0 at rank 3.
    assert overall["recall@1"] == overall["recall@2"] == pytest.approx((1 / 2 + 0) / 2)
    assert overall["ndcg@2"] == pytest.approx(1 / (1 + 1 / math.log2(3)) / 2)
    assert overall["mrr@2"] == 1 / 2
    losses = -np.log([0.8, 0.8, 1 - 0.6, 0.5, 1 - 0.5])
    assert overall["log_loss"] == pytest.approx(losses.mean())
    assert overall["auc"] == pytest.approx((1 + 1 + (0 + 0.5) / 2) / 3)
    # Lists of user 0: 3; of user 2: 1, 2. User 1's, which has no positives, do not count.
    assert report["models"]["candidate"]["coverage"] == {"coverage@1": 2 / 4, "coverage@2": 3 / 4}
    slices = {(of["by"], of["name"]): of for of in report["models"]["candidate"]["slices"]}
    # User 1 and user 0 have three ratings in train each, and user 1 no positives.
    users = {name: of["users"] for (by, name), of in slices.items() if by == "activity"}
    assert users == {"heavy": 0, "medium": 1, "light": 0, "new": 1}
    assert slices["activity", "new"]["metrics"]["recall@2"]["value"] == 0
    assert slices["genre", "War"]["users"] == 1
    assert slices["genre", "War"]["metrics"]["recall@2"]["value"] == 1
    assert slices["genre", "Drama"]["users"] == 2  # movie 4 of user 0, movie 0 of user 2
    assert slices["genre", "Drama"]["metrics"]["recall@2"]["value"] == 0
    table = found.per_user.to_pydict()
    assert table["user_id"] == ["u0000", "u0001", "u0002"]
    assert table["num_positives"] == [2, 0, 1]
    assert np.isnan(table["candidate.ndcg@2"][1])
    assert sum(table["candidate.log_loss"]) == pytest.approx(losses.sum())


def test_differences_are_paired(small):
    candidate = fixed([[0, 0, 0, 1]] * 3, [0.5] * 5)
    found = evaluate(small, {"candidate": candidate, "baseline": candidate}, NO_GENRES, SETTINGS)
    for difference in found.report["differences"]["baseline"].values():
        assert difference == {"value": 0, "low": 0, "high": 0}


def test_a_log_without_likes_in_test_has_no_ranking(small):
    splits = {**small.splits, TEST_SPLIT: ratings((0, 3, 0), (2, 1, 0))}
    data = Dataset(splits, small.user_ids, small.movie_ids, small.catalogue)
    found = evaluate(data, {"candidate": fixed([[0, 0, 0, 1]] * 3, [0.5, 0.5])}, NO_GENRES, SETTINGS).report
    assert (found["users"], found["users_without_positives"]) == (0, 2)
    assert found["models"]["candidate"]["overall"]["ndcg@2"]["value"] is None
    assert found["models"]["candidate"]["overall"]["auc"]["value"] is None
    assert found["models"]["candidate"]["overall"]["log_loss"]["value"] == pytest.approx(math.log(2))


@pytest.fixture(scope="module")
def large() -> Dataset:
    """1,200 users, 900 movies, 20 ratings each."""
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(1200), 20)
    movies = np.concatenate([random.choice(900, 20, replace=False) for _ in range(1200)])
    liked, split = random.random(len(users)) < 0.6, np.tile(np.repeat([0, 1, 2], [14, 2, 4]), 1200)
    splits = {
        name: Ratings(users[split == i], movies[split == i], liked[split == i])
        for i, name in enumerate((TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT))
    }
    return Dataset(splits, ids("u", 1200), ids("m", 900), np.unique(splits[TRAIN_SPLIT].movies))


def noise(data: Dataset, called: list[int] | None = None) -> Scorer:
    """Random scores, the same for a user in any batch."""
    vectors = np.random.default_rng(1).normal(size=(len(data.user_ids), 8)).astype(np.float32)
    movies = np.random.default_rng(2).normal(size=(8, len(data.catalogue))).astype(np.float32)

    def scores(users: np.ndarray) -> np.ndarray:
        if called is not None:
            called.append(len(users))
        # Row by row equal whatever the batch, which a matrix product is not to the last bit.
        return (vectors[users] @ movies).round(3)

    return Scorer(None, scores)


@pytest.mark.parametrize("sampled", [None, 50])
def test_batches_change_nothing_and_bound_the_memory(large, sampled):
    none = (["Drama"], np.ones((900, 1), bool))
    results, peaks, calls = [], [], []
    for memory in (4, 1024):
        settings = RankingSettings(memory_mb=memory, bootstrap_samples=100, sampled_candidates=sampled)
        called: list[int] = []
        model = noise(large, called)
        tracemalloc.start()
        results.append(evaluate(large, {"candidate": model}, none, settings))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        calls.append(called)
    few, many = (result.report["models"]["candidate"] for result in results)
    for name in results[0].per_user.column_names:
        np.testing.assert_array_equal(results[0].per_user[name], results[1].per_user[name])
    assert few["coverage"] == many["coverage"]
    for name, of in few["overall"].items():
        assert of == pytest.approx(many["overall"][name], rel=1e-4)
    # Never a call a user: as many as there are batches.
    assert len(calls[1]) == 1
    assert len(set(calls[0])) <= 2
    assert max(calls[0]) == 4 * 2**20 // 40 // (900 + 20 * (4 + 1))
    assert peaks[0] < peaks[1] / 2


def test_sampled_candidates_are_the_positives_and_so_many_others(large):
    settings = RankingSettings(bootstrap_samples=100, sampled_candidates=30)
    scores = np.random.default_rng(3).random((1200, 900))
    found = evaluate(
        large, {"candidate": Scorer(None, lambda users: scores[users])}, NO_GENRES_LARGE, settings
    ).report
    overall = found["models"]["candidate"]["overall"]
    positives = found["positives"] / found["users"]
    # Of random scores: 10 of the 30 and the positives.
    expected = 10 / (30 + positives)
    assert overall["sampled_recall@10"]["value"] == pytest.approx(expected, rel=0.1)
    assert overall["recall@10"]["value"] == pytest.approx(10 / 884, rel=0.4)


NO_GENRES_LARGE: tuple[list[str], np.ndarray] = ([], np.zeros((900, 0), bool))


GENRES_LARGE: tuple[list[str], np.ndarray] = (["Drama", "War"], np.arange(1800).reshape(900, 2) % 3 > 0)


def test_floors_are_fitted_to_the_likes(large):
    found = scorers(large, {}, GENRES_LARGE, RankingSettings())
    likes = {"movie_mean", "bias_logistic_regression", "bias_genre_logistic_regression"}
    assert set(found) == {"ease", "popularity", *likes}
    for model in found.values():
        scores = model.scores
        assert (scores(np.array([0, 5])) if callable(scores) else np.stack([scores] * 2)).shape == (2, 900)
    # These likes are coins of .6: nothing does better, and a floor should not do much worse.
    report = evaluate(large, found, NO_GENRES_LARGE, RankingSettings(bootstrap_samples=100)).report
    entropy = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4))
    for name in likes:
        assert report["models"][name]["overall"]["log_loss"]["value"] == pytest.approx(entropy, abs=0.02)


def test_without_genres_there_is_no_regression_on_them(large):
    assert "bias_genre_logistic_regression" not in scorers(large, {}, NO_GENRES_LARGE, RankingSettings())
    none = (["Drama"], np.zeros((900, 1), bool))
    assert "bias_genre_logistic_regression" not in scorers(large, {}, none, RankingSettings())


@pytest.mark.parametrize(("bar", "name"), [(899, "item_knn"), (900, "ease")])
def test_beyond_its_size_neighbours_stand_in_for_ease(large, bar, name):
    """900 movies of 1,200 users: the fewer of both count."""
    found = scorers(large, {}, NO_GENRES_LARGE, RankingSettings(max_ease_movies=bar))
    assert {"ease", "item_knn"} & set(found) == {name}
    assert found[name].likes is None
    scores = found[name].scores(np.array([3, 9]))
    assert scores.shape == (2, 900)
    assert np.isfinite(scores).all()


def test_genres_by_movie():
    table = pa.Table.from_pydict(
        {
            "movie_id": ["a", "b", "c"],
            "title": [""] * 3,
            "genres": [["War", "Drama"], [], ["Drama"]],
            "year": [None] * 3,
        },
        MOVIES_SCHEMA,
    )
    names, member = genres(table, np.array([b"c", b"nowhere", b"a", b"b"], object))
    assert names == ["Drama", "War"]
    assert member.tolist() == [[True, False], [False, False], [True, True], [False, False]]
    assert genres(table.slice(0, 0), np.array([b"c"], object))[1].shape == (1, 0)
