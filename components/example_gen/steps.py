"""The Beam steps between ranges of the input and shards of tf.Examples, vectorised within each.

    ranges -> read, validate -> bucket by user -> deduplicate, split, join genres, encode, write a shard

Rows are put back in the order of the input before anything depends on it, so the same input gives the same bytes on
any number of workers.
"""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf
from tfx.dsl.io import fileio

from components.example_gen import splits
from components.example_gen.encoding import FeatureEncoder, example
from components.example_gen.readers import FileRange, read_ratings
from components.example_gen.reports import SHOWN, write_json
from components.example_gen.rows import RATINGS_SCHEMA
from components.example_gen.settings import IngestSettings, SplitSettings
from components.shared import columns
from components.shared.artifacts import RATED_BEST, TYPICAL_USER
from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, SPLITS, TIMESTAMP_KEY, USER_KEY

_ENCODE_ROWS = 1 << 15
_SHOWN_RATINGS = 3  # of the typical user


def build(
    pipeline: beam.Pipeline,
    parts: list[FileRange],
    buckets: int,
    settings: IngestSettings,
    catalogue_path: str,
    split_uris: list[str],
    work: str,
) -> None:
    """Adds the steps to a Beam pipeline.

    Args:
        pipeline: The pipeline.
        parts: Ranges of the ratings, in order.
        buckets: Of users; there is one shard a split for each.
        settings: How to read and split.
        catalogue_path: A movies.parquet, for the genres.
        split_uris: The folder of each split's shards.
        work: The folder for reports, see `reports`, and for files that are not whole yet.
    """
    rows = (
        pipeline
        | "Ranges" >> beam.Create(list(enumerate(parts)), reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(_Read(buckets, work, bool(settings.max_malformed_rate)))
        | "ByBucket" >> beam.GroupByKey()
        | "Deduplicate" >> beam.ParDo(_Deduplicate(settings.duplicates))
    )
    cuts = None
    if settings.split.method == "time":
        cuts = beam.pvalue.AsSingleton(
            rows
            | "Timestamps" >> beam.Map(lambda row: splits.histogram(row[1][TIMESTAMP_KEY].to_numpy()))
            | "AllTimestamps" >> beam.CombineGlobally(splits.merge_histograms)
            | "Cuts" >> beam.Map(splits.cuts_of, settings.split)
        )
    _ = rows | "Write" >> beam.ParDo(_Write(buckets, settings.split, catalogue_path, split_uris, work), cuts)


class _Read(beam.DoFn):
    """(ordinal, range) -> (bucket, (ordinal, Arrow stream)); malformed rows go to the work folder."""

    def __init__(self, buckets: int, work: str, keep_all: bool) -> None:
        self._buckets, self._work, self._keep_all = buckets, work, keep_all

    def process(self, element: tuple[int, FileRange]) -> Iterator[tuple[int, tuple[int, bytes]]]:
        ordinal, part = element
        table, rejects = read_ratings(part)
        if rejects:
            shown = rejects if self._keep_all else rejects[:SHOWN]
            report = {"count": len(rejects), "rejects": [[r.file, r.line, r.reason, r.text] for r in shown]}
            write_json(report, self._work, f"rejects-{ordinal:06d}.json")
        for bucket, rows in self._by_bucket(table):
            if rows.num_rows:
                yield bucket, (ordinal, _to_bytes(rows))

    def _by_bucket(self, table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        if self._buckets == 1:
            yield 0, table
            return
        users = table[USER_KEY].unify_dictionaries().combine_chunks()
        users = users.chunk(0) if isinstance(users, pa.ChunkedArray) else users
        names = users.dictionary.to_pylist()
        of_user = np.array([splits.user_digest(name, b"bucket") % self._buckets for name in names], np.int64)
        of_row = of_user[users.indices.to_numpy()]
        order = np.argsort(of_row, kind="stable")
        ends = np.cumsum(np.bincount(of_row, minlength=self._buckets))
        # Plain strings: each slice would carry the whole dictionaries.
        for key in (USER_KEY, MOVIE_KEY):
            table = table.set_column(table.schema.get_field_index(key), key, table[key].cast(pa.string()))
        table = table.take(pa.array(order))
        for bucket, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            yield bucket, table.slice(start, end - start)


class _Deduplicate(beam.DoFn):
    """(bucket, ranges) -> (bucket, table in the order of the input, report)."""

    def __init__(self, policy: str) -> None:
        self._policy = policy

    def process(
        self, element: tuple[int, Iterable[tuple[int, bytes]]]
    ) -> Iterator[tuple[int, pa.Table, dict[str, Any]]]:
        bucket, ranges = element
        table = _concatenate([_from_bytes(data) for _, data in sorted(ranges, key=lambda pair: pair[0])])
        users, movies = table[USER_KEY].chunk(0), table[MOVIE_KEY].chunk(0)
        keep = splits.deduplicate(
            users.indices.to_numpy(),
            movies.indices.to_numpy(),
            table[TIMESTAMP_KEY].to_numpy(),
            "latest" if self._policy == "latest" else "first",
        )
        again = np.flatnonzero(~keep)
        report = {
            "rows_read": table.num_rows,
            "num_duplicates": len(again),
            "duplicates": [[users[i].as_py(), movies[i].as_py()] for i in again[:SHOWN].tolist()],
        }
        if len(again):
            table = table.filter(pa.array(keep)).combine_chunks()
        yield bucket, table, report


class _Write(beam.DoFn):
    """Splits a bucket, joins the genres and writes one shard a split, twice, and a report to the work folder."""

    def __init__(
        self, buckets: int, split: SplitSettings, catalogue_path: str, split_uris: list[str], work: str
    ) -> None:
        self._buckets, self._split, self._catalogue_path = buckets, split, catalogue_path
        self._split_uris, self._work = split_uris, work

    def setup(self) -> None:
        with fileio.open(self._catalogue_path, "rb") as file:
            catalogue = pq.read_table(pa.BufferReader(file.read()), columns=[MOVIE_KEY, GENRES_KEY])
        self._movie_ids = catalogue[MOVIE_KEY].combine_chunks()
        genres = catalogue[GENRES_KEY].combine_chunks().cast(pa.list_(pa.binary()))
        # The last entry is for movies that the table lacks.
        self._genres = pa.concat_arrays([genres, pa.array([[]], genres.type)])
        self._encoder = FeatureEncoder()

    def process(
        self, element: tuple[int, pa.Table, dict[str, Any]], cuts: tuple[int, int] | None
    ) -> Iterator[int]:
        bucket, table, report = element
        users, movies = table[USER_KEY].chunk(0), table[MOVIE_KEY].chunk(0)
        user_codes, movie_codes = users.indices.to_numpy(), movies.indices.to_numpy()
        ratings, timestamps = table[RATING_KEY].to_numpy(), table[TIMESTAMP_KEY].to_numpy()
        split = splits.assign(self._split, users, movies, timestamps, cuts)

        known = pc.index_in(movies.dictionary, value_set=self._movie_ids).fill_null(len(self._movie_ids))
        rating_values, rating_codes = np.unique(ratings, return_inverse=True)
        encoded = [
            (self._encoder.features(USER_KEY, users.dictionary.cast(pa.binary())), user_codes),
            (self._encoder.features(MOVIE_KEY, movies.dictionary.cast(pa.binary())), movie_codes),
            (self._encoder.features(GENRES_KEY, self._genres.take(known)), movie_codes),
            (self._encoder.features(RATING_KEY, pa.array(rating_values)), rating_codes),
        ]
        # The log is ordered by user or time; a fixed shuffle spares training a buffer as large as a split.
        order = np.random.default_rng(bucket).permutation(table.num_rows)
        for index, uri in enumerate(self._split_uris):
            rows = order[split[order] == index]
            name = f"data_tfrecord-{bucket:05d}-of-{self._buckets:05d}.gz"
            aside = os.path.join(self._work, f"{uuid.uuid4().hex}-{name}")
            options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)
            with tf.io.TFRecordWriter(aside, options) as writer:
                for start in range(0, len(rows), _ENCODE_ROWS):
                    at = rows[start : start + _ENCODE_ROWS]
                    parts = [parts[codes[at]].tolist() for parts, codes in encoded]
                    parts.append(self._encoder.features(TIMESTAMP_KEY, pa.array(timestamps[at])).tolist())
                    for features in map(b"".join, zip(*parts, strict=True)):
                        writer.write(example(features))
            fileio.rename(aside, os.path.join(uri, name), overwrite=True)
            name = f"data-{bucket:05d}-of-{self._buckets:05d}.parquet"
            aside = os.path.join(self._work, f"{uuid.uuid4().hex}-{name}")
            taken = table.take(pa.array(rows))
            of_movie = known.take(taken[MOVIE_KEY].chunk(0).indices)
            columns.write(taken.append_column(GENRES_KEY, self._genres.take(of_movie)), aside)
            fileio.rename(aside, os.path.join(columns.folder_of(uri), name), overwrite=True)
        rated = np.bincount(movie_codes, minlength=len(movies.dictionary))
        report |= {
            "num_by_split": np.bincount(split, minlength=len(SPLITS)).tolist(),
            "num_users": int(np.count_nonzero(np.bincount(user_codes))),
            "num_ratings_without_movie": int(rated[known.to_numpy() == len(self._movie_ids)].sum()),
            "movies": movies.dictionary.filter(pa.array(rated > 0)).to_pylist(),
            "timestamps": [int(timestamps.min()), int(timestamps.max())] if len(timestamps) else [],
        }
        trained = np.flatnonzero(split == splits.TRAIN)
        if len(trained):
            report[TYPICAL_USER] = _typical_user(table, trained)
        write_json(report, self._work, f"bucket-{bucket:05d}.json")
        yield bucket


def _typical_user(table: pa.Table, rows: np.ndarray) -> dict[str, Any]:
    """Of some rows the user in the middle by number of ratings, and what they rated best, the latest first."""
    users = table[USER_KEY].chunk(0)
    codes = users.indices.to_numpy()[rows]
    counts = np.bincount(codes)
    present = np.flatnonzero(counts)
    user = int(present[np.argsort(counts[present], kind="stable")[len(present) // 2]])
    theirs = table.take(pa.array(rows[codes == user]))
    best = theirs.sort_by([(RATING_KEY, "descending"), (TIMESTAMP_KEY, "descending")])[:_SHOWN_RATINGS]
    return {USER_KEY: users.dictionary[user].as_py(), RATED_BEST: best[MOVIE_KEY].to_pylist()}


def _concatenate(tables: list[pa.Table]) -> pa.Table:
    """One table of one chunk a column, ids as dictionaries without repeats."""
    table = pa.concat_tables(tables)
    joined = []
    for field in RATINGS_SCHEMA:
        column = table[field.name]
        if pa.types.is_dictionary(field.type):
            column = (
                column.unify_dictionaries()
                if pa.types.is_dictionary(column.type)
                else column.dictionary_encode()
            )
        array = column.combine_chunks()
        joined.append(array.chunk(0) if isinstance(array, pa.ChunkedArray) else array)
    return pa.table(joined, schema=RATINGS_SCHEMA)


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def _from_bytes(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()
