"""What the rules read and what they tell: the data of a run, and findings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_gate.counts import Profile, SplitCounts
from components.data_gate.settings import Bars, DataGateSettings, Level
from components.shared.features import TRAIN_SPLIT, LabelRule

Statistics = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]

DAY = 86_400
LABELS = ("liked rows", "not liked rows")
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
    spans: int | None = None

    @property
    def train(self) -> SplitCounts:
        """Counts of the train split."""
        return self.profile[TRAIN_SPLIT]

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(split.rows for split in self.profile.values())

    def ids(self, feature: str) -> set[bytes]:
        """Users or movies of all splits."""
        return set().union(*(split.by(feature) for split in self.profile.values()))

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


@dataclass(frozen=True)
class Case:
    """All that a rule may look at.

    Attributes:
        current: The data of this run.
        last: Those of the run of the last blessed model, None where there is none.
        schema: The curated schema.
        settings: The bars.
        expectations: What is known beside the rows.
    """

    current: Data
    last: Data | None
    schema: schema_pb2.Schema
    settings: DataGateSettings
    expectations: Expectations

    @property
    def baseline(self) -> Data:
        """`last`, for rules against it: they are not called without."""
        assert self.last is not None
        return self.last

    def over(
        self, rule: str, key: str, value: float, *, feature: str, split: str, rows: int, sentence: str
    ) -> Iterator[Finding]:
        """A finding if the value is above a bar of `key`; the sentence is completed by the value and the bar."""
        bars: Bars = self.settings.at(key)
        level = bars.level(value)
        if level is None:
            return
        bar: float = getattr(bars, level)
        most = f"at most {bars.show(bar)}" if bar else "none"
        yield Finding(
            rule,
            level,
            feature,
            split,
            bars.show(value),
            most,
            rows,
            f"{sentence} ({bars.show(value)}; expected {most})",
            f"--set data_gate.{key}.{level}={math.ceil(value * 1000) / 1000:g}",
        )


def text(value: bytes) -> str:
    """An id or a genre in words."""
    return value.decode("utf-8", "replace")


def date(seconds: int) -> str:
    """A timestamp in words, whatever it is."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds} seconds after 1970"


def unit_hint(data: Data) -> str:
    """The end of a sentence on times that are in a finer unit than seconds; else empty."""
    newest = data.newest or 0
    for what, least in _FINER_UNITS:
        if newest > least:
            return f"; they look like {what} where seconds are due: see data.timestamp_unit"
    return ""
