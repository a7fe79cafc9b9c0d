"""Figures from the table of users: those of the evaluation itself, and paired over tables of several evaluations."""

from __future__ import annotations

import numpy as np
import pytest

from components.ranking.data import Dataset
from components.ranking.evaluation import AUC, BASELINE, CANDIDATE, LOG_LOSS, POPULARITY, Scorer, evaluate
from components.ranking.figures import Figures
from components.ranking.floors import Ratings
from components.ranking.settings import RankingSettings
from components.shared.features import EVAL_SPLIT, TEST_SPLIT, TRAIN_SPLIT

SETTINGS = RankingSettings(bootstrap_samples=200, memory_mb=1)
GENRES: tuple[list[str], np.ndarray] = ([], np.zeros((40, 0), bool))


@pytest.fixture(scope="module")
def log() -> Dataset:
    """150 users and 40 movies."""
    random = np.random.default_rng(0)
    users, movies = np.repeat(np.arange(150), 40), np.tile(np.arange(40), 150)
    liked, split = random.random(len(users)) < 0.5, random.integers(0, 3, len(users))
    parts = [Ratings(users[split == i], movies[split == i], liked[split == i]) for i in range(3)]
    return Dataset(
        dict(zip((TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT), parts, strict=True)),
        np.array([str(user).encode() for user in range(150)], object),
        np.array([str(movie).encode() for movie in range(40)], object),
        np.arange(40),
    )


def guessing(data: Dataset, seed: int, says_likes: bool = True) -> Scorer:
    scores = np.random.default_rng(seed).random((150, 40))
    test = data.splits[TEST_SPLIT]
    return Scorer(scores[test.users, test.movies] if says_likes else None, lambda users: scores[users])


def columns(table) -> dict[str, np.ndarray]:
    return {
        name: table[name].to_numpy()
        for name in table.column_names
        if name not in ("user_id", "activity", "num_train")
    }


def test_they_are_those_of_the_evaluation(log):
    models = {CANDIDATE: guessing(log, 1), BASELINE: guessing(log, 2)}
    found = evaluate(log, models, GENRES, SETTINGS)
    figures = Figures(columns(found.per_user), ["ndcg@10", "recall@5"], SETTINGS)
    for metric in (AUC, LOG_LOSS, "ndcg@10", "recall@5"):
        candidate, baseline = figures.of(CANDIDATE, metric), figures.of(BASELINE, metric)
        expected = found.report["models"][CANDIDATE]["overall"][metric]
        assert figures.estimate(candidate).as_dict() == pytest.approx(expected, abs=1e-5)
        expected = found.report["differences"][BASELINE][metric]
        assert figures.estimate(candidate - baseline).as_dict() == pytest.approx(expected, abs=1e-5)


def test_two_evaluations_are_as_paired_as_one_of_both(log):
    """What `marquee compare` does: each model has been evaluated alone, on the same users in the same order."""
    both = evaluate(log, {CANDIDATE: guessing(log, 1), BASELINE: guessing(log, 2)}, GENRES, SETTINGS)
    alone = columns(evaluate(log, {CANDIDATE: guessing(log, 1)}, GENRES, SETTINGS).per_user)
    other = columns(evaluate(log, {CANDIDATE: guessing(log, 2)}, GENRES, SETTINGS).per_user)
    of_other = {
        f"a.module.{key.removeprefix('candidate.')}": other[key] for key in other if "candidate." in key
    }
    figures = Figures({**alone, **of_other}, ["ndcg@10"], SETTINGS)
    for metric in (AUC, "ndcg@10"):
        found = figures.estimate(figures.of(CANDIDATE, metric) - figures.of("a.module", metric))
        assert found.as_dict() == pytest.approx(both.report["differences"][BASELINE][metric], abs=1e-5)


def test_who_says_nothing_of_likes_has_no_auc(log):
    found = evaluate(
        log, {CANDIDATE: guessing(log, 1), POPULARITY: guessing(log, 2, False)}, GENRES, SETTINGS
    )
    figures = Figures(columns(found.per_user), ["ndcg@10"], SETTINGS)
    assert figures.has(CANDIDATE, AUC)
    assert figures.has(POPULARITY, "ndcg@10")
    assert not figures.has(POPULARITY, AUC)
    assert not figures.has(POPULARITY, LOG_LOSS)
    assert not figures.has(CANDIDATE, "recall@10")  # not asked for
