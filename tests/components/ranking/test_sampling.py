"""A sample of the users is fair, the same each time, and the one that all models are judged on."""

from __future__ import annotations

import numpy as np
import pytest

from components.ranking.data import Dataset
from components.ranking.floors import Ratings
from components.ranking.frame import activity_of
from components.ranking.sampling import rows_of_sample
from components.shared.features import EVAL_SPLIT, TEST_SPLIT, TRAIN_SPLIT

USERS = 1000


@pytest.fixture
def data() -> Dataset:
    """The users from 900 on are new; the others have from 1 to 900 ratings in train, and all have 3 in test."""
    train, test = np.repeat(np.arange(900), np.arange(1, 901)), np.repeat(np.arange(USERS), 3)

    def of(users: np.ndarray) -> Ratings:
        return Ratings(users, np.zeros(len(users), np.int64), np.ones(len(users), bool))

    ids = np.array([f"u{number:04d}".encode() for number in range(USERS)], object)
    splits = {TRAIN_SPLIT: of(train), EVAL_SPLIT: of(train[:0]), TEST_SPLIT: of(test)}
    return Dataset(splits, ids, np.array([b"m"], object), np.arange(1))


def test_few_users_are_all_there(data: Dataset) -> None:
    assert rows_of_sample(data, USERS, 0) is None


def test_whole_users_in_the_shares_of_their_activity(data: Dataset) -> None:
    rows = rows_of_sample(data, 100, 0)
    assert rows is not None
    users, counts = np.unique(data.splits[TEST_SPLIT].users[rows], return_counts=True)
    assert len(users) == 100
    assert (counts == 3).all()
    ratings = np.bincount(data.splits[TRAIN_SPLIT].users, minlength=USERS)
    assert np.bincount(activity_of(ratings, data.user_ids)[users]).tolist() == [30, 30, 30, 10]


def test_the_seed_decides_and_not_the_order_of_the_rows(data: Dataset) -> None:
    def ids(of: Dataset, seed: int) -> list[bytes]:
        return sorted(set(of.user_ids[of.splits[TEST_SPLIT].users[rows_of_sample(of, 100, seed)]]))

    order = np.random.default_rng(1).permutation(USERS)  # another code for each user
    other = Dataset(
        {name: Ratings(order[part.users], part.movies, part.liked) for name, part in data.splits.items()},
        data.user_ids[np.argsort(order)],
        data.movie_ids,
        data.catalogue,
    )
    assert ids(data, 0) == ids(data, 0) == ids(other, 0)
    assert ids(data, 0) != ids(data, 1)
