"""What can be wrong with the ratings of a run: statistics, anomalies and counts in, findings out.

Two distributions are compared by TFDV itself: `tfdv.validate_statistics` with drift or skew comparators set on a
copy of the schema. Its measures are

- Jensen-Shannon divergence, base 2: (KL(P || M) + KL(Q || M)) / 2 with M = (P + Q) / 2; 0 for the same distribution,
  1 for two without a common value. Times: over their standard histograms, brought to the same buckets. Ids and
  genres: over the rank histograms of StatisticsGen, which keep the 1000 most frequent values. Ratings: see
  `of_ratings`, over our own counts.
- L-infinity: the greatest absolute difference of one value's share, 0 to 1. It does not see many small changes,
  but does not grow with sparse values either.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import tensorflow_data_validation as tfdv
from scipy.special import rel_entr
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.data_gate.counts import Profile, SplitCounts, merge
from components.data_gate.settings import Bars, DataGateSettings, DistributionSettings, Level
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
    LabelRule,
)

Statistics = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]
Anomalies = Mapping[str, anomalies_pb2.Anomalies]

_CATEGORICAL = (USER_KEY, MOVIE_KEY, GENRES_KEY)
_NUMERIC = (TIMESTAMP_KEY,)
_ORDER = {"fatal": 0, "warn": 1, "ignore": 2}
_DAY = 86_400
_MIN_COMMON_PAIRS = 100
_LABELS = ("liked rows", "not liked rows")
_BUCKETS = 20  # of ratings whose distributions are compared
# In seconds the first is the year 5138.
_FINER_UNITS = (("nanoseconds", 10**17), ("microseconds", 10**14), ("milliseconds", 10**11))


@dataclass(frozen=True)
class Finding:
    """One thing that the data are or are not.

    Attributes:
        rule: A key of `settings.RULES` or a type of TFDV's anomalies.
        level: What the policy makes of it.
        feature: Of which feature; rows, users... for volumes.
        split: In which split, "" for all.
        found: What is there.
        expected: What should be.
        rows: How many rows it is about, None where that has no meaning.
        sentence: All of it in plain words.
        accept: How to let it pass on purpose.
    """

    rule: str
    level: Level
    feature: str
    split: str
    found: str
    expected: str
    rows: int | None
    sentence: str
    accept: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Data:
    """The examples of one run: exact counts, TFDV's statistics by split, rows that ExampleGen dropped, and whether
    the ratings have times."""

    profile: Profile
    statistics: Statistics
    num_duplicates: int = 0
    times: bool = True

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(split.rows for split in self.profile.values())

    def ids(self, feature: str) -> set[bytes]:
        """Users or movies of all splits."""
        return set().union(*(_counter(split, feature) for split in self.profile.values()))

    @property
    def positives(self) -> float:
        """Share of positives over all splits."""
        return sum(split.positives for split in self.profile.values()) / max(self.rows, 1)

    @property
    def newest(self) -> int | None:
        """The newest timestamp, None without times."""
        if not self.times:
            return None
        return max((s.newest for s in self.profile.values() if s.newest is not None), default=None)


@dataclass(frozen=True)
class Expectations:
    """What is known of the input beside its rows.

    Attributes:
        now: The time, in seconds.
        genres: Whether the input has genres.
        split_method: How ExampleGen divided the rows.
        label: What is a like, and whether every rating counts, whatever it is.
    """

    now: float
    genres: bool = True
    split_method: str = "user_time"
    label: LabelRule = field(default_factory=LabelRule)


def check(
    current: Data,
    baseline: Data | None,
    anomalies: Anomalies,
    schema: schema_pb2.Schema,
    settings: DataGateSettings,
    expectations: Expectations,
) -> list[Finding]:
    """Everything that is to be told, the fatal first; what the policy ignores is left out."""
    findings = [
        *schema_anomalies(anomalies, current, settings),
        *minimum(current, settings),
        *one_label(current, settings, expectations),
        *dominance(current, settings),
        *genres_missing(current, settings, expectations),
        *duplicates(current, settings),
        *unknown(current, settings, expectations),
        *skew(current, schema, settings, expectations),
        *times(current, settings, expectations),
    ]
    if baseline is not None:
        findings += [
            *volume(current, baseline, settings),
            *new(current, baseline, settings, expectations),
            *changed_ratings(current, baseline, settings),
            *drift(current, baseline, schema, settings, expectations),
            *step_back(current, baseline, settings),
        ]
    if expectations.label.positives == RATED:
        findings = [_no_gate(f) if _is_of_ratings(f) else f for f in findings]
    levelled = [
        dataclasses.replace(f, level=settings.level(f.rule, f.feature, f.split, f.level)) for f in findings
    ]
    return sorted((f for f in levelled if f.level != "ignore"), key=lambda f: _ORDER[f.level])


def _is_of_ratings(finding: Finding) -> bool:
    """Whether it is about values of ratings or labels: nothing learns from them where every rating is a positive."""
    if finding.feature == RATING_KEY:
        return finding.rule in (*_RANGE, "drift", "skew", "changed_ratings")
    return finding.feature in ("positives", *_LABELS)


def _no_gate(finding: Finding) -> Finding:
    return dataclasses.replace(finding, level="warn") if finding.level == "fatal" else finding


# --- against the schema ------------------------------------------------------------------------

_PLAIN = {
    "FLOAT_TYPE_BIG_FLOAT": "is above the greatest value allowed",
    "FLOAT_TYPE_SMALL_FLOAT": "is below the least value allowed",
    "FLOAT_TYPE_HAS_NAN": "is not a number (NaN)",
    "FLOAT_TYPE_HAS_INF": "is infinite",
    "INT_TYPE_BIG_INT": "is above the greatest value allowed",
    "INT_TYPE_SMALL_INT": "is below the least value allowed",
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES": "has values that the schema does not list",
    "SCHEMA_MISSING_COLUMN": "is missing altogether",
    "SCHEMA_NEW_COLUMN": "is not in the schema",
    "FEATURE_TYPE_NOT_PRESENT": "is missing altogether",
    "FEATURE_TYPE_LOW_FRACTION_PRESENT": "is missing in too many rows",
    "FEATURE_TYPE_LOW_NUMBER_PRESENT": "is in too few rows",
    "FEATURE_TYPE_LOW_NUMBER_VALUES": "has too few values in a row",
    "FEATURE_TYPE_HIGH_NUMBER_VALUES": "has too many values in a row",
    "INVALID_FEATURE_SHAPE": "does not have exactly one value in every row",
    "UNEXPECTED_DATA_TYPE": "is of another type than the schema says",
}

_RANGE = ("FLOAT_TYPE_BIG_FLOAT", "FLOAT_TYPE_SMALL_FLOAT", "INT_TYPE_BIG_INT", "INT_TYPE_SMALL_INT")


def schema_anomalies(anomalies: Anomalies, current: Data, settings: DataGateSettings) -> Iterator[Finding]:
    """What ExampleValidator found, one finding a reason."""
    for split, of_split in anomalies.items():
        infos = list(of_split.anomaly_info.items())
        if of_split.HasField("dataset_anomaly_info"):
            infos.append(("", of_split.dataset_anomaly_info))
        for feature, info in infos:
            domain = _domain(of_split.baseline, feature)
            for reason in info.reason:
                rule = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
                found = _observed(current, feature, split) or reason.description
                expected = (domain.partition(", ")[0] if rule in _RANGE else domain) or reason.description
                rows = _anomalous_rows(current, feature, split, rule)
                plain = _PLAIN.get(rule, f"is not as the schema says ({reason.short_description})")
                hint = ""
                if rule == "INT_TYPE_BIG_INT" and feature == TIMESTAMP_KEY:
                    hint = _unit_hint(current)
                elif rule == "INT_TYPE_SMALL_INT" and feature == TIMESTAMP_KEY:
                    hint = "; is data.timestamp_unit what they are in?"
                subject = f"{feature} of {split}" if feature else f"the {split} split"
                count = f" in {rows:,} of {current.profile[split].rows:,} rows" if rows else ""
                yield Finding(
                    rule,
                    settings.level(rule, feature, split, "fatal"),
                    feature,
                    split,
                    found,
                    expected,
                    rows,
                    f"{subject} {plain}{count}: found {found}, the schema says {expected}{hint}",
                    f"`marquee schema diff`, then `marquee schema accept {feature}`, which proposes an edit of the"
                    f" schema; or {_policy(rule, feature, split)}",
                )
        if of_split.data_missing:
            yield Finding(
                "NO_DATA_IN_SPAN",
                "fatal",
                "",
                split,
                "no rows",
                "rows",
                0,
                f"the {split} split has no rows",
                _policy("NO_DATA_IN_SPAN", "", split),
            )


def _domain(schema: schema_pb2.Schema, name: str) -> str:
    """What the schema allows, in words."""
    for feature in schema.feature:
        if feature.name != name:
            continue
        parts = []
        kind = feature.WhichOneof("domain_info")
        if kind in ("int_domain", "float_domain"):
            bound = getattr(feature, kind)
            low, high = (getattr(bound, b) if bound.HasField(b) else None for b in ("min", "max"))
            parts.append(f"{_number(low)} to {_number(high)}")
        if kind == "string_domain":
            parts.append(f"one of {len(feature.string_domain.value)} values")
        if feature.HasField("shape"):
            parts.append("exactly one value a row")
        if feature.HasField("value_count"):
            parts.append(f"{feature.value_count.min} to {feature.value_count.max} values a row")
        return ", ".join([*parts, schema_pb2.FeatureType.Name(feature.type).lower()])
    return ""


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _statistics(current: Data, feature: str, split: str) -> statistics_pb2.FeatureNameStatistics | None:
    for dataset in current.statistics[split].datasets if split in current.statistics else ():
        for of_feature in dataset.features:
            if (of_feature.name or ".".join(of_feature.path.step)) == feature:
                return of_feature
    return None


def _observed(current: Data, feature: str, split: str) -> str:
    of_feature = _statistics(current, feature, split)
    if of_feature is None:
        return "no such column" if feature else ""
    if of_feature.HasField("num_stats"):
        numbers = of_feature.num_stats
        text = f"{_number(numbers.min)} to {_number(numbers.max)}"
        if of_feature.type == statistics_pb2.FeatureNameStatistics.INT:
            text = f"{int(numbers.min)} to {int(numbers.max)}"
        nans = sum(h.num_nan for h in numbers.histograms[:1])
        return text + (f" and {int(nans):,} NaN" if nans else "")
    if of_feature.HasField("string_stats"):
        top = [value.value for value in of_feature.string_stats.top_values[:3]]
        return f"{of_feature.string_stats.unique:,} different values such as {', '.join(map(repr, top))}"
    return ""


def _anomalous_rows(current: Data, feature: str, split: str, rule: str) -> int | None:
    counts = current.profile.get(split)
    if counts is None:
        return None
    for part, counter in (("_SMALL_", counts.below), ("_BIG_", counts.above), ("_NAN", counts.nan)):
        if part in rule and counter[feature]:
            return counter[feature]
    of_feature = _statistics(current, feature, split)
    if of_feature is None:
        return counts.rows if feature else None
    common = (
        of_feature.num_stats if of_feature.HasField("num_stats") else of_feature.string_stats
    ).common_stats
    return common.num_missing or None


def _unit_hint(current: Data) -> str:
    newest = current.newest or 0
    for what, least in _FINER_UNITS:
        if newest > least:
            return f"; they look like {what} where seconds are due: see data.timestamp_unit"
    return ""


# --- of the data alone -------------------------------------------------------------------------


def minimum(current: Data, settings: DataGateSettings) -> Iterator[Finding]:
    """Too little to train or to evaluate."""
    bars, train = settings.minimum, current.profile[TRAIN_SPLIT]
    for key, split, what, value, least in (
        ("train_rows", TRAIN_SPLIT, "rows", train.rows, bars.train_rows),
        ("eval_rows", EVAL_SPLIT, "rows", current.profile[EVAL_SPLIT].rows, bars.eval_rows),
        ("test_rows", TEST_SPLIT, "rows", current.profile[TEST_SPLIT].rows, bars.test_rows),
        ("users", TRAIN_SPLIT, "users", len(train.users), bars.users),
        ("movies", TRAIN_SPLIT, "movies", len(train.movies), bars.movies),
        ("of_each_label", TRAIN_SPLIT, _LABELS[0], train.positives, bars.of_each_label),
        (
            "of_each_label",
            TRAIN_SPLIT,
            _LABELS[1],
            train.rows - train.positives,
            bars.of_each_label,
        ),
    ):
        if value < least:
            purpose = "learn from" if split == TRAIN_SPLIT else "judge a model by"
            hint = ""
            if key == "of_each_label" and not value:
                hint = "; is label.min_rating right for these ratings?"
            yield Finding(
                "minimum",
                "fatal",
                what,
                split,
                f"{value:,}",
                f"{least:,} or more",
                train.rows if split == TRAIN_SPLIT else current.profile[split].rows,
                f"{split} has too little to {purpose}: {value:,} {what}, {least:,} are the least{hint}",
                f"--set data_gate.minimum.{key}={value}"
                if value or not least or key == "of_each_label"
                else "bring more ratings",
            )


def one_label(current: Data, settings: DataGateSettings, expectations: Expectations) -> Iterator[Finding]:
    """Nearly all of train liked, or nearly nothing: a rule of what is a like that is meant for another scale."""
    train = current.profile[TRAIN_SPLIT]
    if expectations.label.positives == RATED or not train.rows:
        return
    likes = train.positives / train.rows
    proposed = _even_rating(train.ratings)
    rule = (
        f"{likes:.1%} of the rows of train are likes, ratings of {expectations.label.min_rating:g} and above"
    )
    if proposed is None or proposed[0] == expectations.label.min_rating:
        hint, accept = "", "--set data_gate.shares.one_label.warn=1"
    else:
        hint = f"; with label.min_rating={proposed[0]:g} {proposed[1]:.1%} are: is the scale another one?"
        accept = f"--set label.min_rating={proposed[0]:g}"
    for finding in _over(
        "one_label",
        RATING_KEY,
        TRAIN_SPLIT,
        max(likes, 1 - likes),
        settings.shares.one_label,
        train.positives,
        rule,
        "data_gate.shares.one_label",
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


def dominance(current: Data, settings: DataGateSettings) -> Iterator[Finding]:
    """One user or movie with a large share of the train rows."""
    train = current.profile[TRAIN_SPLIT]
    for feature, key, bars in (
        (USER_KEY, "one_user", settings.shares.one_user),
        (MOVIE_KEY, "one_movie", settings.shares.one_movie),
    ):
        counter = _counter(train, feature)
        if not counter or not train.rows:
            continue
        value, rows = counter.most_common(1)[0]
        yield from _over(
            "dominance",
            feature,
            TRAIN_SPLIT,
            rows / train.rows,
            bars,
            rows,
            f"{feature.removesuffix('_id')} {_text(value)!r} has {rows:,} of the {train.rows:,} rows of train",
            f"data_gate.shares.{key}",
        )


def genres_missing(
    current: Data, settings: DataGateSettings, expectations: Expectations
) -> Iterator[Finding]:
    """Rows whose movie has no genre, where the input has genres."""
    if expectations.genres:
        train = current.profile[TRAIN_SPLIT]
        yield from _over(
            "genres_missing",
            GENRES_KEY,
            TRAIN_SPLIT,
            train.rows_without_genres / max(train.rows, 1),
            settings.shares.no_genres,
            train.rows_without_genres,
            f"{train.rows_without_genres:,} of the {train.rows:,} rows of train are of movies without a genre",
            "data_gate.shares.no_genres",
        )


def duplicates(current: Data, settings: DataGateSettings) -> Iterator[Finding]:
    """Rows that ExampleGen dropped as they repeat others."""
    read = current.rows + current.num_duplicates
    yield from _over(
        "duplicates",
        USER_KEY,
        "",
        current.num_duplicates / max(read, 1),
        settings.shares.duplicates,
        current.num_duplicates,
        f"{current.num_duplicates:,} of the {read:,} rows read repeat the user and movie of another; is a file"
        " there twice?",
        "data_gate.shares.duplicates",
    )


def unknown(current: Data, settings: DataGateSettings, expectations: Expectations) -> Iterator[Finding]:
    """Rows of eval and test whose user or movie is not in train."""
    train = current.profile[TRAIN_SPLIT]
    for split in (EVAL_SPLIT, TEST_SPLIT):
        counts = current.profile[split]
        for feature, key, bars in (
            (USER_KEY, "unknown_users", settings.shares.unknown_users),
            (MOVIE_KEY, "unknown_movies", settings.shares.unknown_movies),
        ):
            if feature == USER_KEY and expectations.split_method == "user_hash":
                continue  # every user is unknown there, on purpose
            rows = _rows_of_others(_counter(counts, feature), _counter(train, feature).keys())
            for finding in _over(
                "unknown",
                feature,
                split,
                rows / max(counts.rows, 1),
                bars,
                rows,
                f"the {feature.removesuffix('_id')} of {rows:,} of the {counts.rows:,} rows of {split} is not in"
                " train",
                f"data_gate.shares.{key}",
            ):
                if feature == USER_KEY and expectations.split_method == "time":
                    yield dataclasses.replace(finding, level="warn")  # a cut in time brings new users
                else:
                    yield finding


def times(current: Data, settings: DataGateSettings, expectations: Expectations) -> Iterator[Finding]:
    """Ratings of the future, and the newest one too old."""
    newest = current.newest
    if newest is None:
        return
    rows = sum(split.in_future for split in current.profile.values())
    yield from _over(
        "future",
        TIMESTAMP_KEY,
        "",
        rows / max(current.rows, 1),
        settings.freshness.future,
        rows,
        f"{rows:,} of the {current.rows:,} rows are more than a day in the future, the last at {_date(newest)}"
        f"{_unit_hint(current)}",
        "data_gate.freshness.future",
    )
    most, age = settings.freshness.max_age_days, (expectations.now - newest) / _DAY
    if most is not None and age > most:
        yield Finding(
            "age",
            "fatal",
            TIMESTAMP_KEY,
            "",
            f"{age:.1f} days",
            f"at most {most:g} days",
            current.rows,
            f"the newest rating is of {_date(newest)}, {age:,.1f} days ago; {most:g} days are the most allowed",
            f"--set data_gate.freshness.max_age_days={math.ceil(age)}",
        )


def skew(
    current: Data, schema: schema_pb2.Schema, settings: DataGateSettings, expectations: Expectations
) -> Iterator[Finding]:
    """Eval and test against train."""
    for split in (EVAL_SPLIT, TEST_SPLIT):
        for feature, value in (
            *distances(
                current.statistics[split], current.statistics[TRAIN_SPLIT], schema, settings.skew, "skew"
            ),
            *of_ratings(current.profile[split], current.profile[TRAIN_SPLIT], settings.skew),
        ):
            yield from _distant(
                "skew",
                feature,
                split,
                value,
                settings.skew,
                current.profile[split].rows,
                "train's",
                expectations,
            )


# --- against the last blessed run --------------------------------------------------------------


def drift(
    current: Data,
    baseline: Data,
    schema: schema_pb2.Schema,
    settings: DataGateSettings,
    expectations: Expectations,
) -> Iterator[Finding]:
    """Train against the train split of the last blessed run."""
    train, before = current.statistics[TRAIN_SPLIT], baseline.statistics[TRAIN_SPLIT]
    for feature, value in (
        *distances(train, before, schema, settings.drift, "drift"),
        *of_ratings(current.profile[TRAIN_SPLIT], baseline.profile[TRAIN_SPLIT], settings.drift),
    ):
        if feature == TIMESTAMP_KEY and not (current.times and baseline.times):
            continue
        yield from _distant(
            "drift",
            feature,
            TRAIN_SPLIT,
            value,
            settings.drift,
            current.profile[TRAIN_SPLIT].rows,
            "that of the last blessed run",
            expectations,
        )


def volume(current: Data, baseline: Data, settings: DataGateSettings) -> Iterator[Finding]:
    """Rows, users, movies and share of positives, as ratios."""
    bars = settings.volume
    for what, floors, now, before in (
        ("rows", bars.rows, current.rows, baseline.rows),
        ("users", bars.users, len(current.ids(USER_KEY)), len(baseline.ids(USER_KEY))),
        ("movies", bars.movies, len(current.ids(MOVIE_KEY)), len(baseline.ids(MOVIE_KEY))),
    ):
        ratio = now / max(before, 1)
        level, bar, key = floors.level(ratio), floors.fatal, f"data_gate.volume.{what}"
        if level == "warn":
            bar = floors.warn
        if level is None:
            level, key = bars.growth.level(ratio), "data_gate.volume.growth"
            bar = bars.growth.fatal if level == "fatal" else bars.growth.warn
        if level is not None:
            below = ratio < 1
            passing = math.floor(ratio * 100) / 100 if below else math.ceil(ratio * 100) / 100
            yield Finding(
                "volume",
                level,
                what,
                "",
                f"{now:,}",
                f"{'at least' if below else 'at most'} {bar:g} times {before:,}",
                current.rows,
                f"there are {now:,} {what}, {ratio:.2f} times the {before:,} of the last blessed run;"
                f" {'at least' if below else 'at most'} {bar:g} times are expected",
                f"--set {key}.{level}={passing:g}",
            )
    now_share, before_share = current.positives, baseline.positives
    if now_share and before_share:
        ratio = max(now_share / before_share, before_share / now_share)
        yield from _over(
            "volume",
            "positives",
            "",
            ratio,
            bars.positives,
            round(now_share * current.rows),
            f"{now_share:.1%} of the rows are positives, {before_share:.1%} in the last blessed run",
            "data_gate.volume.positives",
            as_share=False,
        )


def new(
    current: Data, baseline: Data, settings: DataGateSettings, expectations: Expectations
) -> Iterator[Finding]:
    """Train rows whose user, movie or genre the last blessed run did not have."""
    train = current.profile[TRAIN_SPLIT]
    for feature, key, bars in (
        (USER_KEY, "new_users", settings.shares.new_users),
        (MOVIE_KEY, "new_movies", settings.shares.new_movies),
        (GENRES_KEY, "new_genres", settings.shares.new_genres),
    ):
        known = baseline.ids(feature)
        if feature == GENRES_KEY and not (known and expectations.genres):
            continue
        counter = _counter(train, feature)
        rows = _rows_of_others(counter, known)
        values = [_text(value) for value, _ in counter.most_common() if value not in known]
        noun = feature.removesuffix("_id") if feature != GENRES_KEY else "genre"
        some = ", ".join(map(repr, values[:3])) + (
            f" and {len(values) - 3:,} more" if len(values) > 3 else ""
        )
        yield from _over(
            "new",
            feature,
            TRAIN_SPLIT,
            min(rows / max(train.rows, 1), 1),
            bars,
            rows,
            f"{rows:,} of the {train.rows:,} rows of train have a {noun} that the last blessed run did not have:"
            f" {some}",
            f"data_gate.shares.{key}",
        )


def changed_ratings(current: Data, baseline: Data, settings: DataGateSettings) -> Iterator[Finding]:
    """Ratings that both runs have, by one user of one movie, and that are not the same.

    It sees what distributions do not: users or movies that were renumbered among themselves.
    """
    common = changed = 0
    splits = list(baseline.profile.values())
    for split in current.profile.values():
        for other in splits:
            both = split.pairs.index.intersection(other.pairs.index)
            common += len(both)
            changed += int((split.pairs[both].to_numpy() != other.pairs[both].to_numpy()).sum())
    if common >= _MIN_COMMON_PAIRS:
        yield from _over(
            "changed_ratings",
            RATING_KEY,
            "",
            changed / common,
            settings.shares.changed_ratings,
            changed,
            f"{changed:,} of the {common:,} ratings that the last blessed run has too, by the same user of the same"
            " movie, are not what they were; were ids renumbered or ratings rescaled?",
            "data_gate.shares.changed_ratings",
        )


def step_back(current: Data, baseline: Data, settings: DataGateSettings) -> Iterator[Finding]:
    """The newest rating is older than it was."""
    if current.newest is None or baseline.newest is None:
        return
    days = (baseline.newest - current.newest) / _DAY
    yield from _over(
        "step_back",
        TIMESTAMP_KEY,
        "",
        days,
        settings.freshness.step_back_days,
        current.rows,
        f"the newest rating is of {_date(current.newest)}, {days:,.1f} days before that of the last blessed run",
        "data_gate.freshness.step_back_days",
        as_share=False,
        unit=" days",
    )


# --- shared ------------------------------------------------------------------------------------


def distances(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    control: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    settings: DistributionSettings,
    kind: str,
) -> Iterator[tuple[str, float]]:
    """(feature, distance) of each feature that has a bar, by TFDV's drift or skew comparators."""
    if min(statistics.datasets[0].num_examples, control.datasets[0].num_examples) < settings.min_rows:
        return
    compared = schema_pb2.Schema()
    compared.CopyFrom(schema)
    wanted = set()
    for feature in compared.feature:
        for other in ("drift_comparator", "skew_comparator"):
            feature.ClearField(other)  # the schema's own are ExampleValidator's
        bars = getattr(settings, feature.name, None)
        if feature.name in (*_CATEGORICAL, *_NUMERIC) and bars is not None and bars.level(math.inf):
            wanted.add(feature.name)
            measure = settings.measure if feature.name in _CATEGORICAL else "jensen_shannon"
            comparator = getattr(feature, f"{kind}_comparator")
            # TFDV gives the distance whatever the threshold is; the bars are ours.
            if measure == "infinity_norm":
                comparator.infinity_norm.threshold = 1
            else:
                comparator.jensen_shannon_divergence.threshold = 1
    if not wanted:
        return
    which = {"drift": "previous_statistics", "skew": "serving_statistics"}[kind]
    result = tfdv.validate_statistics(statistics, compared, **{which: control})
    for info in result.drift_skew_info:
        feature_name = ".".join(info.path.step)
        measurements = info.drift_measurements if kind == "drift" else info.skew_measurements
        if feature_name in wanted and measurements:
            yield feature_name, measurements[0].value


def of_ratings(
    current: SplitCounts, control: SplitCounts, settings: DistributionSettings
) -> Iterator[tuple[str, float]]:
    """(rating, distance), the Jensen-Shannon divergence over buckets that both sides share.

    TFDV's histograms have as many equal buckets on either side, between its least and greatest value. Of counts with a
    long tail the greatest differs by chance, and with it the buckets: 0.3 between two halves drawn at random. Here each
    value is a bucket, or where there are many their pooled quantiles bound them.
    """
    if min(current.rows, control.rows) < settings.min_rows or settings.rating.level(math.inf) is None:
        return
    (values, rows), (others, other_rows) = current.ratings, control.ratings
    if not len(values) or not len(others):
        return
    pooled, pooled_rows = merge(current.ratings, control.ratings)
    if len(pooled) > _BUCKETS:
        share = pooled_rows.cumsum() / pooled_rows.sum()
        pooled = np.unique(pooled[np.searchsorted(share, np.arange(_BUCKETS) / _BUCKETS)])
    p, q = (
        np.bincount(np.searchsorted(pooled, of, side="right") - 1, weights, len(pooled)) / weights.sum()
        for of, weights in ((values, rows), (others, other_rows))
    )
    middle = (p + q) / 2
    yield RATING_KEY, float(rel_entr(p, middle).sum() + rel_entr(q, middle).sum()) / (2 * math.log(2))


def _distant(
    rule: str,
    feature: str,
    split: str,
    value: float,
    settings: DistributionSettings,
    rows: int,
    other: str,
    expectations: Expectations,
) -> Iterator[Finding]:
    if feature == GENRES_KEY and not expectations.genres:
        return
    measure = settings.measure if feature in _CATEGORICAL else "jensen_shannon"
    name = {"jensen_shannon": "Jensen-Shannon divergence", "infinity_norm": "L-infinity distance"}[measure]
    yield from _over(
        rule,
        feature,
        split,
        value,
        getattr(settings, feature),
        rows,
        f"the distribution of {feature} in {split} is not {other}: their {name} is {value:.3f}",
        f"data_gate.{rule}.{feature}",
        as_share=False,
    )


def _over(
    rule: str,
    feature: str,
    split: str,
    value: float,
    bars: Bars,
    rows: int,
    sentence: str,
    key: str,
    *,
    as_share: bool = True,
    unit: str = "",
) -> Iterator[Finding]:
    """A finding if the value is above a bar."""
    level = bars.level(value)
    if level is None:
        return
    bar: float = getattr(bars, level)
    show: Callable[[float], str] = (lambda v: f"{v:.1%}") if as_share else (lambda v: f"{v:.3g}{unit}")
    most = f"at most {show(bar)}" if bar else "none"
    yield Finding(
        rule,
        level,
        feature,
        split,
        show(value),
        most,
        rows,
        f"{sentence} ({show(value)}; expected {most})",
        f"--set {key}.{level}={math.ceil(value * 1000) / 1000:g}",
    )


def _policy(rule: str, feature: str, split: str) -> str:
    del split  # accepting it in one split alone is rarely meant
    return f"--set data_gate.policy.{rule}{':' + feature if feature else ''}=warn"


def _counter(counts: SplitCounts, feature: str) -> Counter[bytes]:
    return {USER_KEY: counts.users, MOVIE_KEY: counts.movies, GENRES_KEY: counts.genres}[feature]


def _rows_of_others(counter: Mapping[bytes, int], known: Iterable[bytes]) -> int:
    known = known if isinstance(known, (set, frozenset)) else set(known)
    return sum(rows for value, rows in counter.items() if value not in known)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _date(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds} seconds after 1970"
