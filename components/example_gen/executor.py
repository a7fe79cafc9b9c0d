"""Executor of the ratings ExampleGen: plain Beam over ranges of the input, vectorised within each.

    ranges -> read, validate -> bucket by user -> deduplicate, split, join genres, encode, write a shard

The number of ranges and buckets depends on the size of the input alone, and rows are put back in the order of
the input before anything depends on it, so the same input gives the same bytes on any number of workers.
"""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118, PTH119, PTH120

from __future__ import annotations

import functools
import glob
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils
from tfx_bsl.coders import example_coder

from components.example_gen import files, formats, splits
from components.example_gen.settings import IngestSettings, SplitSettings
from components.shared.artifacts import MOVIES_FILE, REJECTS_FILE, WITHOUT_TIMES
from components.shared.errors import DataError
from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, SPLITS, TIMESTAMP_KEY, USER_KEY

SETTINGS_KEY = "settings"
MOVIES_KEY = "movies"

_RANGE_BYTES = 8 << 20
_BUCKET_BYTES = 64 << 20  # one shard a split for each; what a worker holds at a time
_ENCODE_ROWS = 1 << 15
_SHOWN = 5  # how many of many problems a message lists
_WORK = ".work"
_EXAMPLE_TAG = b"\x0a"  # tf.train.Example.features, length-delimited
_SUMMED = ("rows_read", "num_duplicates", "num_users", "num_ratings_without_movie")


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes the artifacts `examples` and `movies`.

    `examples`: TFRecords of tf.Examples, one folder a split, and rejects.csv (file, line, reason, text) where
    malformed rows were allowed and met. Its integer custom properties are num_rows, num_train, num_eval,
    num_test, num_users, num_movies (rated ones), num_rejected (rows of either table), num_duplicates,
    num_ratings_without_movie, and oldest_timestamp and newest_timestamp in seconds. Where the ratings have no
    times, `timestamp` is 0 in every example, and the property without_times is 1 instead of the last two.

    `movies`: movies.parquet, sorted by movie_id, with the columns of `formats.MOVIES_SCHEMA`; every movie of
    the movies table, and every rated movie that it lacks with an empty title and no genres.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the class.

        Raises:
            DataError: More rows are malformed than allowed, a (user, movie) pair is there twice where that is
                an error, a split would be empty, or what `detection.detect` raises.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = IngestSettings.model_validate_json(exec_properties[SETTINGS_KEY])
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        movies = artifact_utils.get_single_instance(output_dict[MOVIES_KEY])
        inputs = _input_files(exec_properties)

        catalogue = formats.MOVIES_SCHEMA.empty_table()
        rejects: list[formats.Reject] = []
        if formats.MOVIES in inputs:
            path = files.sole_file(inputs[formats.MOVIES])
            catalogue, rejects = formats.read_movies(path, settings.layout, settings)
            _check_rejects(rejects, len(rejects), catalogue.num_rows + len(rejects), "movies", settings)
        catalogue_path = os.path.join(movies.uri, MOVIES_FILE)
        _write_parquet(catalogue, catalogue_path)  # the workers read it from there

        parts = [
            part
            for path in inputs[formats.RATINGS]
            for part in formats.plan(
                path, formats.ratings_format(path, settings.layout, settings), _RANGE_BYTES
            )
        ]
        size = sum(part.end - part.start for part in parts)
        if isinstance(parts[0].format, formats.ParquetFormat):
            size = len(parts) * _RANGE_BYTES
        buckets = -(-size // _BUCKET_BYTES)
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        work = os.path.join(examples.uri, _WORK)
        fileio.makedirs(work)
        for split in SPLITS:
            fileio.makedirs(artifact_utils.get_split_uri([examples], split))
        with self._make_beam_pipeline() as pipeline:
            _build(pipeline, parts, buckets, settings, catalogue_path, examples, work)

        summary = _summarise(work)
        _check_rejects(
            summary["rejects"],
            summary["num_rejects"],
            summary["rows_read"] + summary["num_rejects"],
            "ratings",
            settings,
        )
        if settings.duplicates == "error" and summary["num_duplicates"]:
            raise _duplicates_error(summary, parts)
        counts, again = summary["num_by_split"], summary["num_duplicates"]
        if not all(counts):
            raise DataError(
                "A split would be empty: there are too few ratings for it.",
                found=f"{sum(counts):,} ratings of {summary['num_users']:,} users,"
                + (f" {again:,} that repeat a user and movie left out," if again else "")
                + f" by {settings.split.method} into "
                + ", ".join(f"{n:,} {split}" for split, n in zip(SPLITS, counts, strict=True)),
                expected="at least one rating in each of " + ", ".join(SPLITS),
                fix="bring more ratings, or change data.split",
            )

        rejects += summary["rejects"]
        if rejects:
            with fileio.open(os.path.join(examples.uri, REJECTS_FILE), "w") as file:
                file.write(formats.rejects_csv(rejects))
        _write_parquet(_complete(catalogue, summary["movies"]), catalogue_path)
        fileio.rmtree(work)

        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")
        for name, value in {
            "num_rows": sum(counts),
            **{f"num_{split}": n for split, n in zip(SPLITS, counts, strict=True)},
            "num_users": summary["num_users"],
            "num_movies": len(summary["movies"]),
            "num_rejected": len(rejects),
            "num_duplicates": summary["num_duplicates"],
            "num_ratings_without_movie": summary["num_ratings_without_movie"],
            **(
                {WITHOUT_TIMES: 1}
                if settings.columns.timestamp is None
                else {
                    "oldest_timestamp": min(summary["timestamps"]),
                    "newest_timestamp": max(summary["timestamps"]),
                }
            ),
        }.items():
            examples.set_int_custom_property(name, value)


def _input_files(exec_properties: Mapping[str, Any]) -> dict[str, list[str]]:
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], config)
    base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
    inputs = {}
    for split in config.splits:
        inputs[split.name] = files.glob_files(os.path.join(base, split.pattern))
        if not inputs[split.name]:
            raise DataError(
                f"The {split.name} are not there any more.", where=os.path.join(base, split.pattern)
            )
    return inputs


def _build(
    pipeline: beam.Pipeline,
    parts: list[formats.FileRange],
    buckets: int,
    settings: IngestSettings,
    catalogue_path: str,
    examples: types.Artifact,
    work: str,
) -> None:
    split_uris = [artifact_utils.get_split_uri([examples], split) for split in SPLITS]
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
            | "Timestamps" >> beam.Map(lambda row: _histogram(row[1][TIMESTAMP_KEY].to_numpy()))
            | "AllTimestamps" >> beam.CombineGlobally(_merge_histograms)
            | "Cuts" >> beam.Map(_cuts, settings.split)
        )
    _ = rows | "Write" >> beam.ParDo(_Write(buckets, settings.split, catalogue_path, split_uris, work), cuts)


class _Read(beam.DoFn):
    """(ordinal, range) -> (bucket, (ordinal, Arrow stream)); malformed rows go to the work folder."""

    def __init__(self, buckets: int, work: str, keep_all: bool) -> None:
        self._buckets, self._work, self._keep_all = buckets, work, keep_all

    def process(self, element: tuple[int, formats.FileRange]) -> Iterator[tuple[int, tuple[int, bytes]]]:
        ordinal, part = element
        table, rejects = formats.read_ratings(part)
        if rejects:
            shown = rejects if self._keep_all else rejects[:_SHOWN]
            report = {"count": len(rejects), "rejects": [[r.file, r.line, r.reason, r.text] for r in shown]}
            _write_json(report, self._work, f"rejects-{ordinal:06d}.json")
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
            "duplicates": [[users[i].as_py(), movies[i].as_py()] for i in again[:_SHOWN].tolist()],
        }
        if len(again):
            table = table.filter(pa.array(keep)).combine_chunks()
        yield bucket, table, report


class _Write(beam.DoFn):
    """Splits a bucket, joins the genres and writes one shard a split, and a report to the work folder."""

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
        self._encoder = example_coder.RecordBatchToExamplesEncoder()

    def process(
        self, element: tuple[int, pa.Table, dict[str, Any]], cuts: tuple[int, int] | None
    ) -> Iterator[int]:
        bucket, table, report = element
        users, movies = table[USER_KEY].chunk(0), table[MOVIE_KEY].chunk(0)
        user_codes, movie_codes = users.indices.to_numpy(), movies.indices.to_numpy()
        ratings, timestamps = table[RATING_KEY].to_numpy(), table[TIMESTAMP_KEY].to_numpy()
        split = _assign(self._split, users, movies, timestamps, cuts)

        known = pc.index_in(movies.dictionary, value_set=self._movie_ids).fill_null(len(self._movie_ids))
        rating_values, rating_codes = np.unique(ratings, return_inverse=True)
        columns = [
            (self._encode(USER_KEY, users.dictionary.cast(pa.binary())), user_codes),
            (self._encode(MOVIE_KEY, movies.dictionary.cast(pa.binary())), movie_codes),
            (self._encode(GENRES_KEY, self._genres.take(known)), movie_codes),
            (self._encode(RATING_KEY, pa.array(rating_values)), rating_codes),
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
                    parts = [parts[codes[at]].tolist() for parts, codes in columns]
                    parts.append(self._encode(TIMESTAMP_KEY, pa.array(timestamps[at])).tolist())
                    for features in map(b"".join, zip(*parts, strict=True)):
                        writer.write(_EXAMPLE_TAG + _varint(len(features)) + features)
            fileio.rename(aside, os.path.join(uri, name), overwrite=True)
        rated = np.bincount(movie_codes, minlength=len(movies.dictionary))
        report |= {
            "num_by_split": np.bincount(split, minlength=len(SPLITS)).tolist(),
            "num_users": int(np.count_nonzero(np.bincount(user_codes))),
            "num_ratings_without_movie": int(rated[known.to_numpy() == len(self._movie_ids)].sum()),
            "movies": movies.dictionary.filter(pa.array(rated > 0)).to_pylist(),
            "timestamps": [int(timestamps.min()), int(timestamps.max())] if len(timestamps) else [],
        }
        _write_json(report, self._work, f"bucket-{bucket:05d}.json")
        yield bucket

    def _encode(self, key: str, values: pa.Array) -> np.ndarray:
        """Serialized tf.train.Features of one feature for each value, as object[n].

        Protocol buffers merge when their bytes are joined, so a row is a join of these. That is the order of its
        features too; the encoder alone gives a map's entries in an order that differs from one process to the next.
        """
        if not pa.types.is_list(values.type):
            values = pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), values)
        examples = self._encoder.encode(pa.RecordBatch.from_arrays([values], [key]))
        parts = np.empty(len(examples), object)
        for i, example in enumerate(examples):  # without the tag and length of Example.features
            start = 2
            while example[start - 1] > 127:
                start += 1
            parts[i] = example[start:]
        return parts


@functools.cache
def _varint(value: int) -> bytes:
    """A length as protocol buffers write it."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _assign(
    settings: SplitSettings,
    user_ids: pa.DictionaryArray,
    movie_ids: pa.DictionaryArray,
    timestamps: np.ndarray,
    cuts: tuple[int, int] | None,
) -> np.ndarray:
    fractions = settings.eval_fraction, settings.test_fraction
    users = user_ids.indices.to_numpy()
    if settings.method == "user_time":
        return splits.user_time(users, timestamps, *fractions)
    if settings.method == "leave_last_out":
        return splits.leave_last_out(users, timestamps)
    if settings.method == "user_hash":
        return splits.user_hash(users, user_ids.dictionary.to_pylist(), *fractions)
    if settings.method == "random":
        names = user_ids.dictionary.to_pylist(), movie_ids.dictionary.to_pylist()
        return splits.random(users, movie_ids.indices.to_numpy(), *names, *fractions)
    assert cuts is not None
    return splits.by_time(timestamps, cuts)


def _histogram(timestamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, counts = np.unique(timestamps, return_counts=True)
    return values, counts


def _merge_histograms(histograms: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = list(histograms)
    if not pairs:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    values, inverse = np.unique(np.concatenate([v for v, _ in pairs]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, inverse, np.concatenate([c for _, c in pairs]))
    return values, counts


def _cuts(histogram: tuple[np.ndarray, np.ndarray], settings: SplitSettings) -> tuple[int, int]:
    values, counts = histogram
    return (
        splits.time_cuts(values, counts, settings.eval_fraction, settings.test_fraction)
        if len(values)
        else (0, 0)
    )


def _concatenate(tables: list[pa.Table]) -> pa.Table:
    """One table of one chunk a column, ids as dictionaries without repeats."""
    table = pa.concat_tables(tables)
    columns = []
    for field in formats.RATINGS_SCHEMA:
        column = table[field.name]
        if pa.types.is_dictionary(field.type):
            column = (
                column.unify_dictionaries()
                if pa.types.is_dictionary(column.type)
                else column.dictionary_encode()
            )
        array = column.combine_chunks()
        columns.append(array.chunk(0) if isinstance(array, pa.ChunkedArray) else array)
    return pa.table(columns, schema=formats.RATINGS_SCHEMA)


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def _from_bytes(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()


def _write_json(report: Mapping[str, Any], work: str, name: str) -> None:
    """Written aside and renamed, since a runner may try a bundle twice."""
    aside = os.path.join(work, f"{uuid.uuid4().hex}.tmp")
    with fileio.open(aside, "w") as file:
        json.dump(report, file)
    fileio.rename(aside, os.path.join(work, name), overwrite=True)


def _write_parquet(table: pa.Table, path: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    fileio.makedirs(os.path.dirname(path))
    with fileio.open(path, "wb") as file:
        file.write(sink.getvalue().to_pybytes())


def _summarise(work: str) -> dict[str, Any]:
    """Sums the reports of all buckets and ranges."""
    summary: dict[str, Any] = dict.fromkeys((*_SUMMED, "num_rejects"), 0)
    summary |= {"num_by_split": [0] * len(SPLITS), "movies": set(), "duplicates": [], "rejects": []}
    summary["timestamps"] = []
    for path in sorted(fileio.glob(os.path.join(glob.escape(work), "*.json"))):
        with fileio.open(path) as file:
            report = json.load(file)
        if os.path.basename(path).startswith("rejects-"):
            summary["num_rejects"] += report["count"]
            summary["rejects"] += [formats.Reject(*row) for row in report["rejects"]]
            continue
        for key in _SUMMED:
            summary[key] += report[key]
        summary["num_by_split"] = [
            a + b for a, b in zip(summary["num_by_split"], report["num_by_split"], strict=True)
        ]
        summary["movies"] |= set(report["movies"])
        summary["duplicates"] += report["duplicates"]
        summary["timestamps"] += report["timestamps"]
    return summary


def _check_rejects(
    rejects: list[formats.Reject], count: int, total: int, what: str, settings: IngestSettings
) -> None:
    if not total:
        raise DataError(f"The {what} have no rows.")
    if count > settings.max_malformed_rate * total:
        rate = -(-count * 10_000 // total) / 10_000
        more = [f"and {count - _SHOWN:,} more"] if count > _SHOWN else []
        raise DataError(
            f"{count:,} of {total:,} rows of the {what} cannot be used, and data.max_malformed_rate allows"
            f" {settings.max_malformed_rate:g}.",
            where=f"{rejects[0].file}:{rejects[0].line}",
            found="".join(f"\n    {line}" for line in [*map(str, rejects[:_SHOWN]), *more]),
            fix=f"correct the rows, or set data.max_malformed_rate to {rate:g} or more, which sets them aside"
            f" in {REJECTS_FILE}"
            if rate < 1
            else "correct the rows, or data.layout if this is not the file's layout",
        )


def _duplicates_error(summary: Mapping[str, Any], parts: list[formats.FileRange]) -> DataError:
    lines = []
    for user, movie in summary["duplicates"][:_SHOWN]:
        lines.append(
            f"\n    user {user!r}, movie {movie!r}: " + " and ".join(formats.find_rows(parts, user, movie))
        )
    return DataError(
        f"{summary['num_duplicates']:,} rating(s) repeat the user and movie of another.",
        found="".join(lines),
        expected="one rating for each user and movie",
        fix="remove the repeated rows, or set data.duplicates to latest or first",
    )


def _complete(catalogue: pa.Table, rated: set[str]) -> pa.Table:
    """The movies table with the rated movies it lacks, sorted by movie_id."""
    missing = sorted(rated - set(catalogue[MOVIE_KEY].to_pylist()))
    n = len(missing)
    extra = pa.table([missing, [""] * n, [[]] * n, [None] * n], schema=formats.MOVIES_SCHEMA)
    return pa.concat_tables([catalogue, extra]).combine_chunks().sort_by(MOVIE_KEY)
