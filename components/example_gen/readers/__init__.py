"""Readers: files of text or Parquet, in ranges that workers read on their own, into Arrow columns.

A layout says how a file is to be read, as a `TextFormat` or `ParquetFormat`; `plan` cuts the file into ranges, and
`read_ratings` reads one of them. A row that cannot be used comes back as a `Reject`, never as an exception, so that
the caller can count all of them before it decides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.problems import problem
from components.example_gen.readers import parquet, text
from components.example_gen.readers.parquet import ParquetFormat
from components.example_gen.readers.text import TextFormat
from components.example_gen.rows import RATINGS_SCHEMA, Reject
from components.example_gen.times import to_seconds
from components.example_gen.values import as_written, decoded, to_ids, to_numbers
from components.shared.features import MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, USER_KEY


@dataclasses.dataclass(frozen=True)
class FileRange:
    """A part of a file: bytes [start, end) of text, or row groups [start, end) of Parquet."""

    path: str
    format: TextFormat | ParquetFormat
    start: int
    end: int


def plan(path: str, file_format: TextFormat | ParquetFormat, range_bytes: int) -> list[FileRange]:
    """Cuts a file into ranges of about `range_bytes` (Parquet: runs of row groups)."""
    if isinstance(file_format, ParquetFormat):
        ranges = parquet.plan(path, range_bytes)
    else:
        ranges = text.plan(path, file_format, range_bytes)
    return [FileRange(path, file_format, start, end) for start, end in ranges]


def read_ratings(part: FileRange) -> tuple[pa.Table, list[Reject]]:
    """Reads one range of a ratings file.

    Returns:
        A table of RATINGS_SCHEMA (ids as dictionary<int32, string>, rating float32, timestamp int64) in the
        order of the file, and the rows that could not be used.
    """
    fmt = part.format
    if isinstance(fmt, ParquetFormat):
        return _check_ratings(part, *parquet.read(part.path, fmt, part.start, part.end), None, [])
    data, offset = text.read_lines(part.path, fmt, part.start, part.end)
    if not data.strip():
        return RATINGS_SCHEMA.empty_table(), []
    table = text.parse_ratings(data, fmt)
    if table is not None:
        return table, []
    keys = [key for key in RATINGS_SCHEMA.names if key in fmt.names]  # all, but where there are no times
    return _check_ratings(part, *text.parse(data, part.path, fmt, offset, keys))


def read_fields(
    part: FileRange, keys: Iterable[str] | None = None
) -> tuple[pa.Table, Sequence[int], list[Reject]]:
    """Reads one range as it is, under our names: the fields of text as text, the columns of Parquet in their types.

    Args:
        part: The range.
        keys: Which fields of text to read; those of use when None.

    Returns:
        The table, the line number of each of its rows (in Parquet: of the row), and the lines that are not a row.
    """
    fmt = part.format
    if isinstance(fmt, ParquetFormat):
        return *parquet.read(part.path, fmt, part.start, part.end), []
    data, offset = text.read_lines(part.path, fmt, part.start, part.end)
    keys = keys or [name for name in fmt.fields if not name.startswith("_")]
    table, lines, _, rejects = text.parse(data, part.path, fmt, offset, keys)
    return table, lines, rejects


def find_rows(parts: Iterable[FileRange], user: str, movie: str) -> Iterator[str]:
    """Where a (user, movie) pair stands, as file:line; reads all again, so only for an error's sake."""
    for part in parts:
        table, lines, _ = read_fields(part, (USER_KEY, MOVIE_KEY))
        users, movies = (to_ids(table[key].combine_chunks()) for key in (USER_KEY, MOVIE_KEY))
        hits = pc.and_(pc.equal(users, user), pc.equal(movies, movie)).fill_null(False)
        for i in np.flatnonzero(hits.to_numpy(zero_copy_only=False)).tolist():
            yield f"{part.path}:{lines[i]}"


def _check_ratings(
    part: FileRange, rows: pa.Table, lines: Sequence[int], texts: list[str] | None, rejects: list[Reject]
) -> tuple[pa.Table, list[Reject]]:
    """Converts columns of any type to RATINGS_SCHEMA; rows that do not convert become rejects."""
    columns = {key: decoded(rows[key].combine_chunks()) for key in rows.column_names}
    unit = part.format.timestamp_unit
    converted = {
        USER_KEY: to_ids(columns[USER_KEY]),
        MOVIE_KEY: to_ids(columns[MOVIE_KEY]),
        RATING_KEY: to_numbers(columns[RATING_KEY]),
    }
    if TIMESTAMP_KEY in columns:
        converted[TIMESTAMP_KEY] = to_seconds(columns[TIMESTAMP_KEY], unit)
    bad = np.zeros(rows.num_rows, bool)
    for values in converted.values():
        bad |= values.is_null().to_numpy(zero_copy_only=False)
    at = np.flatnonzero(bad)
    found = {key: as_written(column.take(pa.array(at))) for key, column in columns.items()}
    amiss = {key: values.is_null().to_numpy(zero_copy_only=False)[at] for key, values in converted.items()}
    for n, i in enumerate(at.tolist()):
        reasons = [
            f"{part.format.names[key]} {problem(key, found[key][n], unit)}" for key in amiss if amiss[key][n]
        ]
        row = texts[i] if texts is not None else ",".join(str(values[n]) for values in found.values())
        rejects.append(Reject(part.path, lines[i], "; ".join(reasons), row))
    if TIMESTAMP_KEY not in converted:
        converted[TIMESTAMP_KEY] = pa.array(np.zeros(rows.num_rows, np.int64))
    table = pa.table(
        [
            converted[USER_KEY].dictionary_encode(),
            converted[MOVIE_KEY].dictionary_encode(),
            converted[RATING_KEY].cast(pa.float32(), safe=False),
            converted[TIMESTAMP_KEY],
        ],
        schema=RATINGS_SCHEMA,
    )
    if bad.any():
        table = table.filter(pa.array(~bad))
    return table, sorted(rejects, key=lambda r: r.line)
