"""Distances of distributions, held against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from components.data_gate.distances import distances, of_ratings
from components.data_gate.findings import Data
from components.data_gate.settings import DataGateSettings
from components.shared.features import SPLITS
from tests.components.data_gate.made import EVEN, SCHEMA, check, data, only, ratings, split, statistics


def test_distances_are_tfdvs():
    """Checked against the formula: shares (1/2, 1/2) and (3/4, 1/4)."""
    skewed = statistics({"Drama": 0.75, "War": 0.25})
    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    m = (p + q) / 2
    expected = (np.sum(p * np.log2(p / m)) + np.sum(q * np.log2(q / m))) / 2
    settings = DataGateSettings().drift
    assert dict(distances(skewed, EVEN, SCHEMA, settings, "drift")) == {"genres": pytest.approx(expected)}
    by_infinity = settings.model_copy(update={"measure": "infinity_norm"})
    assert dict(distances(skewed, EVEN, SCHEMA, by_infinity, "skew")) == {"genres": pytest.approx(0.25)}
    assert math.isclose(expected, 0.0488, abs_tol=1e-4)


def test_few_rows_are_not_compared():
    few = statistics({"Drama": 1.0}, rows=999)
    assert not dict(distances(few, EVEN, SCHEMA, DataGateSettings().drift, "drift"))


@pytest.mark.parametrize("seed", range(5))
def test_a_random_split_of_counts_with_a_long_tail_is_no_skew(seed):
    """Plays of a song: the greatest of them is in one of the splits alone."""
    random = np.random.default_rng(seed)
    plays = np.round(random.pareto(0.8, 60_000) + 1)
    halves = np.split(random.permutation(plays), 2)
    one, other = (split(rows=30_000, ratings=np.unique(half, return_counts=True)) for half in halves)
    bars = DataGateSettings().skew
    ((feature, distance),) = of_ratings(one, other, bars)
    assert feature == "rating"
    assert distance < bars.rating.warn / 5
    heavier = split(rows=30_000, ratings=np.unique(2 * halves[1] + 1, return_counts=True))
    ((_, distance),) = of_ratings(one, heavier, bars)
    assert distance > bars.rating.fatal


def test_the_divergence_of_ratings_by_hand():
    """Half and half against all: base 2, by Jensen and Shannon."""
    one, other = split(ratings=ratings({1.0: 50, 5.0: 50})), split(ratings=ratings({5.0: 100}))
    ((_, distance),) = of_ratings(one, other, DataGateSettings().skew)
    # P is (1/2, 1/2), Q (0, 1), and their mean (1/4, 3/4).
    by_hand = (0.5 * math.log2(0.5 / 0.25) + 0.5 * math.log2(0.5 / 0.75)) / 2 + math.log2(1 / 0.75) / 2
    assert distance == pytest.approx(by_hand)
    ((_, same),) = of_ratings(one, one, DataGateSettings().skew)
    assert same == 0


def test_skew_and_drift_become_findings():
    skewed = statistics({"Drama": 0.99, "War": 0.01})
    current = Data(data().profile, {**data().statistics, "test": skewed})
    found = only(check(current))
    assert (found.rule, found.feature, found.split, found.level) == ("skew", "genres", "test", "fatal")
    assert found.accept.startswith("--set data_gate.skew.genres.fatal=0.2")
    drifted = Data(data().profile, dict.fromkeys(SPLITS, skewed))
    assert only(check(drifted, data())).rule == "drift"
