"""What all models are evaluated on: the users in batches, with candidates, positives, and the slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from components.ranking import metrics
from components.ranking.data import Dataset
from components.ranking.floors import Ratings
from components.ranking.settings import RankingSettings
from components.shared import features

ACTIVITIES = ("heavy", "medium", "light", "new")
POPULARITIES = ("head", "middle", "tail")
_PAIR_BYTES = 40  # of scores, masks and sort keys of one user and movie, or of a place in a list and a group


@dataclass(frozen=True)
class Batch:
    """B users. Arrays as in `metrics`; `rows` are their places among the test users."""

    rows: slice
    users: np.ndarray
    candidate: np.ndarray
    rated: metrics.Pairs  # what is no candidate
    sampled: np.ndarray | None
    positive: np.ndarray
    found: metrics.Pairs  # the same, as pairs
    positives: np.ndarray  # R, (B,)
    num_liked: np.ndarray  # (B,)
    positives_of_group: np.ndarray  # (B, G)
    num_test: np.ndarray  # (B,)


class Frame:
    """The test users, and of what slices they and the movies are."""

    def __init__(
        self,
        data: Dataset,
        users: np.ndarray,
        genres: tuple[list[str], np.ndarray],
        settings: RankingSettings,
    ) -> None:
        train, evaluation, test = (data.splits[split] for split in features.SPLITS)
        self.users, self.num_movies = users, len(data.catalogue)
        column = np.full(len(data.movie_ids), -1, np.int64)
        column[data.catalogue] = np.arange(self.num_movies)
        self._row = np.full(len(data.user_ids), -1, np.int64)
        self._row[users] = np.arange(len(users))
        self._seen = self._grouped((train + evaluation).by_user(), column)
        wanted = test[test.positive].by_user()
        self._wanted = self._grouped(wanted, column)
        self._tested = self._grouped(test.by_user(), column)
        raters = np.bincount(train.movies, minlength=len(data.movie_ids))[data.catalogue]
        self.information = metrics.self_information(raters, len(np.unique(train.users)))
        third = metrics.thirds_of_popularity(raters)
        self.activities = [("activity", name) for name in ACTIVITIES]
        self.groups = [("popularity", name) for name in POPULARITIES] + [("genre", g) for g in genres[0]]
        self.members = np.concatenate(
            [third[:, None] == np.arange(len(POPULARITIES)), genres[1][data.catalogue]], axis=1
        )
        self.head, self.genres = third == POPULARITIES.index("head"), genres[1][data.catalogue]
        # A movie that was not in train is in no third, and in its genres.
        self._members_of_movie = np.zeros((len(data.movie_ids), len(self.groups)), bool)
        self._members_of_movie[:, len(POPULARITIES) :] = genres[1]
        self._members_of_movie[data.catalogue] = self.members
        self._wanted_movies, self._wanted_rows = wanted.movies, self._row[wanted.users]
        ratings_of_user = np.bincount(train.users, minlength=len(data.user_ids))
        self.num_train = ratings_of_user[users]
        self.activity = activity_of(ratings_of_user, data.user_ids)[users]
        self.outside_catalogue = int((column[wanted.movies] < 0).sum())
        self._num_wanted = np.bincount(self._wanted_rows, minlength=len(users))
        self._num_liked = np.bincount(self._row[test.users[test.liked]], minlength=len(users))
        self._num_test = np.bincount(self._row[test.users], minlength=len(users))
        self._settings = settings

    def batches(self) -> Iterator[Batch]:
        """The test users in order, in batches that fit the memory."""
        pairs = self._settings.memory_mb * 2**20 // _PAIR_BYTES
        of_user = self.num_movies + max(self._settings.ks) * (len(self.groups) + 1)
        size = max(pairs // of_user, 1)
        random = np.random.default_rng(self._settings.seed)
        owners, members = self._wanted_rows, self._members_of_movie[self._wanted_movies]
        for start in range(0, len(self.users), size):
            rows = slice(start, min(start + size, len(self.users)))
            number = rows.stop - start
            rated, found = self._within(self._seen, rows), self._within(self._wanted, rows)
            candidate, positive = (np.full((number, self.num_movies), of) for of in (True, False))
            candidate[rated] = False
            # A movie that is rated in two splits is not there to be found.
            found = found[0][candidate[found]], found[1][candidate[found]]
            positive[found] = True
            first, last = np.searchsorted(owners, [rows.start, rows.stop])
            own = np.arange(last - first)
            ones = np.ones(len(own), np.int64)
            of_group = sparse.csr_matrix((ones, (owners[first:last] - start, own)), (number, len(own)))
            yield Batch(
                rows,
                self.users[rows],
                candidate,
                rated,
                self._sampled(random, rows, candidate, positive),
                positive,
                found,
                self._num_wanted[rows],
                self._num_liked[rows],
                of_group @ members[first:last],
                self._num_test[rows],
            )

    def _sampled(
        self, random: np.random.Generator, rows: slice, candidate: np.ndarray, positive: np.ndarray
    ) -> np.ndarray | None:
        number = self._settings.sampled_candidates
        if number is None:
            return None
        drawn_from = candidate.copy()
        drawn_from[self._within(self._tested, rows)] = False
        # One number a pair whatever the batch, so that its size does not change the draw.
        keys = np.where(drawn_from, random.random(drawn_from.shape), 2.0)
        number = min(number, self.num_movies)
        at = np.argpartition(keys, number - 1, axis=1)[:, :number]
        drawn = np.zeros_like(drawn_from)
        np.put_along_axis(drawn, at, True, axis=1)
        return drawn & drawn_from | positive

    def _grouped(self, ratings: Ratings, column: np.ndarray) -> metrics.Pairs:
        """Rows of test users and catalogue columns of the ratings within both, in the order of the ratings."""
        rows, columns = self._row[ratings.users], column[ratings.movies]
        inside = (rows >= 0) & (columns >= 0)
        return rows[inside], columns[inside]

    def _within(self, grouped: metrics.Pairs, rows: slice) -> metrics.Pairs:
        """Of a batch, its rows counted from its first."""
        first, last = np.searchsorted(grouped[0], [rows.start, rows.stop])
        return grouped[0][first:last] - rows.start, grouped[1][first:last]


def activity_of(ratings_of_user: np.ndarray, user_ids: np.ndarray) -> np.ndarray:
    """Index in ACTIVITIES of each user, the thirds of `components.transform.preprocessing`."""
    known = int((ratings_of_user > 0).sum())
    by_id = np.empty(len(user_ids), np.int64)
    by_id[np.argsort(user_ids)] = np.arange(len(user_ids))
    # TFT's vocabulary has the last id first among equally frequent ones.
    place = np.empty(len(user_ids), np.int64)
    place[np.lexsort((-by_id, -ratings_of_user))] = np.arange(len(user_ids))
    return np.where(ratings_of_user > 0, place * 3 // max(known, 1), ACTIVITIES.index("new"))
