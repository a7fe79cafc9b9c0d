"""The data of a run in numbers and curves, from the columns that ExampleGen leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.shared.artifacts import WITHOUT_TIMES
from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, SPLITS, TIMESTAMP_KEY, USER_KEY

_PERIODS, _POINTS = 24, 60
_MOST_VALUES = 20


@dataclass(frozen=True)
class DataFacts:
    """Of all splits together where it does not say which.

    Attributes:
        rows: Split -> ratings.
        users: Number.
        movies: Number.
        since: Day of the oldest rating, and `until` of the newest; empty without times.
        liked: Split -> share of likes.
        periods: Beginnings of equal stretches of time, and `by_period` the rows of each split in them.
        values: Ratings, or the middles of ranges of them, and `by_value` the share of rows of each split that has them.
        genres: Genre -> share of the train rows whose movie has it, most frequent first.
        activity: Ranks of users, by number of ratings, and the number: points of a curve.
        popularity: The same of movies.
    """

    rows: dict[str, int]
    users: int
    movies: int
    since: str = ""
    until: str = ""
    liked: dict[str, float] = field(default_factory=dict)
    periods: list[str] = field(default_factory=list)
    by_period: dict[str, list[int]] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)
    by_value: dict[str, list[float]] = field(default_factory=dict)
    genres: dict[str, float] = field(default_factory=dict)
    activity: list[tuple[int, int]] = field(default_factory=list)
    popularity: list[tuple[int, int]] = field(default_factory=list)


def describe(uri: str, properties: Mapping[str, Any], min_rating: float) -> DataFacts | None:
    """Reads the examples; None where their files are gone.

    Args:
        uri: Folder of the Examples.
        properties: Of the artifact.
        min_rating: From which rating on a movie is liked.
    """
    tables = {split: read(uri, split) for split in SPLITS}
    splits = {split: table for split, table in tables.items() if table is not None and table.num_rows}
    if not splits:
        return None
    users, movies = (_counts([table[key] for table in splits.values()]) for key in (USER_KEY, MOVIE_KEY))
    ratings = {split: table[RATING_KEY].to_numpy() for split, table in splits.items()}
    facts: dict[str, Any] = {}
    if not properties.get(WITHOUT_TIMES):
        facts = _times({split: table[TIMESTAMP_KEY].to_numpy() for split, table in splits.items()})
    train = next(iter(splits.values()))
    return DataFacts(
        rows={split: table.num_rows for split, table in splits.items()},
        users=int(properties.get("num_users", len(users))),
        movies=int(properties.get("num_movies", len(movies))),
        liked={split: float((of >= min_rating).mean()) for split, of in ratings.items()},
        genres=_genres(train[GENRES_KEY], train.num_rows),
        activity=_curve(users),
        popularity=_curve(movies),
        **_values(ratings),
        **facts,
    )


def read(uri: str, split: str) -> pa.Table | None:
    """The columns of a split; None where it has none."""
    files = sorted((Path(uri) / f"Columns-{split}").glob("*.parquet"))
    if files:
        return pa.concat_tables([pq.read_table(file) for file in files])
    if not (Path(uri) / f"Split-{split}").is_dir():
        return None
    from components.shared import columns  # which needs TensorFlow, to decode

    return columns.read(f"{uri}/Split-{split}", columns.SCHEMA.names)


def _counts(columns: Sequence[pa.ChunkedArray]) -> np.ndarray:
    """How often each id is there, the most frequent first."""
    chunks = [chunk.cast(pa.binary()) for column in columns for chunk in column.chunks]
    found: np.ndarray = pc.value_counts(pa.chunked_array(chunks)).field("counts").to_numpy()
    return np.sort(found)[::-1]


def _curve(counts: np.ndarray) -> list[tuple[int, int]]:
    """Points of the curve over ranks, near to each other at its beginning."""
    at = np.unique(np.geomspace(1, len(counts), _POINTS).astype(np.int64))
    return [(int(rank), int(counts[rank - 1])) for rank in at]


def _times(of_splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
    first, last = min(of.min() for of in of_splits.values()), max(of.max() for of in of_splits.values())
    edges = np.linspace(first, last + 1, _PERIODS + 1)
    return {
        "since": _day(first),
        "until": _day(last),
        "periods": [_day(edge) for edge in edges[:-1]],
        "by_period": {split: np.histogram(of, edges)[0].tolist() for split, of in of_splits.items()},
    }


def _day(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return f"{int(seconds)} s"


def _values(of_splits: Mapping[str, np.ndarray]) -> dict[str, Any]:
    together = np.concatenate(list(of_splits.values()))
    together = together[np.isfinite(together)]
    values = np.unique(together)
    if len(values) > _MOST_VALUES:
        edges = np.linspace(values[0], values[-1], _MOST_VALUES + 1)
        names, edges[-1] = [f"{middle:.3g}" for middle in (edges[:-1] + edges[1:]) / 2], np.inf
    else:
        names, edges = [f"{value:g}" for value in values], np.append(values, np.inf)
    shares = {
        split: (np.histogram(of, edges)[0] / max(len(of), 1)).tolist() for split, of in of_splits.items()
    }
    return {"values": names, "by_value": shares}


def _genres(column: pa.ChunkedArray, rows: int) -> dict[str, float]:
    found = pc.value_counts(pc.list_flatten(column)).to_pylist()
    found.sort(key=lambda one: -one["counts"])
    return {one["values"].decode("utf-8", "replace"): one["counts"] / max(rows, 1) for one in found}
