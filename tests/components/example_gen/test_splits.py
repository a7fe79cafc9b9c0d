"""What must hold of every split, whatever the ratings."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.example_gen import splits

# Few users and seconds, so that users have many ratings and ties are common.
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 12)), min_size=1, max_size=80)
NAMES = [f"user {number}" for number in range(6)]
FRACTIONS = st.tuples(st.integers(1, 45), st.integers(1, 45)).map(lambda f: (f[0] / 100, f[1] / 100))


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    users, times = zip(*rows, strict=True)
    return np.array(users, np.int32), np.array(times, np.int64)


def in_time_order(rows: list[tuple[int, int]], user: int) -> list[int]:
    return sorted((i for i, row in enumerate(rows) if row[0] == user), key=lambda i: (rows[i][1], i))


@given(ROWS, FRACTIONS)
def test_user_time_takes_each_users_last_ratings(
    rows: list[tuple[int, int]], fractions: tuple[float, float]
) -> None:
    """Train, then eval, then test in each user's order, with the documented sizes."""
    users, times = columns(rows)
    split = splits.user_time(users, NAMES, times, *fractions)
    for user in {u for u, _ in rows}:
        own = split[in_time_order(rows, user)]
        n = len(own)
        eval_part, test_part = (Fraction(round(f * 100), 100) * n // 1 for f in fractions)
        n_test = max(test_part, 1) if n >= 3 else test_part
        chosen = splits.user_digest(NAMES[user], b"eval") / 2**64 < n * fractions[0]
        n_eval = min(eval_part or int(chosen), n - 1 - n_test)
        assert own.tolist() == [0] * (n - n_eval - n_test) + [1] * n_eval + [2] * n_test


def test_user_time_on_ten_ratings() -> None:
    """Ten ratings with the default fractions: seven, one and two, ties in the order of the input."""
    times = np.array([5, 5, 5, 5, 5, 9, 1, 5, 5, 5])
    split = splits.user_time(np.zeros(10, np.int32), ["a"], times, 0.1, 0.2)
    assert split.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 1, 2]


def test_users_of_few_ratings_are_in_eval_by_its_share() -> None:
    """Of 2,000 users with 5 ratings each half have one in eval, always the one before test's."""
    names = [f"user {number}" for number in range(2000)]
    split = splits.user_time(np.repeat(np.arange(2000), 5), names, np.tile(np.arange(5), 2000), 0.1, 0.2)
    by_user = split.reshape(2000, 5)
    assert (by_user[:, 4] == splits.TEST).all()
    assert (by_user[:, :3] == splits.TRAIN).all()
    assert abs((by_user[:, 3] == splits.EVAL).mean() - 0.5) < 0.05


@given(ROWS)
def test_leave_last_out(rows: list[tuple[int, int]]) -> None:
    """The last is test, the one before it eval; users with fewer than three stay in train."""
    split = splits.leave_last_out(*columns(rows))
    for user in {u for u, _ in rows}:
        own = split[in_time_order(rows, user)].tolist()
        assert own == ([0] * (len(own) - 2) + [1, 2] if len(own) >= 3 else [0] * len(own))


@given(ROWS, FRACTIONS)
def test_time_cuts_never_divide_a_second(rows: list[tuple[int, int]], fractions: tuple[float, float]) -> None:
    """All of test is later than all of eval, and that than train; no split is above its share."""
    _, times = columns(rows)
    values, counts = np.unique(times, return_counts=True)
    split = splits.by_time(times, splits.time_cuts(values, counts, *fractions))
    order = np.argsort(times, kind="stable")
    assert (np.diff(split[order]) >= 0).all()
    assert len(set(zip(times.tolist(), split.tolist(), strict=True))) == len(values)
    n = len(rows)
    assert (split == splits.TEST).sum() <= n * fractions[1] + 1e-6
    assert (split >= splits.EVAL).sum() <= n * sum(fractions) + 1e-6


def test_time_cuts_are_exact_without_ties() -> None:
    """100 distinct seconds: exactly 70, 10 and 20."""
    times = np.arange(100)
    split = splits.by_time(times, splits.time_cuts(times, np.ones(100, np.int64), 0.1, 0.2))
    assert np.bincount(split).tolist() == [70, 10, 20]


@given(ROWS, FRACTIONS)
def test_user_hash_keeps_users_whole(rows: list[tuple[int, int]], fractions: tuple[float, float]) -> None:
    """No user is in two splits, and a user's split does not depend on the other users."""
    users, _ = columns(rows)
    names = [f"user {u}" for u in range(6)]
    split = splits.user_hash(users, names, *fractions)
    for user in set(users.tolist()):
        [own] = set(split[users == user].tolist())
        assert splits.user_hash(np.zeros(1, int), [names[user]], *fractions).tolist() == [own]


def test_user_hash_is_the_same_everywhere() -> None:
    """Known answers: a change of the hash would move users between splits from one release to the next."""
    split = splits.user_hash(np.arange(10_000), [str(u) for u in range(10_000)], 0.1, 0.2)
    assert np.bincount(split).tolist() == pytest.approx([7000, 1000, 2000], rel=0.06)
    assert splits.user_digest("1") == 5_113_130_216_588_085_322
    assert splits.user_digest("1", b"bucket") != 5_113_130_216_588_085_322


PAIRS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 12)), min_size=1, max_size=60).map(sorted)
USERS, MOVIES = [f"user {u}" for u in range(6)], [f"movie {m}" for m in range(13)]


def at_random(pairs: list[tuple[int, int]], fractions: tuple[float, float]) -> dict[tuple[int, int], int]:
    users, movies = zip(*pairs, strict=True)
    split = splits.random(np.array(users), np.array(movies), USERS, MOVIES, *fractions)
    return dict(zip(pairs, split.tolist(), strict=True))


@given(PAIRS, FRACTIONS, st.data())
def test_random_looks_at_the_rating_alone(
    pairs: list[tuple[int, int]], fractions: tuple[float, float], data: st.DataObject
) -> None:
    """Every user has a rating in train; no other rating has another split for what else is rated, or in which order."""
    split = at_random(pairs, fractions)
    assert {user for user, _ in pairs} == {user for (user, _), part in split.items() if part == splits.TRAIN}
    some = data.draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    of_some = at_random(some, fractions)
    moved = [pair for pair in some if of_some[pair] != split[pair]]
    assert all(splits.TRAIN in (of_some[pair], split[pair]) for pair in moved)
    # At most the one rating that is in train for the user's sake, here and there.
    assert all(sum(pair[0] == user for pair in moved) <= 2 for user in range(6))


def test_random_is_the_same_everywhere() -> None:
    """Known answers, and the shares that were asked for."""
    users, movies = (column.ravel() for column in np.indices((200, 100)))
    names = [str(i) for i in range(200)]
    split = splits.random(users, movies, names, names[:100], 0.1, 0.2)
    assert np.bincount(split).tolist() == pytest.approx([14_000, 2_000, 4_000], rel=0.04)
    by_user = np.bincount(users[split == splits.TEST], minlength=200)
    by_movie = np.bincount(movies[split == splits.TEST], minlength=100)
    # Neither users nor movies are taken whole: a binomial's spread is 4 of 20, and 5.7 of 40.
    assert 3 < by_user.std() < 5
    assert 4 < by_movie.std() < 7.5
    assert split[:12].tolist() == [0, 0, 0, 0, 1, 2, 2, 0, 1, 0, 2, 0]


@given(ROWS, FRACTIONS, st.randoms())
def test_codes_do_not_matter(
    rows: list[tuple[int, int]], fractions: tuple[float, float], random: object
) -> None:
    """Users coded in another order, as another sharding would, get the same splits."""
    users, times = columns(rows)
    codes = np.arange(6)
    random.shuffle(codes)  # type: ignore[attr-defined]
    names = [NAMES[old] for old in np.argsort(codes)]
    np.testing.assert_array_equal(
        splits.leave_last_out(users, times), splits.leave_last_out(codes[users], times)
    )
    np.testing.assert_array_equal(
        splits.user_time(users, NAMES, times, *fractions),
        splits.user_time(codes[users], names, times, *fractions),
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4)), max_size=40))
def test_deduplicate_keeps_one_of_each_pair(rows: list[tuple[int, int, int]]) -> None:
    """ "latest" keeps the highest (timestamp, position), "first" the lowest."""
    users, movies, times = np.array(rows, np.int64).reshape(-1, 3).T
    for keep, choose in (("latest", max), ("first", min)):
        chosen: dict[tuple[int, int], tuple[int, int]] = {}
        for i, (user, movie, time) in enumerate(rows):
            chosen[user, movie] = choose(chosen.get((user, movie), (time, i)), (time, i))
        expected = sorted(i for _, i in chosen.values())
        assert np.flatnonzero(splits.deduplicate(users, movies, times, keep)).tolist() == expected
