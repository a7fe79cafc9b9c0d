"""Intervals: as wide as theory says, paired, and the same however the users are cut into batches."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from components.ranking import bootstrap, metrics


def summed(columns: dict[str, np.ndarray], samples: int = 2000, seed: int = 1, batch: int = 10**9):
    sums = bootstrap.Sums(samples, seed)
    users = len(next(iter(columns.values())))
    for start in range(0, users, batch):
        sums.add({key: values[start : start + batch] for key, values in columns.items()})
    return sums


def test_interval_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(0).exponential(size=2000)
    sums = summed({"x": values, "n": np.ones(2000)})
    found = bootstrap.estimate(sums.ratio("x", "n"), 0.95)
    error = 1.96 * values.std() / np.sqrt(2000)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * error, rel=0.08)
    assert found.low < found.value < found.high


def test_ninety_percent_intervals_hold_the_truth_nine_times_of_ten():
    random = np.random.default_rng(5)
    inside = 0
    for seed in range(200):
        sums = summed({"x": random.exponential(size=150), "n": np.ones(150)}, 400, seed)
        found = bootstrap.estimate(sums.ratio("x", "n"), 0.9)
        inside += found.low <= 1 <= found.high
    assert 0.82 <= inside / 200 <= 0.96


def test_a_ratio_is_of_sums_and_not_of_means():
    sums = summed({"x": np.array([1.0, 9.0]), "n": np.array([1.0, 3.0])})
    assert sums.ratio("x", "n")[0] == 10 / 4
    assert sums.count("n") == 4


def test_weights_are_poisson():
    weights = bootstrap.Sums(3001, 1)._weights(400)
    assert weights.mean() == pytest.approx(1, abs=0.005)
    assert weights.var() == pytest.approx(1, abs=0.01)
    shares = np.bincount(weights.astype(int).reshape(-1)) / weights.size
    np.testing.assert_allclose(shares[:5], np.exp(-1) / np.array([1, 1, 2, 6, 24]), atol=2e-3)
    assert abs(np.corrcoef(weights[:, 0], weights[:, 1])[0, 1]) < 0.2


@pytest.mark.parametrize("samples", [2000, 1999])
def test_batches_do_not_matter(samples: int):
    columns = {"x": np.random.default_rng(2).normal(size=333), "n": np.ones(333)}
    whole, parts = (summed(columns, samples, batch=size).ratio("x", "n") for size in (333, 7))
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-6)


def test_a_paired_difference_is_far_narrower_than_either():
    random = np.random.default_rng(3)
    hard = random.normal(size=500)
    sums = summed({"a": hard, "b": hard + 0.05 + 0.1 * random.normal(size=500), "n": np.ones(500)})
    a, b = sums.ratio("a", "n"), sums.ratio("b", "n")
    difference, alone = bootstrap.estimate(b - a, 0.95), bootstrap.estimate(a, 0.95)
    assert difference.high - difference.low < 0.2 * (alone.high - alone.low)
    assert 0 < difference.low < 0.05 < difference.high


def test_nothing_to_compute_from():
    sums = summed({"x": np.array([np.nan, np.nan]), "n": np.zeros(2)})
    assert np.isnan(bootstrap.estimate(sums.ratio("x", "n"), 0.95).value)


def test_auc_of_resamples_is_near_that_of_resampled_rows():
    random = np.random.default_rng(4)
    users = np.repeat(np.arange(300), random.integers(1, 40, 300))
    taste = random.normal(size=300)[users]
    liked = taste + random.normal(size=len(users)) > 0
    scores = taste + liked + random.normal(size=len(users))
    placed = metrics.placements(liked, scores)
    columns = {
        "liked": np.bincount(users, liked),
        "others": np.bincount(users, ~liked),
        "auc_liked": np.bincount(users, placed * liked),
        "auc_others": np.bincount(users, placed * ~liked),
    }
    sums = summed(columns, samples=400, seed=9)
    ours = bootstrap.auc(sums.ratio("auc_liked", "liked"), sums.ratio("auc_others", "others"))
    weights = bootstrap.Sums(400, 9)._weights(300)
    exact = [roc_auc_score(liked, scores, sample_weight=weights[users, s]) for s in range(400)]
    assert ours[0] == pytest.approx(roc_auc_score(liked, scores))
    assert np.corrcoef(ours[1:], exact)[0, 1] > 0.99
    ends = [0.025, 0.975]
    np.testing.assert_allclose(
        np.quantile(ours[1:], ends), np.quantile(exact, ends), atol=0.1 * np.std(exact)
    )
