"""Exact counts over the examples, in one streamed and vectorised pass: what statistics cannot say.

TFDV's statistics keep the most frequent ids alone, so which rows of eval have a user that train lacks is not in
them, nor is how many rows are outside of a domain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.types import artifact_utils

from components.shared import columns
from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, USER_KEY, LabelRule
from components.shared.tally import Tally

_MAX_PAIRS = 1 << 20  # 16 MiB of hashes and ratings a run


@dataclass
class SplitCounts:
    """What is counted in one split.

    Attributes:
        rows: Rows.
        positives: Rows whose rating makes them liked.
        users, movies, genres: Rows by value.
        rows_without_genres: Rows whose movie has none.
        oldest, newest: Timestamps, None without rows.
        in_future: Rows whose timestamp is after the bound given.
        below, above: Rows outside of the schema's domain, by feature.
        nan: Rows that are not a number, by feature.
        ratings: Rows by rating, float64 values to one part in 4096 and counts, both (V,).
        pairs: Hash of (user, movie) -> rating, of all rows or, where there are many, of the users with the
            lowest hashes, so that two runs keep the same ones.
    """

    rows: int = 0
    positives: int = 0
    users: Counter[bytes] = field(default_factory=Counter)
    movies: Counter[bytes] = field(default_factory=Counter)
    genres: Counter[bytes] = field(default_factory=Counter)
    rows_without_genres: int = 0
    oldest: int | None = None
    newest: int | None = None
    in_future: int = 0
    below: Counter[str] = field(default_factory=Counter)
    above: Counter[str] = field(default_factory=Counter)
    nan: Counter[str] = field(default_factory=Counter)
    ratings: tuple[np.ndarray, np.ndarray] = field(
        default_factory=lambda: (np.zeros(0), np.zeros(0, np.int64))
    )
    pairs: pd.Series = field(
        default_factory=lambda: pd.Series(np.zeros(0, np.float32), np.zeros(0, np.uint64))
    )

    def by(self, feature: str) -> Counter[bytes]:
        """Rows by user, by movie or by genre."""
        return {USER_KEY: self.users, MOVIE_KEY: self.movies, GENRES_KEY: self.genres}[feature]


# Split -> counts.
Profile = Mapping[str, SplitCounts]


def count(
    examples: types.Artifact, schema: schema_pb2.Schema, label: LabelRule, future_after: float
) -> dict[str, SplitCounts]:
    """Counts every split of an artifact of examples.

    Args:
        examples: The artifact.
        schema: For the domains.
        label: What is a like.
        future_after: A timestamp after this, in seconds, is of the future.

    Raises:
        DataError: A file cannot be read.
    """
    profile = {}
    for split in artifact_utils.decode_split_names(examples.split_names):
        batches = columns.batches(artifact_utils.get_split_uri([examples], split), columns.SCHEMA.names)
        profile[split] = count_batches(batches, schema, label, future_after)
    return profile


def count_batches(
    batches: Iterable[pa.RecordBatch], schema: schema_pb2.Schema, label: LabelRule, future_after: float
) -> SplitCounts:
    """Counts batches with the columns of `columns.SCHEMA`."""
    counts = SplitCounts()
    bounds = dict(_bounds(schema))
    tallies = {name: Tally() for name in (USER_KEY, MOVIE_KEY, GENRES_KEY)}
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    kept, limit = 0, 2**64
    for batch in batches:
        counts.rows += batch.num_rows
        users, movies, genres = (batch.column(name) for name in (USER_KEY, MOVIE_KEY, GENRES_KEY))
        for name, values in ((USER_KEY, users), (MOVIE_KEY, movies), (GENRES_KEY, genres.flatten())):
            tallies[name].add(values)
        lengths = pc.list_value_length(genres).fill_null(0).to_numpy(zero_copy_only=False)
        counts.rows_without_genres += batch.num_rows - int(np.count_nonzero(lengths))
        numbers = {name: batch.column(name).drop_null().to_numpy() for name in (RATING_KEY, TIMESTAMP_KEY)}
        for name, (low, high) in bounds.items():
            if name in numbers:
                for amiss, rows in (
                    (counts.below, numbers[name] < low),
                    (counts.above, numbers[name] > high),
                    (counts.nan, np.isnan(numbers[name])),
                ):
                    if rows.any():
                        amiss[name] += int(np.count_nonzero(rows))
        ratings, times = numbers[RATING_KEY], numbers[TIMESTAMP_KEY]
        counts.positives += int(np.count_nonzero(label.liked(ratings)))
        counts.ratings = merge(counts.ratings, _coarse(ratings))
        if len(times):
            oldest, newest = int(times.min()), int(times.max())
            counts.oldest = oldest if counts.oldest is None else min(oldest, counts.oldest)
            counts.newest = newest if counts.newest is None else max(newest, counts.newest)
            counts.in_future += int(np.count_nonzero(times > future_after))
        if not users.null_count and not movies.null_count and len(ratings) == batch.num_rows:
            of_user = columns.hashes(users, "marquee-user")
            own = of_user < limit if limit < 2**64 else slice(None)
            of_user = of_user[own]
            # Odd multiplier: a swap of user and movie is another pair.
            keys = of_user * np.uint64(0x9E3779B97F4A7C15) + columns.hashes(movies, "marquee-movie")[own]
            pairs.append((of_user, keys, ratings[own]))
            kept += len(keys)
            while kept > _MAX_PAIRS:
                limit //= 2
                pairs = [tuple(a[part[0] < limit] for a in part) for part in pairs]  # type: ignore[misc]
                kept = sum(len(part[0]) for part in pairs)
    counts.users, counts.movies, counts.genres = (
        Counter(dict(zip(values.to_pylist(), rows.tolist(), strict=True)))
        for values, rows in (tally.total() for tally in tallies.values())
    )
    if pairs:
        counts.pairs = pd.Series(
            np.concatenate([part[2] for part in pairs]), np.concatenate([part[1] for part in pairs])
        )
        counts.pairs = counts.pairs[~counts.pairs.index.duplicated()]
    return counts


def merge(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of two counts of values, (V,) each."""
    values, place = np.unique(np.concatenate([one[0], other[0]]), return_inverse=True)
    return values, np.bincount(place, np.concatenate([one[1], other[1]]), len(values)).astype(np.int64)


def rows_of_others(counter: Mapping[bytes, int], known: Container[bytes]) -> int:
    """Rows by users, say, that are not among the known ones; `known` is a set, or a dict for its keys."""
    return sum(rows for value, rows in counter.items() if value not in known)


def _coarse(ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (N,) float32 without NaN, to 12 bits, and their rows, (V,) each.

    So many values cannot fill the memory, and steps of a scale stay exact.
    """
    counted = pa.array(ratings).value_counts()
    bits = counted.field("values").to_numpy().view(np.uint32) & np.uint32(0xFFFFF800)
    values, rows = bits.view(np.float32).astype(np.float64), counted.field("counts").to_numpy()
    is_number = ~np.isnan(values)
    return values[is_number], rows[is_number]


def _bounds(schema: schema_pb2.Schema) -> Iterator[tuple[str, tuple[float, float]]]:
    for feature in schema.feature:
        domain = feature.WhichOneof("domain_info")
        if domain in ("int_domain", "float_domain"):
            bound = getattr(feature, domain)
            low = bound.min if bound.HasField("min") else -np.inf
            yield feature.name, (low, bound.max if bound.HasField("max") else np.inf)
