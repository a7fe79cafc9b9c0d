"""A fair sample of the users where there are many: users times movies is what an evaluation costs."""

from __future__ import annotations

import numpy as np

from components.ranking.data import Dataset
from components.ranking.frame import activity_of
from components.shared.features import TEST_SPLIT, TRAIN_SPLIT


def rows_of_sample(data: Dataset, most: int, seed: int) -> np.ndarray | None:
    """The test rows of a sample of the users with ratings in test, bool (N,); None where these are few enough.

    Stratified: of each third of the users by activity, and of the new ones, the same share is drawn.

    Args:
        data: The ratings.
        most: Users, at most.
        seed: Of the draw. The same data give the same sample.
    """
    test = data.splits[TEST_SPLIT]
    users = np.unique(test.users)
    if len(users) <= most:
        return None
    activity = activity_of(
        np.bincount(data.splits[TRAIN_SPLIT].users, minlength=len(data.user_ids)), data.user_ids
    )
    # By id, as the order of the rows is the ingest's.
    users = users[np.argsort(data.user_ids[users])]
    random = np.random.default_rng(seed)
    strata = [users[activity[users] == stratum] for stratum in np.unique(activity[users])]
    ends = np.round(np.cumsum([len(stratum) for stratum in strata]) * most / len(users)).astype(int)
    chosen = np.zeros(len(data.user_ids), bool)
    for stratum, number in zip(strata, np.diff(ends, prepend=0), strict=True):
        chosen[random.choice(stratum, number, replace=False)] = True
    of_rows: np.ndarray = chosen[test.users]
    return of_rows
