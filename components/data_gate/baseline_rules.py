"""Rules that hold the data against those of the last blessed run."""

from __future__ import annotations

import math
from collections.abc import Iterator

from components.data_gate.counts import rows_of_others
from components.data_gate.distances import distances, distant, of_ratings
from components.data_gate.findings import DAY, Case, Data, Finding, date, text
from components.data_gate.registry import against_baseline
from components.shared.features import (
    GENRES_KEY,
    MOVIE_KEY,
    RATING_KEY,
    TIMESTAMP_KEY,
    TRAIN_SPLIT,
    USER_KEY,
)

_MIN_COMMON_PAIRS = 100


@against_baseline
def volume(case: Case) -> Iterator[Finding]:
    """Rows, users, movies and, up or down, share of positives, as ratios of the last blessed run's.

    Of two windows of another number of spans the rows are compared a span; of users and movies the fewest that a
    shorter window may have are fewer in proportion, and the most that a longer one may have are more.
    """
    current, baseline, bars = case.current, case.baseline, case.settings.volume
    longer = (current.spans or 1) / (baseline.spans or 1) if current.spans and baseline.spans else 1.0
    for what, floors, now, before in (
        ("rows", bars.rows, current.rows, baseline.rows),
        ("users", bars.users, len(current.ids(USER_KEY)), len(baseline.ids(USER_KEY))),
        ("movies", bars.movies, len(current.ids(MOVIE_KEY)), len(baseline.ids(MOVIE_KEY))),
    ):
        ratio = now / max(before, 1)
        if longer != 1:
            # Between those of as long a window and those in proportion, users and movies are as expected.
            fair = longer if what == "rows" else min(max(ratio, min(longer, 1)), max(longer, 1))
            ratio /= fair
        level, bar, key = floors.level(ratio), floors.fatal, f"data_gate.volume.{what}"
        if level == "warn":
            bar = floors.warn
        if level is None:
            level, key = bars.growth.level(ratio), "data_gate.volume.growth"
            bar = bars.growth.fatal if level == "fatal" else bars.growth.warn
        if level is not None:
            below = ratio < 1
            passing = math.floor(ratio * 100) / 100 if below else math.ceil(ratio * 100) / 100
            bound = "at least" if below else "at most"
            yield Finding(
                "volume",
                level,
                what,
                "",
                f"{now:,}",
                f"{bound} {bar:g} times {before:,}",
                current.rows,
                f"there are {now:,} {what}{_spans(current)}, {ratio:.2f} times the {before:,}{_spans(baseline)} of"
                f" the last blessed run{', a span' if longer != 1 else ''};"
                f" {bound} {bar:g} times are expected",
                f"--set {key}.{level}={passing:g}",
            )
    now_share, before_share = current.positives, baseline.positives
    if now_share and before_share:
        yield from case.over(
            "volume",
            "volume.positives",
            max(now_share / before_share, before_share / now_share),
            feature="positives",
            split="",
            rows=round(now_share * current.rows),
            sentence=f"{now_share:.1%} of the rows are positives, {before_share:.1%} in the last blessed run",
        )


def _spans(data: Data) -> str:
    return f" in {data.spans} span{'s' * (data.spans != 1)}" if data.spans else ""


@against_baseline
def new(case: Case) -> Iterator[Finding]:
    """Train rows whose user, movie or genre the last blessed run did not have."""
    train = case.current.train
    for feature, key in (
        (USER_KEY, "shares.new_users"),
        (MOVIE_KEY, "shares.new_movies"),
        (GENRES_KEY, "shares.new_genres"),
    ):
        known = case.baseline.ids(feature)
        if feature == GENRES_KEY and not (known and case.expectations.genres):
            continue
        counter = train.by(feature)
        rows = rows_of_others(counter, known)
        values = [text(value) for value, _ in counter.most_common() if value not in known]
        noun = feature.removesuffix("_id") if feature != GENRES_KEY else "genre"
        some = ", ".join(map(repr, values[:3])) + (
            f" and {len(values) - 3:,} more" if len(values) > 3 else ""
        )
        yield from case.over(
            "new",
            key,
            min(rows / max(train.rows, 1), 1),
            feature=feature,
            split=TRAIN_SPLIT,
            rows=rows,
            sentence=f"{rows:,} of the {train.rows:,} rows of train have a {noun} that the last blessed run did"
            f" not have: {some}",
        )


@against_baseline
def changed_ratings(case: Case) -> Iterator[Finding]:
    """Ratings in both runs, by one user of one movie, that are not the same.

    It sees what distributions do not: users or movies that were renumbered among themselves.
    """
    common = changed = 0
    splits = list(case.baseline.profile.values())
    for split in case.current.profile.values():
        for other in splits:
            both = split.pairs.index.intersection(other.pairs.index)
            common += len(both)
            changed += int((split.pairs[both].to_numpy() != other.pairs[both].to_numpy()).sum())
    if common >= _MIN_COMMON_PAIRS:
        yield from case.over(
            "changed_ratings",
            "shares.changed_ratings",
            changed / common,
            feature=RATING_KEY,
            split="",
            rows=changed,
            sentence=f"{changed:,} of the {common:,} ratings that the last blessed run has too, by the same user of"
            " the same movie, are not what they were; were ids renumbered or ratings rescaled?",
        )


@against_baseline
def drift(case: Case) -> Iterator[Finding]:
    """Distributions of train against the last blessed run's train."""
    current, baseline, bars = case.current, case.baseline, case.settings.drift
    statistics, before = (data.statistics[TRAIN_SPLIT] for data in (current, baseline))
    for feature, value in (
        *distances(statistics, before, case.schema, bars, "drift"),
        *of_ratings(current.train, baseline.train, bars),
    ):
        if feature == TIMESTAMP_KEY and not (current.times and baseline.times):
            continue
        yield from distant(case, "drift", feature, TRAIN_SPLIT, value, other="that of the last blessed run")


@against_baseline
def step_back(case: Case) -> Iterator[Finding]:
    """The newest rating against the last blessed run's, where it is older."""
    newest, before = case.current.newest, case.baseline.newest
    if newest is None or before is None:
        return
    days = (before - newest) / DAY
    yield from case.over(
        "step_back",
        "freshness.step_back_days",
        days,
        feature=TIMESTAMP_KEY,
        split="",
        rows=case.current.rows,
        sentence=f"the newest rating is of {date(newest)}, {days:,.1f} days before that of the last blessed run",
    )
