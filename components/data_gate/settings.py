"""What the data gate lets pass; pydantic only, so reading a configuration is cheap."""

from __future__ import annotations

import difflib
import functools
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from components.shared.features import SPLITS

Level = Literal["fatal", "warn", "ignore"]
FATAL, WARN, IGNORE = "fatal", "warn", "ignore"

# Rules beside the types of TFDV's anomalies, each with its keys below `data_gate`; a section stands for all in it.
# The functions, of the same names, are in data_rules.py and baseline_rules.py.
RULES: dict[str, tuple[str, ...]] = {
    "minimum": ("minimum",),
    "drift": ("drift",),
    "skew": ("skew",),
    "volume": ("volume",),
    "one_label": ("shares.one_label",),
    "dominance": ("shares.one_user", "shares.one_movie"),
    "genres_missing": ("shares.no_genres",),
    "duplicates": ("shares.duplicates",),
    "unknown": ("shares.unknown_users", "shares.unknown_movies"),
    "new": ("shares.new_users", "shares.new_movies", "shares.new_genres"),
    "changed_ratings": ("shares.changed_ratings",),
    "age": ("freshness.max_age_days",),
    "step_back": ("freshness.step_back_days",),
    "future": ("freshness.future",),
}

# What is not fatal of TFDV's anomalies; by the same patterns as `DataGateSettings.policy`.
DEFAULT_POLICY: dict[str, Level] = {
    "SCHEMA_NEW_COLUMN": "warn",  # nothing reads it
    # A value outside of a domain is to be learned from in train; elsewhere it is only unknown.
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES:*:eval": "warn",
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES:*:test": "warn",
    "SEMANTIC_DOMAIN_UPDATE": "warn",
}


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bars(_Settings):
    """Two bars: above `warn` is told, above `fatal` stops the run; null for none."""

    unit: ClassVar[str] = ""

    warn: float | None = Field(None, ge=0, description="Above this is told.")
    fatal: float | None = Field(None, ge=0, description="Above this stops the run.")

    def level(self, value: float) -> Level | None:
        """The level of a value, None where it is within the bars."""
        if self.fatal is not None and value > self.fatal:
            return "fatal"
        return "warn" if self.warn is not None and value > self.warn else None

    def show(self, value: float) -> str:
        """A value in words."""
        return f"{value:.1%}" if self.unit == "%" else f"{value:.3g}{self.unit}"


class ShareBars(Bars):
    """Of a share, 0 to 1."""

    unit: ClassVar[str] = "%"


class DayBars(Bars):
    """Of a time."""

    unit: ClassVar[str] = " days"


class Floors(_Settings):
    """Two floors: below `warn` is told, below `fatal` stops the run; null for none."""

    warn: float | None = Field(None, ge=0, description="Below this is told.")
    fatal: float | None = Field(None, ge=0, description="Below this stops the run.")

    def level(self, value: float) -> Level | None:
        """The level of a value, None where it is not below the floors."""
        if self.fatal is not None and value < self.fatal:
            return "fatal"
        return "warn" if self.warn is not None and value < self.warn else None


class MinimumSettings(_Settings):
    """Too little data to train or to evaluate is a refusal."""

    train_rows: int = Field(1000, ge=1, description="Least rows to train on.")
    eval_rows: int = Field(100, ge=1, description="Least rows for early stopping.")
    test_rows: int = Field(100, ge=1, description="Least rows to evaluate on.")
    users: int = Field(50, ge=1, description="Least users in train.")
    movies: int = Field(50, ge=1, description="Least movies in train.")
    of_each_label: int = Field(50, ge=0, description="Least liked and least not liked rows in train.")


class DistributionSettings(_Settings):
    """Bars for how far the distribution of each feature may be from another one, by TFDV's comparators."""

    measure: Literal["jensen_shannon", "infinity_norm"] = Field(
        "jensen_shannon",
        description="Of ids and genres: Jensen-Shannon divergence (0 to 1, greater with many rare values)"
        " or the greatest change of one value's share (L-infinity). Numbers have Jensen-Shannon alone.",
    )
    min_rows: int = Field(
        1000, ge=1, description="Fewer rows on either side are not compared: they differ by chance."
    )
    user_id: Bars = Field(Bars(), description="Users.")
    movie_id: Bars = Field(Bars(), description="Movies.")
    rating: Bars = Field(Bars(), description="Ratings.")
    timestamp: Bars = Field(Bars(), description="Times.")
    genres: Bars = Field(Bars(), description="Genres.")


class VolumeSettings(_Settings):
    """The data against those of the last blessed run, as ratios."""

    rows: Floors = Field(Floors(warn=0.8, fatal=0.6), description="Rows.")
    users: Floors = Field(Floors(warn=0.8, fatal=0.5), description="Users.")
    movies: Floors = Field(Floors(warn=0.8, fatal=0.5), description="Rated movies.")
    growth: Bars = Field(Bars(warn=3, fatal=None), description="Any of the three, upwards.")
    positives: Bars = Field(
        Bars(warn=1.15, fatal=1.5),
        description="Share of positives, upwards or downwards: 1.5 is half as many again or two thirds.",
    )


class FreshnessSettings(_Settings):
    """When the newest rating was given."""

    max_age_days: float | None = Field(
        None, gt=0, description="How old the newest rating may be, in days; null for any age."
    )
    step_back_days: DayBars = Field(
        DayBars(warn=1, fatal=7),
        description="How much older the newest rating may be than the last blessed run's.",
    )
    future: ShareBars = Field(
        ShareBars(warn=0, fatal=0.01), description="Share of the rows more than a day in the future."
    )


class ShareSettings(_Settings):
    """Bars for shares of the rows, 0 to 1."""

    one_label: ShareBars = Field(
        ShareBars(warn=0.9),
        description="Of the train rows that are liked, or that are not, whichever are more.",
    )
    one_user: ShareBars = Field(ShareBars(warn=0.05, fatal=0.2), description="Of the train rows by one user.")
    one_movie: ShareBars = Field(
        ShareBars(warn=0.1, fatal=0.3), description="Of the train rows of one movie."
    )
    no_genres: ShareBars = Field(
        ShareBars(warn=0.2, fatal=0.5),
        description="Of the train rows of movies without a genre; only where the input has genres at all.",
    )
    duplicates: ShareBars = Field(
        ShareBars(warn=0.05, fatal=0.3), description="Of the rows read that repeat another's user and movie."
    )
    unknown_users: ShareBars = Field(
        ShareBars(warn=0.1, fatal=0.5),
        description="Of the eval and test rows by users not in train; told at most where the split is by time,"
        " not looked at where it is by user.",
    )
    unknown_movies: ShareBars = Field(
        ShareBars(warn=0.3, fatal=0.6), description="Of the eval and test rows of movies not in train."
    )
    new_users: ShareBars = Field(
        ShareBars(warn=0.6, fatal=0.9),
        description="Of the train rows by users that the last blessed run did not have.",
    )
    new_movies: ShareBars = Field(
        ShareBars(warn=0.2, fatal=0.6),
        description="Of the train rows of movies that the last blessed run did not have.",
    )
    new_genres: ShareBars = Field(
        ShareBars(warn=0, fatal=0.05),
        description="Of the train rows of genres that the last blessed run did not have.",
    )
    changed_ratings: ShareBars = Field(
        ShareBars(warn=0.02, fatal=0.2),
        description="Of the ratings in both runs (one user, one movie) that are not the same.",
    )


class DataGateSettings(_Settings):
    """Which findings about the data are told and which stop the run."""

    policy: dict[str, Level] = Field(
        {},
        description="Level by RULE, RULE:FEATURE or RULE:FEATURE:SPLIT, where RULE is one of "
        + ", ".join(RULES)
        + ", a type of TFDV's anomalies such as FLOAT_TYPE_BIG_FLOAT, or *; it overrules the bars below.",
    )
    minimum: MinimumSettings = Field(MinimumSettings(), description="Least data.")
    drift: DistributionSettings = Field(
        DistributionSettings(
            user_id=Bars(),
            movie_id=Bars(warn=0.3, fatal=0.5),
            rating=Bars(warn=0.02, fatal=0.1),
            genres=Bars(warn=0.02, fatal=0.1),
        ),
        description="Train against the train split of the last blessed run.",
    )
    skew: DistributionSettings = Field(
        DistributionSettings(rating=Bars(warn=0.05, fatal=0.15), genres=Bars(warn=0.05, fatal=0.15)),
        description="Eval and test against train.",
    )
    volume: VolumeSettings = Field(VolumeSettings(), description="Against the last blessed run.")
    freshness: FreshnessSettings = Field(FreshnessSettings(), description="Times.")
    shares: ShareSettings = Field(ShareSettings(), description="Shares of the rows.")

    # Keys that are not given keep the default of the section, not that of the class.
    @model_validator(mode="before")
    @classmethod
    def _keep_defaults(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        merged = dict(values)
        for section in ("drift", "skew", "volume", "freshness", "shares"):
            given = merged.get(section)
            if isinstance(given, dict):
                merged[section] = _merge(cls.model_fields[section].default.model_dump(), given)
        return merged

    @field_validator("policy")
    @classmethod
    def _known(cls, policy: dict[str, Level]) -> dict[str, Level]:
        known = {*RULES, "*"}
        for key in policy:
            rule, *rest = key.split(":")
            if rule not in known and not rule.isupper():
                close = difflib.get_close_matches(rule, known, n=1)
                raise ValueError(
                    f"a rule: {', '.join(RULES)}, a type of TFDV's anomalies, or *"
                    + (f"; did you mean {close[0]!r} by {rule!r}?" if close else f"; {rule!r} is none")
                )
            if len(rest) > 2 or (len(rest) == 2 and rest[1] not in {*SPLITS, "*"}):
                raise ValueError(
                    f"RULE, RULE:FEATURE or RULE:FEATURE:SPLIT with a split of {', '.join(SPLITS)}"
                )
        if any(key.split(":")[0].isupper() for key in policy):
            # No TensorFlow, but not needed by most configurations.
            from tensorflow_metadata.proto.v0 import anomalies_pb2

            types = anomalies_pb2.AnomalyInfo.Type.keys()
            for rule in (key.split(":")[0] for key in policy):
                if rule.isupper() and rule not in types:
                    close = difflib.get_close_matches(rule, types, n=1)
                    raise ValueError(
                        "a type of TFDV's anomalies"
                        + (f"; did you mean {close[0]!r} by {rule!r}?" if close else f"; {rule!r} is none")
                    )
        return policy

    def at(self, key: str) -> Any:
        """The value of a key below `data_gate`, e.g. `shares.one_user`."""
        return functools.reduce(getattr, key.split("."), self)

    def level(self, rule: str, feature: str, split: str, default: Level) -> Level:
        """The level of a finding: the most specific entry of the policy, then of the defaults."""
        for policy in (self.policy, DEFAULT_POLICY):
            best, chosen = -1, default
            for key, level in policy.items():
                parts = [*key.split(":"), "*", "*"][:3]
                if all(part in ("*", own) for part, own in zip(parts, (rule, feature, split), strict=True)):
                    # A rule says more than a feature, a feature more than a split.
                    weight = sum(w for w, part in zip((4, 2, 1), parts, strict=True) if part != "*")
                    if weight >= best:
                        best, chosen = weight, level
            if best >= 0:
                return chosen
        return default


def _merge(defaults: dict[str, object], given: dict[str, object]) -> dict[str, object]:
    merged = dict(defaults)
    for key, value in given.items():
        own = defaults.get(key)
        merged[key] = _merge(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return merged
