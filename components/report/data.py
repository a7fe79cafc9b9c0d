"""The data of a run in numbers and curves, from the columns that ExampleGen leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    # A column at a time: all together are gigabytes of a large log.
    ratings = {split: of for split in SPLITS if len(of := _numbers(uri, split, RATING_KEY))}
    if not ratings:
        return None
    users, movies = (
        _counts([one.column(0) for split in ratings for one in batches(uri, split, [key])])
        for key in (USER_KEY, MOVIE_KEY)
    )
    facts: dict[str, Any] = {}
    if not properties.get(WITHOUT_TIMES):
        facts = _times({split: _numbers(uri, split, TIMESTAMP_KEY) for split in ratings})
    train = next(iter(ratings))
    return DataFacts(
        rows={split: len(of) for split, of in ratings.items()},
        users=int(properties.get("num_users", len(users))),
        movies=int(properties.get("num_movies", len(movies))),
        liked={split: float((of >= min_rating).mean()) for split, of in ratings.items()},
        genres=_genres(batches(uri, train, [GENRES_KEY]), len(ratings[train])),
        activity=_curve(users),
        popularity=_curve(movies),
        **_values(ratings),
        **facts,
    )


def batches(uri: str, split: str, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Columns of a split, ids as dictionaries; nothing where it has none."""
    files = sorted((Path(uri) / f"Columns-{split}").glob("*.parquet"))
    for file in files:
        with pq.ParquetFile(file, read_dictionary=[USER_KEY, MOVIE_KEY]) as opened:
            for batch in opened.iter_batches(columns=list(names)):
                yield pa.RecordBatch.from_arrays([batch.column(name) for name in names], list(names))
    if not files and (Path(uri) / f"Split-{split}").is_dir():
        from components.shared import columns  # which needs TensorFlow, to decode

        yield from columns.batches(f"{uri}/Split-{split}", names)


def _numbers(uri: str, split: str, name: str) -> np.ndarray:
    parts = [one.column(0).to_numpy(zero_copy_only=False) for one in batches(uri, split, [name])]
    return np.concatenate(parts) if parts else np.zeros(0)


def _counts(chunks: Sequence[pa.DictionaryArray]) -> np.ndarray:
    """How often each id is there, the most frequent first."""
    unified = pa.chunked_array(chunks).unify_dictionaries()
    size = len(unified.chunk(0).dictionary)
    found = np.sum([np.bincount(of.indices.to_numpy(), minlength=size) for of in unified.chunks], axis=0)
    return np.sort(found[found > 0])[::-1]


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


def _genres(parts: Iterable[pa.RecordBatch], rows: int) -> dict[str, float]:
    found: Counter[bytes] = Counter()
    for part in parts:
        counted = pc.value_counts(pc.list_flatten(part.column(0)))
        found.update(
            dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
        )
    return {name.decode("utf-8", "replace"): count / max(rows, 1) for name, count in found.most_common()}
