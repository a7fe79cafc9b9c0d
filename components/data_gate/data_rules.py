"""Rules of the data alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from components.data_gate.counts import rows_of_others
from components.data_gate.distances import distances, distant, of_ratings
from components.data_gate.findings import DAY, LABELS, Case, Finding, date, text, unit_hint
from components.data_gate.registry import of_data
from components.shared.features import (
    EVAL_SPLIT,
    GENRES_KEY,
    MOVIE_KEY,
    RATED,
    RATING_KEY,
    TEST_SPLIT,
    TIMESTAMP_KEY,
    TRAIN_SPLIT,
    USER_KEY,
)


@of_data
def minimum(case: Case) -> Iterator[Finding]:
    """Rows of each split, users, movies, liked and not liked rows in train.

    Too little to train or to evaluate.
    """
    bars, profile, train = case.settings.minimum, case.current.profile, case.current.train
    for key, split, what, value in (
        ("train_rows", TRAIN_SPLIT, "rows", train.rows),
        ("eval_rows", EVAL_SPLIT, "rows", profile[EVAL_SPLIT].rows),
        ("test_rows", TEST_SPLIT, "rows", profile[TEST_SPLIT].rows),
        ("users", TRAIN_SPLIT, "users", len(train.users)),
        ("movies", TRAIN_SPLIT, "movies", len(train.movies)),
        ("of_each_label", TRAIN_SPLIT, LABELS[0], train.positives),
        ("of_each_label", TRAIN_SPLIT, LABELS[1], train.rows - train.positives),
    ):
        least: int = getattr(bars, key)
        if value < least:
            purpose = "learn from" if split == TRAIN_SPLIT else "judge a model by"
            hint = ""
            if key == "of_each_label" and not value:
                hint = "; is label.min_rating right for these ratings?"
            # No other key may be 0.
            settable = value or key == "of_each_label"
            yield Finding(
                "minimum",
                "fatal",
                what,
                split,
                f"{value:,}",
                f"{least:,} or more",
                profile[split].rows,
                f"{split} has too little to {purpose}: {value:,} {what}, {least:,} are the least{hint}",
                f"--set data_gate.minimum.{key}={value}" if settable else "bring more ratings",
            )


@of_data
def one_label(case: Case) -> Iterator[Finding]:
    """Train rows that are liked, or that are not, whichever are more.

    A rule of what is a like that is meant for another scale makes nearly all of them so, or nearly none.
    """
    train, label = case.current.train, case.expectations.label
    if label.positives == RATED or not train.rows:
        return
    likes = train.positives / train.rows
    proposed = _even_rating(train.ratings)
    rule = f"{likes:.1%} of the rows of train are likes, ratings of {label.min_rating:g} and above"
    if proposed is None or proposed[0] == label.min_rating:
        hint, accept = "", "--set data_gate.shares.one_label.warn=1"
    else:
        hint = f"; with label.min_rating={proposed[0]:g} {proposed[1]:.1%} are: is the scale another one?"
        accept = f"--set label.min_rating={proposed[0]:g}"
    for finding in case.over(
        "one_label",
        "shares.one_label",
        max(likes, 1 - likes),
        feature=RATING_KEY,
        split=TRAIN_SPLIT,
        rows=train.positives,
        sentence=rule,
    ):
        sentence = f"{rule}, and a model that says so of every row looks good{hint}"
        yield dataclasses.replace(finding, sentence=sentence, accept=accept)


def _even_rating(ratings: tuple[np.ndarray, np.ndarray]) -> tuple[float, float] | None:
    """The rating that makes the share of likes nearest to one half, and that share; None where there is no choice."""
    values, rows = ratings
    if len(values) < 2:
        return None
    shares = rows[::-1].cumsum()[::-1] / rows.sum()
    at = 1 + int(np.argmin(np.abs(shares[1:] - 0.5)))
    return float(values[at]), float(shares[at])


@of_data
def dominance(case: Case) -> Iterator[Finding]:
    """Train rows of one user, of one movie."""
    train = case.current.train
    for feature, key in ((USER_KEY, "shares.one_user"), (MOVIE_KEY, "shares.one_movie")):
        counter = train.by(feature)
        if not counter or not train.rows:
            continue
        value, rows = counter.most_common(1)[0]
        who = f"{feature.removesuffix('_id')} {text(value)!r}"
        yield from case.over(
            "dominance",
            key,
            rows / train.rows,
            feature=feature,
            split=TRAIN_SPLIT,
            rows=rows,
            sentence=f"{who} has {rows:,} of the {train.rows:,} rows of train",
        )


@of_data
def genres_missing(case: Case) -> Iterator[Finding]:
    """Train rows of movies without a genre, where the input has genres."""
    if not case.expectations.genres:
        return
    train = case.current.train
    without = train.rows_without_genres
    yield from case.over(
        "genres_missing",
        "shares.no_genres",
        without / max(train.rows, 1),
        feature=GENRES_KEY,
        split=TRAIN_SPLIT,
        rows=without,
        sentence=f"{without:,} of the {train.rows:,} rows of train are of movies without a genre",
    )


@of_data
def duplicates(case: Case) -> Iterator[Finding]:
    """Rows read that ExampleGen dropped, as they repeat the user and movie of others."""
    dropped = case.current.num_duplicates
    read = case.current.rows + dropped
    yield from case.over(
        "duplicates",
        "shares.duplicates",
        dropped / max(read, 1),
        feature=USER_KEY,
        split="",
        rows=dropped,
        sentence=f"{dropped:,} of the {read:,} rows read repeat the user and movie of another; is a file there twice?",
    )


@of_data
def unknown(case: Case) -> Iterator[Finding]:
    """Rows of eval and test whose user or movie is not in train."""
    method = case.expectations.split_method
    for split in (EVAL_SPLIT, TEST_SPLIT):
        counts = case.current.profile[split]
        for feature, key in ((USER_KEY, "shares.unknown_users"), (MOVIE_KEY, "shares.unknown_movies")):
            if feature == USER_KEY and method == "user_hash":
                continue  # every user is unknown there, on purpose
            rows = rows_of_others(counts.by(feature), case.current.train.by(feature))
            what = feature.removesuffix("_id")
            for finding in case.over(
                "unknown",
                key,
                rows / max(counts.rows, 1),
                feature=feature,
                split=split,
                rows=rows,
                sentence=f"the {what} of {rows:,} of the {counts.rows:,} rows of {split} is not in train",
            ):
                if feature == USER_KEY and method == "time":
                    yield dataclasses.replace(finding, level="warn")  # a cut in time brings new users
                else:
                    yield finding


@of_data
def skew(case: Case) -> Iterator[Finding]:
    """Distributions of eval and test against train's."""
    current, bars = case.current, case.settings.skew
    for split in (EVAL_SPLIT, TEST_SPLIT):
        for feature, value in (
            *distances(current.statistics[split], current.statistics[TRAIN_SPLIT], case.schema, bars, "skew"),
            *of_ratings(current.profile[split], current.train, bars),
        ):
            yield from distant(case, "skew", feature, split, value, other="train's")


@of_data
def future(case: Case) -> Iterator[Finding]:
    """Rows more than a day in the future."""
    current, newest = case.current, case.current.newest
    if newest is None:
        return
    rows = sum(split.in_future for split in current.profile.values())
    yield from case.over(
        "future",
        "freshness.future",
        rows / max(current.rows, 1),
        feature=TIMESTAMP_KEY,
        split="",
        rows=rows,
        sentence=f"{rows:,} of the {current.rows:,} rows are more than a day in the future,"
        f" the last at {date(newest)}{unit_hint(current)}",
    )


@of_data
def age(case: Case) -> Iterator[Finding]:
    """The newest rating against now."""
    most, newest = case.settings.freshness.max_age_days, case.current.newest
    if most is None or newest is None:
        return
    days = (case.expectations.now - newest) / DAY
    if days > most:
        yield Finding(
            "age",
            "fatal",
            TIMESTAMP_KEY,
            "",
            f"{days:.1f} days",
            f"at most {most:g} days",
            case.current.rows,
            f"the newest rating is of {date(newest)}, {days:,.1f} days ago; {most:g} days are the most allowed",
            f"--set data_gate.freshness.max_age_days={math.ceil(days)}",
        )
