"""Ranking metrics: answers worked out by hand, trec_eval's and scikit-learn's, and what must always hold."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

from components.ranking import metrics
from components.ranking.settings import RankingMetric

NO_MOVIES = np.zeros(0, np.int64)


def evaluate(scores, positive, ks, candidate=None, beyond=0) -> dict[str, np.ndarray]:
    """Metrics of users (rows); `beyond` positives a user are outside the catalogue."""
    scores, positive = np.asarray(scores, np.float32), np.asarray(positive, bool)
    candidate = np.ones_like(positive) if candidate is None else np.asarray(candidate, bool)
    lists = metrics.best(scores, positive, candidate, max(ks))
    return metrics.relevance(lists.hits, positive.sum(axis=1) + beyond, ks)


def test_the_settings_have_the_same_names():
    """They are read without NumPy."""
    assert get_args(RankingMetric) == metrics.RELEVANCE


def test_by_hand():
    """Positives at ranks 2 and 4 of five, and a third one below."""
    found = evaluate([[9, 8, 7, 6, 5]], [[0, 1, 0, 1, 1]], [1, 4])
    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        {
            "hit_rate@1": 0,
            "recall@1": 0,
            "precision@1": 0,
            "ndcg@1": 0,
            "map@1": 0,
            "mrr@1": 0,
            "hit_rate@4": 1,
            "recall@4": 2 / 3,
            "precision@4": 2 / 4,
            "ndcg@4": (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4)),
            "map@4": (1 / 2 + 2 / 4) / 3,
            "mrr@4": 1 / 2,
        }
    )


def test_ties_count_against_the_model():
    positive = [[1, 0, 0, 0], [0, 0, 0, 1]]
    assert evaluate(np.zeros((2, 4)), positive, [3])["recall@3"].tolist() == [0, 0]
    assert evaluate([[2, 2, 1, 0], [0, 1, 2, 2]], positive, [1, 2])["mrr@2"].tolist() == [0.5, 0.5]
    # Minus zero is zero, and two positives with one score do not push each other down.
    assert evaluate([[-0.0, 0.0, -1, -1]], [[1, 0, 0, 0]], [1])["recall@1"].tolist() == [0]
    assert evaluate([[1, 1, 0, 0]], [[1, 1, 0, 0]], [2])["ndcg@2"].tolist() == [1]


@pytest.mark.parametrize("worst", [np.nan, -np.inf])
def test_a_score_that_is_none_is_the_lowest(worst):
    found = evaluate([[worst, -1e30, 5]], [[1, 0, 0]], [2, 3])
    assert (found["recall@2"][0], found["recall@3"][0]) == (0, 1)
    assert found["mrr@3"][0] == pytest.approx(1 / 3)


def test_what_was_rated_before_is_in_no_list():
    lists = metrics.best(
        np.array([[5, 4, 3, 2]]), np.array([[0, 0, 1, 0]], bool), np.array([[0, 1, 1, 0]], bool), 4
    )
    assert lists.movies[0, :2].tolist() == [1, 2]
    assert lists.real[0].tolist() == [True, True, False, False]
    assert lists.hits[0].tolist() == [False, True, False, False]


def test_k_beyond_the_catalogue():
    found = evaluate([[3, 2, 1]], [[0, 0, 1]], [3, 50])
    assert found["recall@50"][0] == found["recall@3"][0] == 1
    assert found["precision@50"][0] == pytest.approx(1 / 50)
    assert found["ndcg@50"][0] == pytest.approx(1 / math.log2(4))


def test_positives_outside_the_catalogue_are_missed():
    found = evaluate([[3, 2, 1]], [[1, 0, 0]], [10], beyond=3)
    assert found["recall@10"][0] == 1 / 4
    assert found["ndcg@10"][0] == pytest.approx(1 / sum(1 / math.log2(r + 1) for r in range(1, 5)))


def test_users_without_positives_have_no_value():
    found = evaluate([[1, 2], [1, 2]], [[0, 0], [0, 1]], [1])
    assert all(np.isnan(values[0]) and values[1] == 1 for values in found.values())


def test_no_users_and_no_movies():
    assert evaluate(np.zeros((0, 3)), np.zeros((0, 3)), [2])["ndcg@2"].shape == (0,)
    found = evaluate(np.zeros((2, 0)), np.zeros((2, 0)), [2], beyond=1)
    assert all(values.tolist() == [0, 0] for values in found.values())


def test_as_trec_eval():
    random = np.random.default_rng(1)
    users, movies, k = 60, 200, 10
    scores = random.permuted(np.tile(np.arange(movies, dtype=np.float32), (users, 1)), axis=1)
    positive = random.random((users, movies)) < random.uniform(0.005, 0.2, (users, 1))
    positive[:, 0] = True
    candidate = random.random((users, movies)) < 0.8
    candidate |= positive
    ours = evaluate(scores, positive, [k], candidate)
    judged = {str(u): {str(m): 1 for m in np.flatnonzero(positive[u])} for u in range(users)}
    run = {str(u): {str(m): float(scores[u, m]) for m in np.flatnonzero(candidate[u])} for u in range(users)}
    names = {
        "recall": "recall",
        "precision": "P",
        "ndcg": "ndcg_cut",
        "map": "map_cut",
        "hit_rate": "success",
    }
    theirs = pytrec_eval.RelevanceEvaluator(judged, {f"{name}.{k}" for name in names.values()}).evaluate(run)
    for name, their in names.items():
        expected = [theirs[str(u)][f"{their}_{k}"] for u in range(users)]
        np.testing.assert_allclose(ours[f"{name}@{k}"], expected, atol=1e-6)
    # Its reciprocal rank has no cut-off but the end of the run.
    top = {u: dict(sorted(of.items(), key=lambda item: -item[1])[:k]) for u, of in run.items()}
    theirs = pytrec_eval.RelevanceEvaluator(judged, {"recip_rank"}).evaluate(top)
    expected = [theirs[str(u)]["recip_rank"] for u in range(users)]
    np.testing.assert_allclose(ours[f"mrr@{k}"], expected, atol=1e-6)


def test_as_scikit_learn():
    random = np.random.default_rng(2)
    scores, positive = random.random((40, 50)), random.random((40, 50)) < 0.2
    positive[:, 7] = True
    ours = evaluate(scores, positive, [10])["ndcg@10"].mean()
    assert ours == pytest.approx(ndcg_score(positive, scores.astype(np.float32), k=10))


def slowly(scores, positive, candidate, k) -> tuple[float, float, float, float]:
    """Recall, NDCG, AP and reciprocal rank of one user, as the formulas are read."""
    order = sorted(
        (movie for movie in range(len(scores)) if candidate[movie]),
        key=lambda movie: (-scores[movie], positive[movie]),
    )[:k]
    hits = [rank for rank, movie in enumerate(order, start=1) if positive[movie]]
    total = sum(positive)
    dcg = sum(1 / math.log2(rank + 1) for rank in hits)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, total) + 1))
    precision = sum(place / rank for place, rank in enumerate(hits, start=1))
    return len(hits) / total, dcg / ideal, precision / total, 1 / hits[0] if hits else 0.0


@st.composite
def cases(draw):
    movies = draw(st.integers(1, 12))
    users = draw(st.integers(1, 4))

    def rows(values):
        return draw(
            st.lists(st.lists(values, min_size=movies, max_size=movies), min_size=users, max_size=users)
        )

    # Few different scores, so that there are ties.
    return (
        np.array(rows(st.sampled_from([-np.inf, -2.5, -0.0, 0.0, 1e-30, 0.5, 3.0])), np.float32),
        np.array(rows(st.booleans())),
        np.array(rows(st.booleans())),
        draw(st.integers(1, 15)),
    )


@settings(max_examples=300, deadline=None)
@given(cases())
def test_as_the_formulas_are_read(case):
    scores, positive, candidate, k = case
    positive = positive & candidate
    found = evaluate(scores, positive, [k], candidate)
    for user in range(len(scores)):
        if positive[user].any():
            expected = slowly(scores[user].tolist(), positive[user].tolist(), candidate[user].tolist(), k)
            ours = [found[f"{name}@{k}"][user] for name in ("recall", "ndcg", "map", "mrr")]
            assert ours == pytest.approx(expected)


@settings(max_examples=100, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_movies_does_not_matter(case, random):
    scores, positive, candidate, k = case
    order = list(range(scores.shape[1]))
    random.shuffle(order)
    first = evaluate(scores, positive & candidate, [k], candidate)
    again = evaluate(scores[:, order], (positive & candidate)[:, order], [k], candidate[:, order])
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert all(np.nanmax(np.append(values, 0)) <= 1 + 1e-12 for values in first.values())


def test_groups_are_the_positives_of_each_alone_in_the_whole_list():
    # Movies 0..3 in this order; 1 and 3 liked; groups {0, 1} and {3}.
    lists = metrics.best(np.array([[4, 3, 2, 1]]), np.array([[0, 1, 0, 1]], bool), np.ones((1, 4), bool), 4)
    groups = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], bool)
    found = metrics.by_group(lists, groups, np.array([[1, 1]]), [4])
    assert found["mrr@4"].tolist() == [[1 / 2, 1 / 4]]
    assert found["recall@4"].tolist() == [[1, 1]]


def test_novelty_is_the_mean_of_the_bits():
    information = metrics.self_information(np.array([8, 4, 1, 0]), 8)
    assert information.tolist() == [0, 1, 3, 3]
    scores, nothing = np.array([[3, 2, 1, 0]] * 2), np.zeros((2, 4), bool)
    lists = metrics.best(scores, nothing, np.array([[1, 1, 1, 1], [0, 0, 0, 0]], bool), 3)
    found = metrics.novelty(lists, information, [2, 3])
    assert found["novelty@2"].tolist() == [0.5, 0]
    assert found["novelty@3"].tolist() == [4 / 3, 0]


def test_thirds_of_popularity_have_a_third_of_the_ratings_each():
    assert metrics.thirds_of_popularity(np.array([1, 10, 1, 5, 5, 1, 1, 6])).tolist() == [
        2,
        0,
        2,
        1,
        2,
        2,
        2,
        1,
    ]
    ratings = np.random.default_rng(0).zipf(1.3, 2000)
    third = metrics.thirds_of_popularity(np.minimum(ratings, 50))
    shares = np.bincount(third, weights=np.minimum(ratings, 50)) / np.minimum(ratings, 50).sum()
    np.testing.assert_allclose(shares, 1 / 3, atol=0.01)
    assert metrics.thirds_of_popularity(NO_MOVIES).shape == (0,)


def test_placements_and_log_losses_are_those_of_scikit_learn():
    random = np.random.default_rng(3)
    liked, scores = random.random(500) < 0.4, random.integers(0, 40, 500) / 40
    placed = metrics.placements(liked, scores)
    expected = roc_auc_score(liked, scores)
    assert placed[liked].mean() == pytest.approx(expected)
    assert placed[~liked].mean() == pytest.approx(expected)
    assert np.isnan(metrics.placements(np.ones(3, bool), np.arange(3))).all()
    probability = np.clip(scores, 0.01, 0.99)
    assert metrics.log_losses(liked, probability).mean() == pytest.approx(log_loss(liked, probability))
    assert np.isfinite(metrics.log_losses(liked, liked * 1.0)).all()


def test_expected_calibration_error_by_hand_and_of_a_calibrated_model():
    """Two bins: |0.5 - 0.1| of two rows, |1 - 0.9| of two more; next to nothing where likes come as foretold."""
    liked, p = np.array([True, False, True, True]), np.array([0.1, 0.1, 0.9, 0.9])
    assert metrics.expected_calibration_error(liked, p) == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    liked = rng.random(len(p)) < p
    assert metrics.expected_calibration_error(liked, p) < 0.01
    assert metrics.expected_calibration_error(liked, p**2) > 0.1
    assert metrics.expected_calibration_error(np.array([True]), np.array([1.0])) == 0
    assert np.isnan(metrics.expected_calibration_error(np.zeros(0, bool), np.zeros(0)))


@pytest.mark.parametrize("k", [1, 3, 20, 40])
@pytest.mark.parametrize("levels", [2, 5, 1000], ids=["ties everywhere", "some ties", "none"])
def test_one_order_for_all_users_gives_the_lists_that_a_score_each_gives(levels, k):
    """Ties stand against positives; what is rated is walked past, also where it is most of the catalogue."""
    random = np.random.default_rng(levels)
    users, movies = 60, 30
    scores = random.integers(0, levels, movies).astype(np.float32)
    scores[random.integers(0, movies)] = np.nan
    rated = random.random((users, movies)) < random.random((users, 1))
    positive = (random.random((users, movies)) < 0.2) & ~rated
    pairs = [np.nonzero(rated), np.nonzero(positive)]
    each = metrics.best(np.broadcast_to(scores, (users, movies)), positive, ~rated, k)
    one = metrics.best_of_one_order(scores, users, *pairs, k)
    assert one.hits.shape == (users, min(k, movies))
    np.testing.assert_array_equal(one.real, each.real)
    np.testing.assert_array_equal(one.hits, each.hits)
    np.testing.assert_array_equal(one.movies[one.real], each.movies[each.real])


def test_the_best_are_those_of_a_whole_sort():
    """With more columns than are looked at together, negative scores, ties, infinities and NaN."""
    random = np.random.default_rng(0)
    scores = random.normal(size=(40, 1500)).round(1).astype(np.float32)
    scores[random.random(scores.shape) < 0.01] = np.nan
    scores[0, :3] = [np.inf, -np.inf, -0.0]
    positive, candidate = random.random(scores.shape) < 0.05, random.random(scores.shape) < 0.9
    positive &= candidate
    found = metrics.best(scores, positive, candidate, 10)
    for user in range(40):
        value = np.nan_to_num(scores[user], nan=np.finfo(np.float32).min, neginf=np.finfo(np.float32).min)
        order = np.lexsort((np.arange(1500), positive[user], -value))
        expected = order[candidate[user][order]][:10]
        assert found.movies[user].tolist() == expected.tolist()
        assert found.hits[user].tolist() == positive[user][expected].tolist()


def test_diversity_is_the_mean_of_the_genres_that_pairs_do_not_share():
    genres = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    scores, nothing = np.array([[4, 3, 2, 1]] * 2), np.zeros((2, 4), bool)
    lists = metrics.best(scores, nothing, np.array([[1, 1, 1, 1], [1, 0, 0, 1]], bool), 4)
    # Of the first list 1 - 1/2, 1 and 1, its last movie having no genres; of the second no two have.
    assert metrics.diversity(lists, genres, 4)["diversity@4"].tolist() == pytest.approx([2.5 / 3, 0])
    assert metrics.diversity(lists, genres, 2)["diversity@2"].tolist() == [0.5, 0]


def test_share_of_the_head_is_of_the_movies_that_are_in_the_list():
    scores, nothing = np.array([[4, 3, 2, 1]] * 2), np.zeros((2, 4), bool)
    lists = metrics.best(scores, nothing, np.array([[1, 1, 1, 1], [0, 0, 1, 0]], bool), 3)
    found = metrics.head_share(lists, np.array([1, 0, 1, 0], bool), 3)
    assert found["head_share@3"].tolist() == [2 / 3, 1]


def test_reliability_has_a_bin_for_each_stretch_with_rows():
    liked = np.array([0, 1, 1, 1], bool)
    assert metrics.reliability(liked, np.array([0.05, 0.07, 0.95, 1.0])) == [
        {"rows": 2, "probability": pytest.approx(0.06), "liked": 0.5},
        {"rows": 2, "probability": pytest.approx(0.975), "liked": 1.0},
    ]
    assert metrics.reliability(liked[:0], np.zeros(0)) == []
