"""The candidate and the baseline on the rows that the baseline was not trained on."""

from __future__ import annotations

import numpy as np
import pytest

from components.ranking.comparison import compare
from components.ranking.data import Dataset
from components.ranking.evaluation import Scorer, evaluate
from components.ranking.floors import Ratings
from components.ranking.settings import RankingSettings
from components.shared.features import EVAL_SPLIT, TEST_SPLIT, TRAIN_SPLIT

SETTINGS = RankingSettings(bootstrap_samples=100)
GENRES: tuple[list[str], np.ndarray] = ([], np.zeros((30, 0), bool))


@pytest.fixture(scope="module")
def log() -> tuple[Dataset, np.ndarray]:
    """200 users, 30 movies, and which of the test rows are known to a model."""
    random = np.random.default_rng(0)
    users, movies = np.repeat(np.arange(200), 30), np.tile(np.arange(30), 200)
    liked = random.random(len(users)) < 0.5
    split = random.integers(0, 3, len(users))
    parts = [Ratings(users[split == i], movies[split == i], liked[split == i]) for i in range(3)]
    data = Dataset(
        dict(zip((TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT), parts, strict=True)),
        np.array([str(user).encode() for user in range(200)], object),
        np.array([str(movie).encode() for movie in range(30)], object),
        np.arange(30),
    )
    return data, random.random(len(parts[2])) < 0.4


def knowing(data: Dataset, rows: np.ndarray) -> Scorer:
    """A model that knows nothing but some rows of test, by heart."""
    test = data.splits[TEST_SPLIT]
    scores = np.full((200, 30), 0.5)
    scores[test.users[rows], test.movies[rows]] = np.where(test.liked[rows], 0.99, 0.01)
    return Scorer(scores[test.users, test.movies], lambda users: scores[users])


def test_what_a_champion_knows_by_heart_does_not_count(log):
    data, learned = log
    nothing, by_heart = knowing(data, np.zeros_like(learned)), knowing(data, learned)
    models = {"candidate": nothing, "baseline": by_heart}
    whole = evaluate(data, models, GENRES, SETTINGS).report["models"]
    assert (
        whole["baseline"]["overall"]["log_loss"]["value"]
        < whole["candidate"]["overall"]["log_loss"]["value"] - 0.2
    )
    found = compare(data, models, learned, GENRES, SETTINGS)
    assert (found.known, found.left_out, found.rows) == (True, learned.sum(), (~learned).sum())
    of = found.evaluation.report["models"]
    for metric in ("log_loss", "auc", "ndcg@10"):
        ours, theirs = (of[name]["overall"][metric]["value"] for name in ("candidate", "baseline"))
        assert ours == pytest.approx(theirs, abs=1e-9), metric
    assert sum(found.evaluation.per_user["num_test"].to_pylist()) == found.rows


def test_with_nothing_to_leave_out_the_figures_are_those_of_the_whole_split(log):
    data, learned = log
    models = dict.fromkeys(("candidate", "baseline"), knowing(data, learned))
    found = compare(data, models, np.zeros_like(learned), GENRES, SETTINGS)
    assert (found.known, found.left_out, found.evaluation) == (True, 0, None)


def test_unknown_and_all_known_rows_leave_nothing_to_compare(log):
    data, learned = log
    models = dict.fromkeys(("candidate", "baseline"), knowing(data, learned))
    assert compare(data, models, None, GENRES, SETTINGS).known is False
    everything = compare(data, models, np.ones_like(learned), GENRES, SETTINGS)
    assert (everything.rows, everything.evaluation) == (0, None)
