"""Exact counts over the examples, in one streamed and vectorised pass: what statistics cannot say.

TFDV's statistics keep the most frequent ids alone, so which rows of eval have a user that train lacks is not in
them, nor is how many rows are outside of a domain.
"""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx_bsl.coders import example_coder

from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, USER_KEY, LabelRule

_BATCH_ROWS = 1 << 15
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
    """Counts every split of an artifact of gzipped TFRecords of tf.Examples.

    Args:
        examples: The artifact.
        schema: For the domains.
        label: What is a like.
        future_after: A timestamp after this, in seconds, is of the future.
    """
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    profile = {}
    for split in artifact_utils.decode_split_names(examples.split_names):
        shards = sorted(fileio.glob(os.path.join(artifact_utils.get_split_uri([examples], split), "*")))
        records = tf.data.TFRecordDataset(shards, "GZIP").batch(_BATCH_ROWS).as_numpy_iterator()
        batches = (decoder.DecodeBatch(batch.tolist()) for batch in records)
        profile[split] = count_batches(batches, schema, label, future_after)
    return profile


def count_batches(
    batches: Iterable[pa.RecordBatch], schema: schema_pb2.Schema, label: LabelRule, future_after: float
) -> SplitCounts:
    """Counts Arrow batches as tfx_bsl decodes examples: a list a row in every column."""
    counts = SplitCounts()
    bounds = dict(_bounds(schema))
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    kept, limit = 0, 2**64
    for batch in batches:
        counts.rows += batch.num_rows
        columns = {name: batch.column(name) for name in batch.schema.names}
        values = {name: column.flatten() for name, column in columns.items()}
        for name, counter in (
            (USER_KEY, counts.users),
            (MOVIE_KEY, counts.movies),
            (GENRES_KEY, counts.genres),
        ):
            if name in values and not pa.types.is_null(values[name].type):
                for entry in pc.value_counts(values[name]).to_pylist():
                    counter[entry["values"]] += entry["counts"]
        genres = columns.get(GENRES_KEY)
        with_genres = 0
        if genres is not None and not pa.types.is_null(genres.type):
            with_genres = int(np.count_nonzero(pc.list_value_length(genres).fill_null(0).to_numpy(False)))
        counts.rows_without_genres += batch.num_rows - with_genres
        for name, (low, high) in bounds.items():
            if name in values and not pa.types.is_null(values[name].type):
                numbers = values[name].to_numpy(zero_copy_only=False)
                for amiss, rows in (
                    (counts.below, numbers < low),
                    (counts.above, numbers > high),
                    (counts.nan, np.isnan(numbers)),
                ):
                    if rows.any():
                        amiss[name] += int(np.count_nonzero(rows))
        if len(values.get(RATING_KEY, ())):
            ratings = values[RATING_KEY].to_numpy(False)
            counts.positives += int(np.count_nonzero(label.liked(ratings)))
            counts.ratings = merge(counts.ratings, np.unique(_coarse(ratings), return_counts=True))
        if len(values.get(TIMESTAMP_KEY, ())):
            times = values[TIMESTAMP_KEY].to_numpy(False)
            counts.oldest = min(
                int(times.min()), counts.oldest if counts.oldest is not None else int(times.min())
            )
            counts.newest = max(
                int(times.max()), counts.newest if counts.newest is not None else int(times.max())
            )
            counts.in_future += int(np.count_nonzero(times > future_after))
        if all(len(values.get(name, ())) == batch.num_rows for name in (USER_KEY, MOVIE_KEY, RATING_KEY)):
            users, movies = _hashes(values[USER_KEY], "user"), _hashes(values[MOVIE_KEY], "movie")
            own = users < limit if limit < 2**64 else slice(None)
            # Odd multiplier: a swap of user and movie is another pair.
            keys = users * np.uint64(0x9E3779B97F4A7C15) + movies
            pairs.append((users[own], keys[own], values[RATING_KEY].to_numpy(False)[own]))
            kept += len(pairs[-1][0])
            while kept > _MAX_PAIRS:
                limit //= 2
                pairs = [tuple(a[part[0] < limit] for a in part) for part in pairs]  # type: ignore[misc]
                kept = sum(len(part[0]) for part in pairs)
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


def _coarse(ratings: np.ndarray) -> np.ndarray:
    """Ratings without NaN, to 12 bits: so many values that they cannot fill the memory. Steps of a scale stay exact."""
    bits = np.asarray(ratings, np.float32).view(np.uint32) & np.uint32(0xFFFFF800)
    values = bits.view(np.float32).astype(np.float64)
    return values[~np.isnan(values)]


def _bounds(schema: schema_pb2.Schema) -> Iterator[tuple[str, tuple[float, float]]]:
    for feature in schema.feature:
        domain = feature.WhichOneof("domain_info")
        if domain in ("int_domain", "float_domain"):
            bound = getattr(feature, domain)
            low = bound.min if bound.HasField("min") else -np.inf
            yield feature.name, (low, bound.max if bound.HasField("max") else np.inf)


def _hashes(values: pa.Array, salt: str) -> np.ndarray:
    """A 64-bit hash of each value, the same in every process."""
    encoded = values.dictionary_encode()
    names = encoded.dictionary.to_numpy(zero_copy_only=False)
    hashes = pd.util.hash_array(
        names.astype(object), hash_key=f"marquee-{salt}"[:16].ljust(16), categorize=False
    )
    return hashes[encoded.indices.to_numpy()]
