"""Which split each rating goes to: pure functions of columns.

All take columns of n ratings, already without duplicates and in the order of the input, and return int8[n]:
0 train, 1 eval, 2 test (indices into features.SPLITS). That order matters only among a user's ratings of one
second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from components.example_gen.settings import SplitSettings

TRAIN, EVAL, TEST = 0, 1, 2


def deduplicate(
    users: np.ndarray, movies: np.ndarray, timestamps: np.ndarray, keep: str = "latest"
) -> np.ndarray:
    """Finds which rows to keep of those that share user and movie.

    Args:
        users: int[n] codes.
        movies: int[n] codes.
        timestamps: int64[n].
        keep: "latest" keeps the highest (timestamp, position), "first" the lowest.

    Returns:
        bool[n], True for rows to keep.
    """
    pairs = users.astype(np.int64) << 32 | movies.astype(np.int64)
    keep_rows = np.ones(len(pairs), bool)
    ordered = np.sort(pairs)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(repeated):
        # Only the few rows of repeated pairs are put in order.
        rows = np.flatnonzero(np.isin(pairs, repeated))
        rows = rows[np.lexsort((rows, timestamps[rows], pairs[rows]))]
        same = pairs[rows][1:] == pairs[rows][:-1]
        keep_rows[rows[:-1][same] if keep == "latest" else rows[1:][same]] = False
    return keep_rows


def assign(
    settings: SplitSettings,
    user_ids: pa.DictionaryArray,
    movie_ids: pa.DictionaryArray,
    timestamps: np.ndarray,
    cuts: tuple[int, int] | None,
) -> np.ndarray:
    """The split of each rating of n, by the method of the settings.

    Args:
        settings: The method and its fractions.
        user_ids: dictionary[n].
        movie_ids: dictionary[n].
        timestamps: int64[n].
        cuts: Those of all ratings, for the method `time`.
    """
    fractions = settings.eval_fraction, settings.test_fraction
    users = user_ids.indices.to_numpy()
    if settings.method == "user_time":
        return user_time(users, user_ids.dictionary.to_pylist(), timestamps, *fractions)
    if settings.method == "leave_last_out":
        return leave_last_out(users, timestamps)
    if settings.method == "user_hash":
        return user_hash(users, user_ids.dictionary.to_pylist(), *fractions)
    if settings.method == "random":
        names = user_ids.dictionary.to_pylist(), movie_ids.dictionary.to_pylist()
        return random(users, movie_ids.indices.to_numpy(), *names, *fractions)
    assert cuts is not None
    return by_time(timestamps, cuts)


def user_time(
    users: np.ndarray,
    names: Sequence[str],
    timestamps: np.ndarray,
    eval_fraction: float,
    test_fraction: float,
) -> np.ndarray:
    """Each user's last ratings in time.

    Of a user's n ratings in the order of (timestamp, position) the last floor(n * test_fraction) are test and
    the floor(n * eval_fraction) before those eval. Of the users of whom that is none, a share of n * eval_fraction has
    one in eval, by a hash of the id, so that eval is not of those with many ratings alone. A user with three ratings or
    more has at least one in test, and every user has at least one in train.

    Args:
        users: int[n] codes.
        names: The id of each code.
        timestamps: int64[n].
        eval_fraction: Share of each user's ratings for eval.
        test_fraction: Share of each user's ratings for test.
    """
    from_end, counts = _from_end(users, timestamps)
    # The fractions are decimal: 0.29 * 100 must be 29, not 28.999...
    test = np.floor(counts * test_fraction + 1e-9).astype(np.int64)
    test = np.where(counts >= 3, np.maximum(test, 1), test)
    held = np.floor(counts * eval_fraction + 1e-9).astype(np.int64)
    without = held == 0
    few, of_row = np.unique(users[without], return_inverse=True)
    shares = np.array([user_digest(names[user], b"eval") for user in few.tolist()], np.uint64) / 2.0**64
    held[without] = shares[of_row] < counts[without] * eval_fraction
    return _cut(from_end, test, np.minimum(test + held, counts - 1))


def leave_last_out(users: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    """Each user's last rating is test and the one before it eval, for users with three ratings or more.

    The ratings of users with fewer stay in train.

    Args:
        users: int[n] codes.
        timestamps: int64[n].
    """
    from_end, counts = _from_end(users, timestamps)
    enough = counts >= 3
    return _cut(from_end, enough * 1, enough * 2)


def time_cuts(
    timestamps: np.ndarray, counts: np.ndarray, eval_fraction: float, test_fraction: float
) -> tuple[int, int]:
    """Two moments for `by_time`: those at which eval and test begin.

    Args:
        timestamps: int64[m], sorted and distinct.
        counts: int64[m], how many ratings each has.
        eval_fraction: Share of all ratings for eval, at most.
        test_fraction: Share of all ratings for test, at most; a second is never divided.

    Returns:
        The first timestamp of eval and of test; one past the last where nothing is left for a split.
    """
    total = counts.sum()
    before = np.cumsum(counts) - counts

    def first_at(share: float) -> int:
        at = int(np.searchsorted(before, np.ceil(total * share - 1e-9)))
        return int(timestamps[at]) if at < len(timestamps) else int(timestamps[-1]) + 1

    return first_at(1 - eval_fraction - test_fraction), first_at(1 - test_fraction)


def histogram(timestamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct timestamps int64[m], sorted, and how many ratings have each."""
    values, counts = np.unique(timestamps, return_counts=True)
    return values, counts


def merge_histograms(histograms: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """One histogram of several."""
    pairs = list(histograms)
    if not pairs:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    values, inverse = np.unique(np.concatenate([v for v, _ in pairs]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, inverse, np.concatenate([c for _, c in pairs]))
    return values, counts


def cuts_of(timestamps: tuple[np.ndarray, np.ndarray], settings: SplitSettings) -> tuple[int, int]:
    """The moments for `by_time` of a histogram of all ratings."""
    values, counts = timestamps
    return (
        time_cuts(values, counts, settings.eval_fraction, settings.test_fraction) if len(values) else (0, 0)
    )


def by_time(timestamps: np.ndarray, cuts: tuple[int, int]) -> np.ndarray:
    """A global cut in time: train, then eval from cuts[0], then test from cuts[1].

    Args:
        timestamps: int64[n].
        cuts: What `time_cuts` returned.
    """
    return ((timestamps >= cuts[0]).astype(np.int8) + (timestamps >= cuts[1])).astype(np.int8)


def user_hash(
    users: np.ndarray, names: Sequence[str], eval_fraction: float, test_fraction: float
) -> np.ndarray:
    """Whole users, chosen by a hash of their id that is the same on every machine.

    Args:
        users: int[n] codes.
        names: The id of each code.
        eval_fraction: Share of the users for eval.
        test_fraction: Share of the users for test.
    """
    shares = np.array([user_digest(name) for name in names], np.uint64).astype(np.float64) / 2.0**64
    split = np.where(
        shares < test_fraction, TEST, np.where(shares < test_fraction + eval_fraction, EVAL, TRAIN)
    )
    return split.astype(np.int8)[users]


def random(
    users: np.ndarray,
    movies: np.ndarray,
    user_names: Sequence[str],
    movie_names: Sequence[str],
    eval_fraction: float,
    test_fraction: float,
) -> np.ndarray:
    """Each rating by itself, by a hash of its user and movie that is the same on every machine.

    A rating keeps its split whatever else is rated, but that a user of whom none is in train gets the one with
    the highest hash there.

    Args:
        users: int[n] codes.
        movies: int[n] codes; no pair of a user and a movie is there twice.
        user_names: The id of each user's code.
        movie_names: The id of each movie's code.
        eval_fraction: Share of the ratings for eval.
        test_fraction: Share of the ratings for test.
    """
    of_user = np.array([user_digest(name) for name in user_names], np.uint64)
    of_movie = np.array([user_digest(name, b"movie") for name in movie_names], np.uint64)
    hashes = _mix(_mix(of_user[users]) + of_movie[movies])
    shares = hashes.astype(np.float64) / 2.0**64
    split = np.where(
        shares < test_fraction, TEST, np.where(shares < test_fraction + eval_fraction, EVAL, TRAIN)
    ).astype(np.int8)
    with_train = np.zeros(len(user_names), bool)
    with_train[users[split == TRAIN]] = True
    rows = np.flatnonzero(~with_train[users])
    rows = rows[np.lexsort((hashes[rows], users[rows]))]
    last = np.append(np.diff(users[rows]) != 0, True)[: len(rows)]
    split[rows[last]] = TRAIN
    return split


def _mix(values: np.ndarray) -> np.ndarray:
    """uint64[n] -> uint64[n], each bit of which depends on all: the finaliser of splitmix64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def user_digest(name: str, salt: bytes = b"split") -> int:
    """A stable 64-bit hash of an id; another salt gives an independent one."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, key=salt).digest(), "big")


def _from_end(users: np.ndarray, timestamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each rating: how many later ones its user has, and how many in all."""
    n = len(users)
    order = np.lexsort((timestamps, users))  # stable, so position decides within a second
    ends = np.append(np.flatnonzero(np.diff(users[order])), n - 1) if n else np.zeros(0, np.int64)
    sizes = np.diff(ends, prepend=-1)
    from_end = np.empty(n, np.int64)
    from_end[order] = np.repeat(ends, sizes) - np.arange(n)
    counts = np.empty(n, np.int64)
    counts[order] = np.repeat(sizes, sizes)
    return from_end, counts


def _cut(from_end: np.ndarray, test: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    return np.where(from_end < test, TEST, np.where(from_end < held_out, EVAL, TRAIN)).astype(np.int8)
