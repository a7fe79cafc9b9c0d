"""Readers of ratings and movies, one a layout.

`ratings_format` turns one file's header into a `TextFormat` or `ParquetFormat`; `plan` cuts the file into
ranges that workers read on their own; `read_ratings` reads one of them into Arrow columns. A row that cannot
be used comes back as a `Reject`, never as an exception, so that the caller can count all of them before it
decides.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime
import difflib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from components.example_gen import files
from components.example_gen.settings import IngestSettings, MovieColumns, RatingColumns
from components.shared.errors import DataError, cut
from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, TITLE_KEY, USER_KEY

YEAR_KEY = "year"
RATINGS, MOVIES = "ratings", "movies"

# The flags at the end of a line of u.item, in the order of u.genre.
ML_100K_GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
# How the layouts say that a movie has no genre.
_NO_GENRE = frozenset({"", "unknown", "(no genres listed)"})

_ML_CSV = {USER_KEY: "userId", MOVIE_KEY: "movieId", RATING_KEY: "rating", TIMESTAMP_KEY: "timestamp"}
_RECBOLE = {USER_KEY: "user_id", MOVIE_KEY: "item_id", RATING_KEY: "rating", TIMESTAMP_KEY: "timestamp"}
_WITHOUT_TIMES = (
    "where there are no times, set data.columns.timestamp to null and data.split.method to random"
)
_HEAD_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"

# Ids and genres are keys: each stands in every example that has it, in a vocabulary, and in every export. One that is
# longer than any id scheme's is a field of another kind, or several that ran together.
MAX_ID_BYTES = 1024
MAX_GENRE_BYTES = 256
# Transform's vocabularies are files of lines, and leave out without a word what has a line break in it; the export
# puts \x1f between genres; of the others none is a part of a name.
_CONTROL = "[\x00-\x1f\x7f\x85\u2028\u2029]"
_CONTROL_RE2 = r"[\x00-\x1f\x7f\x{85}\x{2028}\x{2029}]"
# Within a row read as text it stands for what would end the row, or a field, to Arrow; none of the above is accepted.
_STAND_IN = "\x1e"
_MAX_NUMBER_CHARS = 1000
_SHOWN_CHARS = 200  # of one value, in the reason why a row cannot be used
_KEPT_CHARS = 4096  # of such a row's text, in rejects.csv

# Ticks of a second.
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_NO_MOMENT = 10**18  # beyond it nothing is a time, but in nanoseconds
_ISO = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?$"
_ISO_ZONED = r":\d{2}(?:Z|[+-][\d:]+)$"

RATINGS_SCHEMA = pa.schema(
    [
        (USER_KEY, pa.dictionary(pa.int32(), pa.string())),
        (MOVIE_KEY, pa.dictionary(pa.int32(), pa.string())),
        (RATING_KEY, pa.float32()),
        (TIMESTAMP_KEY, pa.int64()),
    ]
)
MOVIES_SCHEMA = pa.schema(
    [
        (MOVIE_KEY, pa.string()),
        (TITLE_KEY, pa.string()),
        (GENRES_KEY, pa.list_(pa.string())),
        (YEAR_KEY, pa.int32()),
    ]
)


@dataclasses.dataclass(frozen=True)
class TextFormat:
    """How to read the lines of one text file.

    Attributes:
        fields: The fields of a line in their order, those of use under our own name.
        names: Our name -> the file's name of that field, for messages.
        separator: One or more bytes.
        encoding: A superset of ASCII.
        quoting: Whether fields may stand in double quotes.
        data_start: Offset of the first row, past a byte order mark and the header.
        fallback: What a field is in that is not in `encoding`, None where that is an error.
        timestamp_unit: As in the settings.
    """

    fields: tuple[str, ...]
    names: Mapping[str, str]
    separator: bytes
    encoding: str
    quoting: bool
    data_start: int
    fallback: str | None = None
    timestamp_unit: str = "s"


@dataclasses.dataclass(frozen=True)
class ParquetFormat:
    """How to read one Parquet file: our name -> its column, and the unit of times that are numbers or text."""

    names: Mapping[str, str]
    timestamp_unit: str = "s"


@dataclasses.dataclass(frozen=True)
class FileRange:
    """A part of a file: bytes [start, end) of text, or row groups [start, end) of Parquet."""

    path: str
    format: TextFormat | ParquetFormat
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Reject:
    """One row that cannot be used; `line` counts from 1 (in Parquet: the row), `text` is cut where it is long."""

    file: str
    line: int
    reason: str
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", cut(self.text, _KEPT_CHARS))

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


# --- headers --------------------------------------------------------------------------------------


def ratings_format(path: str, layout: str, settings: IngestSettings) -> TextFormat | ParquetFormat:
    """Reads the head of a ratings file.

    Raises:
        DataError: The file is missing or empty, has a header only, lacks a column or has another separator.
    """
    wanted: dict[str, Sequence[str] | None]
    chosen, default = settings.columns, RatingColumns()
    if layout == "ml-csv":
        wanted = {ours: [name] for ours, name in _ML_CSV.items()}
    else:
        wanted = {ours: [getattr(chosen, ours)] for ours in RatingColumns.model_fields}
        if layout == "recbole":
            for ours, theirs in _RECBOLE.items():
                if getattr(chosen, ours) == getattr(default, ours):
                    wanted[ours] = [theirs]
    if chosen.timestamp is None:
        wanted[TIMESTAMP_KEY] = None
    return _read_format(path, layout, settings, wanted, "data.columns")


def movies_format(path: str, layout: str, settings: IngestSettings) -> TextFormat | ParquetFormat:
    """Reads the head of a movies file. Raises DataError as `ratings_format` does."""
    chosen, default = settings.movie_columns, MovieColumns()
    wanted: dict[str, Sequence[str] | None] = {}
    for ours, standard in {
        MOVIE_KEY: ["movieId"] if layout == "ml-csv" else ["item_id"] if layout == "recbole" else [MOVIE_KEY],
        TITLE_KEY: ["movie_title", "title"] if layout == "recbole" else ["title"],
        GENRES_KEY: ["class", "genre", "genres"] if layout == "recbole" else ["genres"],
    }.items():
        name = getattr(chosen, ours)
        wanted[ours] = None if name is None else standard if name == getattr(default, ours) else [name]
    return _read_format(path, layout, settings, wanted, "data.movie_columns")


def _read_format(
    path: str,
    layout: str,
    settings: IngestSettings,
    wanted: Mapping[str, Sequence[str] | None],
    setting: str,
) -> TextFormat | ParquetFormat:
    if path.endswith(".parquet"):
        return _parquet_format(path, wanted, setting, settings.timestamp_unit)
    head, is_whole = _head(path)
    is_ratings = RATING_KEY in wanted
    encoding = settings.encoding or "UTF-8"
    fallback = "ISO-8859-1" if layout in ("ml-100k", "ml-dat") and not settings.encoding else None
    start = len(_BOM) if head.startswith(_BOM) else 0
    lines = [line for line in head[start:].splitlines() if line.strip()]
    first = lines[0].decode(encoding, "replace")

    if layout in ("ml-100k", "ml-dat"):
        separator = "::" if layout == "ml-dat" else "\t" if is_ratings else "|"
        if is_ratings:
            fields: tuple[str, ...] = tuple(RatingColumns.model_fields)
        elif layout == "ml-dat":
            fields = tuple(MovieColumns.model_fields)
        else:
            fields = (MOVIE_KEY, TITLE_KEY, "release_date", "video_release_date", "url", *ML_100K_GENRES)
        count = len(first.split(separator))
        timeless = is_ratings and wanted[TIMESTAMP_KEY] is None
        if timeless:
            fields = (*fields[:-1], "_timestamp") if count == len(fields) else fields[:-1]
        if count != len(fields):
            other = _guess_separator(first, len(fields))
            raise DataError(
                "The separator is not the layout's."
                if other or count == 1
                else "A line has the wrong number of fields.",
                where=f"{path}:1",
                found=f"{count} field(s) in {first[:80]!r}"
                + (f"; {other!r} gives {len(fields)}" if other else ""),
                expected=f"{len(fields)} fields separated by {separator!r} ({layout})",
                fix="set data.layout to what the file is"
                if other
                else _WITHOUT_TIMES
                if is_ratings and not timeless and count == len(fields) - 1
                else None,
            )
        names = {f: f for f in fields if not f.startswith("_")}
        return TextFormat(
            fields, names, separator.encode(), encoding, False, start, fallback, settings.timestamp_unit
        )

    if layout == "ml-csv":
        separator = ","
    elif layout == "recbole":
        separator = "\t"
    else:
        separator = settings.delimiter or ("\t" if path.endswith(".tsv") else ",")
    quoting = layout != "recbole"
    header = _split_line(first, separator, quoting)
    columns = [name.rpartition(":")[0] if layout == "recbole" and ":" in name else name for name in header]
    if len(columns) == 1 and (is_ratings or any(c in first for c in ",;\t|:")):
        other = _guess_separator(first, None)
        if other:
            raise DataError(
                "The separator is not the one in the header.",
                where=f"{path}:1",
                found=f"{first[:80]!r}, which {other!r} would separate",
                expected=f"fields separated by {separator!r}",
                fix="set data.layout to csv and data.delimiter"
                if layout != "csv"
                else f"set data.delimiter to {other!r}",
            )
    chosen = _choose_columns(path, columns, wanted, setting)
    if is_whole and len(lines) == 1:
        raise DataError(
            "The file has a header and no rows.",
            where=path,
            found=repr(first[:80]),
            expected="rows below the header",
        )
    start = head.index(lines[0], start)
    start = head.find(b"\n", start) + 1 or len(head)
    ours = {name: key for key, name in chosen.items()}
    if layout == "recbole" and not is_ratings and "release_year" in columns:
        ours["release_year"] = "release_year"
    fields = tuple(ours.get(name, f"_{i}") for i, name in enumerate(columns))
    return TextFormat(
        fields, chosen, separator.encode(), encoding, quoting, start, None, settings.timestamp_unit
    )


def _parquet_format(
    path: str, wanted: Mapping[str, Sequence[str] | None], setting: str, timestamp_unit: str
) -> ParquetFormat:
    with files.open_file(path) as file:
        if not file.seek(0, 2):
            raise DataError("The file is empty.", where=path)
        file.seek(0)
        try:
            parquet = pq.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise DataError(f"The file is not Parquet, or it is cut short: {error}.", where=path) from error
        chosen = _choose_columns(path, parquet.schema_arrow.names, wanted, setting)
        for ours, name in chosen.items():
            kind = parquet.schema_arrow.field(name).type
            if pa.types.is_nested(kind) and not (ours == GENRES_KEY and pa.types.is_list(kind)):
                raise DataError(
                    f"The column {name!r} holds no single values.",
                    where=path,
                    found=str(kind),
                    expected="text or a number",
                )
        if not parquet.metadata.num_rows:
            raise DataError("The file has columns and no rows.", where=path)
    return ParquetFormat(chosen, timestamp_unit)


def _choose_columns(
    path: str, names: Sequence[str], wanted: Mapping[str, Sequence[str] | None], setting: str
) -> dict[str, str]:
    chosen = {}
    for ours, options in wanted.items():
        if options is None:
            continue
        name = next((name for name in options if name in names), None)
        if name is None:
            lower = {n.lower().strip(): n for n in names}
            likely = [
                lower[n]
                for o in [*options, ours]
                for n in difflib.get_close_matches(o.lower(), lower, n=1, cutoff=0.6)
            ]
            hint = f", did you mean {likely[0]!r}?" if likely else ""
            raise DataError(
                f"The column {options[0]!r} is missing{hint or '.'}",
                where=path,
                found="columns " + ", ".join(repr(n) for n in names),
                expected=" or ".join(repr(o) for o in options),
                fix=f"name the column in {setting}.{ours}"
                + (
                    " (with data.layout: csv)"
                    if setting == "data.columns" and options[0] in _ML_CSV.values()
                    else ""
                )
                + (f"; {_WITHOUT_TIMES}" if ours == TIMESTAMP_KEY and not hint else ""),
            )
        if list(names).count(name) > 1:
            raise DataError(f"The column {name!r} is there twice.", where=path, found=", ".join(names))
        chosen[ours] = name
    return chosen


def _head(path: str) -> tuple[bytes, bool]:
    """The first bytes, and whether they are the whole file."""
    with files.open_file(path) as file:
        head = file.read(_HEAD_BYTES)
    is_whole = len(head) < _HEAD_BYTES
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError("The file is UTF-16.", where=path, expected="UTF-8", fix="convert the file to UTF-8")
    if not head.removeprefix(_BOM).strip():
        raise DataError("The file is empty.", where=path)
    first = head.removeprefix(_BOM).lstrip().split(b"\n")[0].rstrip(b"\r")
    if b"\r" in first or (b"\n" not in head and b"\r" in head):
        raise DataError(
            "The lines end in a carriage return alone.",
            where=path,
            expected="line feeds",
            fix="convert the line ends of the file",
        )
    return head, is_whole


def csv_header(path: str) -> list[str]:
    """The fields of the first line of a file, read as CSV."""
    with files.open_file(path) as file:
        head = file.read(_HEAD_BYTES).removeprefix(_BOM)
    line = next((line for line in head.splitlines() if line.strip()), b"")
    return next(csv.reader([line.decode("latin-1")]), [])


def _split_line(line: str, separator: str, quoting: bool) -> list[str]:
    if not quoting or len(separator) > 1:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator), [])


def _guess_separator(line: str, count: int | None) -> str | None:
    """A separator that gives `count` fields (None: the most, at least three)."""
    counts = {s: len(line.split(s)) for s in ("::", "\t", ";", ",", "|", " ")}
    if count is not None:
        return next((s for s, n in counts.items() if n == count), None)
    best = max(counts, key=lambda s: counts[s])
    return best if counts[best] >= 3 else None


# --- ranges ---------------------------------------------------------------------------------------


def plan(path: str, file_format: TextFormat | ParquetFormat, range_bytes: int) -> list[FileRange]:
    """Cuts a file into ranges of about `range_bytes` (Parquet: runs of row groups)."""
    with files.open_file(path) as file:
        if isinstance(file_format, ParquetFormat):
            metadata = pq.ParquetFile(file).metadata
            starts, size = [0], 0
            for i in range(metadata.num_row_groups):
                if size >= range_bytes:
                    starts.append(i)
                    size = 0
                size += metadata.row_group(i).num_rows * 24  # a row of text takes about as much
            ends = [*starts[1:], metadata.num_row_groups]
        else:
            file.seek(0, 2)
            size, first = file.tell(), file_format.data_start
            starts = list(range(first, max(size, first + 1), range_bytes))
            ends = [*starts[1:], size]
    return [FileRange(path, file_format, start, end) for start, end in zip(starts, ends, strict=True)]


def _read_bytes(part: FileRange) -> tuple[bytes, int]:
    """The lines that begin within the range, and the offset of the first one."""
    assert isinstance(part.format, TextFormat)
    with files.open_file(part.path) as file:
        offset = part.start
        if offset > part.format.data_start:
            file.seek(offset - 1)
            offset += len(file.readline()) - 1  # the line across the border belongs to the range before
        else:
            file.seek(offset)
        if offset >= part.end:
            return b"", offset
        data = file.read(part.end - offset)
        if not data.endswith(b"\n"):
            data += file.readline()
    return data, offset


def _line_number(path: str, offset: int) -> int:
    """Number of the line that begins at `offset`."""
    count = 1
    with files.open_file(path) as file:
        while offset > 0 and (block := file.read(min(offset, 1 << 22))):
            count += block.count(b"\n")
            offset -= len(block)
    return count


# --- reading --------------------------------------------------------------------------------------


def read_ratings(part: FileRange) -> tuple[pa.Table, list[Reject]]:
    """Reads one range of a ratings file.

    Returns:
        A table of RATINGS_SCHEMA (ids as dictionary<int32, string>, rating float32, timestamp int64) in the
        order of the file, and the rows that could not be used.
    """
    if isinstance(part.format, ParquetFormat):
        return _check_ratings(part, *_read_parquet(part), None, [])
    data, offset = _read_bytes(part)
    if not data.strip():
        return RATINGS_SCHEMA.empty_table(), []
    table = _parse_fast(data, part.format)
    if table is not None:
        return table, []
    return _check_ratings(part, *_parse_text(data, part.path, part.format, offset, RATINGS_SCHEMA.names))


def _parse(data: bytes, fmt: TextFormat, types: Mapping[str, pa.DataType], invalid: Any = None) -> pa.Table:
    separator = fmt.separator
    if len(separator) > 1:  # pyarrow separates by one byte
        data, separator = data.replace(separator, b"\x1f"), b"\x1f"
    return pacsv.read_csv(
        pa.py_buffer(data),
        read_options=pacsv.ReadOptions(
            column_names=list(fmt.fields), use_threads=False, block_size=min(len(data) + 1, 2**31 - 1)
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=separator.decode(),
            quote_char='"' if fmt.quoting else False,
            newlines_in_values=False,
            invalid_row_handler=invalid,
        ),
        convert_options=pacsv.ConvertOptions(
            include_columns=list(types), column_types=types, null_values=[], strings_can_be_null=False
        ),
    )


def _parse_fast(data: bytes, fmt: TextFormat) -> pa.Table | None:
    """Reads straight into the types, or says None when anything at all is unusual."""
    if (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")) or (
        len(fmt.separator) > 1 and b"\x1f" in data
    ):
        return None  # Arrow would end a row, or a field, there
    types = {field.name: field.type for field in RATINGS_SCHEMA if field.name in fmt.names}
    has_times, unit = TIMESTAMP_KEY in types, fmt.timestamp_unit
    if has_times and unit == "iso":
        types[TIMESTAMP_KEY] = pa.string()
    try:
        data = _utf8(data, fmt)
        table = None
        if b"0x" not in data and b"0X" not in data:  # Arrow takes 0x10 for an integer, though not for a float
            with contextlib.suppress(pa.ArrowInvalid):
                table = _parse(data, fmt, types)
        if table is None:  # perhaps because timestamps are written as 964982703.0
            table = _parse(data, fmt, types | ({TIMESTAMP_KEY: pa.float64()} if has_times else {}))
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    if (
        fmt.quoting
        and b'"' in data
        and table.num_rows != sum(1 for line in data.splitlines() if line.strip())
    ):
        return None  # a quote that spans lines
    if not np.isfinite(table[RATING_KEY].to_numpy()).all():
        return None
    for key in (USER_KEY, MOVIE_KEY):
        if any(_ids(chunk.dictionary).null_count for chunk in table[key].chunks):
            return None
    if has_times:
        times = table[TIMESTAMP_KEY].combine_chunks()
        if unit != "ns" and pa.types.is_integer(times.type) and (pc.max(times).as_py() or 0) >= _NO_MOMENT:
            return None
        seconds = _seconds(times, unit)
        if seconds.null_count:
            return None
    else:
        seconds = pa.array(np.zeros(table.num_rows, np.int64))
    columns = [table[key] for key in RATINGS_SCHEMA.names if key != TIMESTAMP_KEY]
    return pa.table([*columns, seconds], schema=RATINGS_SCHEMA)


def _utf8(data: bytes, fmt: TextFormat) -> bytes:
    """The same text in UTF-8.

    Raises:
        UnicodeDecodeError: It is not in the encoding of the format, which has no other to fall back on.
    """
    if data.isascii():
        return data
    try:
        return data.decode(fmt.encoding).encode()
    except UnicodeDecodeError:
        if fmt.fallback is None:
            raise
    # Each field by itself: an id is the same text whatever stands beside it, and in whatever file.
    return b"\n".join(
        line
        if line.isascii()
        else fmt.separator.join(_field(field, fmt) for field in line.split(fmt.separator))
        for line in data.split(b"\n")
    )


def _field(field: bytes, fmt: TextFormat) -> bytes:
    assert fmt.fallback is not None
    try:
        return field.decode(fmt.encoding).encode()
    except UnicodeDecodeError:
        return field.decode(fmt.fallback).encode()


def _parse_text(
    data: bytes, path: str, fmt: TextFormat, offset: int, keys: Iterable[str]
) -> tuple[pa.Table, list[int], list[str], list[Reject]]:
    """Reads every field as text, keeping track of lines.

    Returns:
        A table of string columns `keys`, the line number and the text of each of its rows, and the lines that
        are not a row at all: not decodable, an open quote, or another number of fields.
    """
    first = _line_number(path, offset)
    rejects: list[Reject] = []
    numbers: list[int] = []
    texts: list[str] = []
    at = offset
    for i, line in enumerate(data.split(b"\n")):
        start, at = at, at + len(line) + 1
        line = line.rstrip(b"\r")
        if not line.strip():
            continue
        try:
            text = _utf8(line, fmt).decode()
        except UnicodeDecodeError as error:
            reason = (
                f"byte 0x{line[error.start]:02x} at offset {start + error.start} is not {fmt.encoding}"
                " (set data.encoding to what the file is in)"
            )
            rejects.append(Reject(path, first + i, reason, line.decode("latin-1")))
            continue
        if fmt.quoting and line.count(b'"') % 2 and (line.startswith(b'"') or fmt.separator + b'"' in line):
            rejects.append(Reject(path, first + i, "a quote is not closed on its line", text))
            continue
        numbers.append(first + i)
        texts.append(text)
    if not texts:
        return pa.table({key: pa.array([], pa.string()) for key in keys}), [], [], rejects
    invalid: dict[int, int] = {}

    def skip(row: Any) -> str:
        invalid[row.number - 1] = row.actual_columns
        return "skip"

    ends = "\r" if len(fmt.separator) == 1 else "\r\x1f"  # of a row, and of a field, to Arrow
    safe = "\n".join(texts).translate(dict.fromkeys(map(ord, ends), _STAND_IN))
    table = _parse(safe.encode(), fmt, {key: pa.string() for key in keys}, skip)
    # Only the last line of a file can lack a line break; after the last of `data` there is an empty one.
    last = first + data.count(b"\n")
    for i, count in invalid.items():
        reason = f"{count} field(s), expected {len(fmt.fields)} separated by {fmt.separator.decode()!r}"
        if numbers[i] == last and count < len(fmt.fields):
            reason += "; the last line is cut short"
        if "\r" in texts[i]:
            reason += "; there are carriage returns within the line"
        rejects.append(Reject(path, numbers[i], reason, texts[i]))
    valid = [i for i in range(len(texts)) if i not in invalid]
    return table, [numbers[i] for i in valid], [texts[i] for i in valid], rejects


def _read_parquet(part: FileRange) -> tuple[pa.Table, range]:
    """The columns as they are under our names, and the number of each row in the file."""
    names = part.format.names
    with files.open_file(part.path) as file:
        parquet = pq.ParquetFile(file)
        first = 1 + sum(parquet.metadata.row_group(i).num_rows for i in range(part.start))
        groups = range(part.start, part.end)
        rows = parquet.read_row_groups(groups, columns=list(names.values()), use_threads=False)
    return rows.select(list(names.values())).rename_columns(list(names)), range(first, first + rows.num_rows)


def _check_ratings(
    part: FileRange, rows: pa.Table, lines: Sequence[int], texts: list[str] | None, rejects: list[Reject]
) -> tuple[pa.Table, list[Reject]]:
    """Converts columns of any type to RATINGS_SCHEMA; rows that do not convert become rejects."""
    columns = {key: _decoded(rows[key].combine_chunks()) for key in rows.column_names}
    unit = part.format.timestamp_unit
    converted = {
        USER_KEY: _ids(columns[USER_KEY]),
        MOVIE_KEY: _ids(columns[MOVIE_KEY]),
        RATING_KEY: _numbers(columns[RATING_KEY]),
    }
    if TIMESTAMP_KEY in columns:
        converted[TIMESTAMP_KEY] = _seconds(columns[TIMESTAMP_KEY], unit)
    bad = np.zeros(rows.num_rows, bool)
    for values in converted.values():
        bad |= values.is_null().to_numpy(zero_copy_only=False)
    at = np.flatnonzero(bad)
    found = {key: _values(column.take(pa.array(at))) for key, column in columns.items()}
    amiss = {key: values.is_null().to_numpy(zero_copy_only=False)[at] for key, values in converted.items()}
    for n, i in enumerate(at.tolist()):
        reasons = [
            f"{part.format.names[key]} {_problem(key, found[key][n], unit)}" for key in amiss if amiss[key][n]
        ]
        text = texts[i] if texts is not None else ",".join(str(values[n]) for values in found.values())
        rejects.append(Reject(part.path, lines[i], "; ".join(reasons), text))
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


def _values(column: pa.Array) -> list[Any]:
    """The values as they were written; bytes where one is text that is not UTF-8."""
    if not _is_text(column.type):
        try:
            return column.to_pylist()
        except ValueError:  # a moment that Python cannot hold
            return [str(value) if value.is_valid else None for value in column]
    raw = column.cast(pa.large_binary()).to_pylist()
    texts = map(_utf8_or_none, raw)
    return [
        value if text is None else text.replace(_STAND_IN, "\r")
        for value, text in zip(raw, texts, strict=True)
    ]


def _problem(key: str, found: Any, unit: str = "s") -> str:
    """What is wrong with a value, to be read after its name."""
    if found is None or (isinstance(found, str | bytes) and not found.strip()):
        return "is missing"
    shown = repr(cut(found if isinstance(found, str) else str(found), _SHOWN_CHARS))
    if key in (USER_KEY, MOVIE_KEY):
        return _key_problem(found, MAX_ID_BYTES) or f"is {shown}, expected an id"
    if key == RATING_KEY:
        return f"is {shown}, expected a finite number"
    if unit == "iso":
        return f"is {shown}, expected a time such as 2019-05-03T12:00:00Z{_unit_hint(str(found), unit)}"
    whole = "whole " if unit == "s" else ""
    return f"is {shown}, expected {whole}{_UNITS[unit]}{_unit_hint(str(found), unit)}"


def _key_problem(found: Any, most: int) -> str | None:
    """Why an id or a genre cannot be one; None if it can."""
    try:
        text = found.decode() if isinstance(found, bytes) else str(found)
    except UnicodeDecodeError:
        return f"is {cut(repr(found), _SHOWN_CHARS)}, which is not UTF-8"
    size = len(text.encode())
    if size > most:
        return f"has {size:,} bytes, of which {most:,} are the most: {cut(text, _SHOWN_CHARS)!r}"
    if re.search(_CONTROL, text):
        shown = repr(cut(text, _SHOWN_CHARS))
        return f"is {shown}, with a line break or another control character, which no vocabulary keeps"
    return None


def _unit_hint(text: str, unit: str) -> str:
    """Which unit a time looks like, where that is not the one it was said to be in."""
    text = text.strip()[:_SHOWN_CHARS]
    likely = None
    if re.match(r"\d{4}-\d{2}-\d{2}(?:[T ]|$)", text):
        likely, what = "iso", "an ISO date"
    elif digits := re.fullmatch(r"-?(\d{1,19})(?:\.\d*)?", text):
        # Seconds of 12 digits would be past the year 5138.
        count = len(digits[1])
        likely = "s" if count < 12 else "ms" if count < 15 else "us" if count < 18 else "ns"
        what = _UNITS[likely]
    return (
        f"; it looks like {what}: set data.timestamp_unit to {likely}" if likely not in (None, unit) else ""
    )


def _is_text(kind: pa.DataType) -> bool:
    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
        )
    )


def _decoded(column: pa.Array) -> pa.Array:
    """Plain values of what may be a dictionary, and bytes of any kind as pa.large_binary or text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.binary()) if pa.types.is_fixed_size_binary(column.type) else column


def _text(column: pa.Array) -> pa.Array:
    """string[n]; null where there is none, or it is not UTF-8, which Parquet does not look at."""
    column = _decoded(column)
    if not _is_text(column.type):
        return column.cast(pa.string())
    raw = column.cast(pa.large_binary())
    try:
        return raw.cast(pa.large_string()).cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_utf8_or_none(value) for value in raw.to_pylist()], pa.string())


def _utf8_or_none(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _ids(column: pa.Array) -> pa.Array:
    """string[n]; null where there is no id. A number with a fraction cannot be an id."""
    column = _decoded(column)
    if pa.types.is_floating(column.type):  # integers with gaps, as pandas writes them
        column = _whole(column.cast(pa.float64()))
    text = _text(column)
    bad = pc.equal(pc.utf8_trim_whitespace(text), "")
    bad = pc.or_(bad, pc.greater(pc.binary_length(text), MAX_ID_BYTES))
    bad = pc.or_(bad, pc.match_substring_regex(text, _CONTROL_RE2))
    return pc.if_else(bad, pa.scalar(None, pa.string()), text)


def _numbers(column: pa.Array) -> pa.Array:
    """float64[n]; null where there is no finite number."""
    column = _decoded(column)
    if _is_text(column.type):
        column = _text(column)
    try:
        numbers = column.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        numbers = pa.array([_float(text) for text in column.to_pylist()], pa.float64())
    return pc.if_else(
        pc.is_finite(numbers.cast(pa.float32(), safe=False)), numbers, pa.scalar(None, pa.float64())
    )


def _float(value: Any) -> float | None:
    try:
        # No number is that long, and reading one takes time with the square of its length.
        if value is None or (isinstance(value, str) and ("_" in value or len(value) > _MAX_NUMBER_CHARS)):
            return None
        return float(value)
    except (ValueError, TypeError):
        return None


def _whole(numbers: pa.Array) -> pa.Array:
    """int64[n] of float64[n]; null where there is a fraction or the number is too large to be exact."""
    values = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(values) & (np.floor(values) == values) & (np.abs(values) < 2.0**53)
    return pa.array(np.where(good, values, 0).astype(np.int64), mask=~good)


def _seconds(column: pa.Array, unit: str = "s") -> pa.Array:
    """int64[n] seconds; null where the value is no time in the unit. Fractions of a second are dropped (floored),
    but a number of seconds has none. Moments and dates of Parquet have a unit of their own."""
    column = _decoded(column)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        return _per_second(column.cast(pa.int64()), _TICKS[column.type.unit])
    if _is_text(column.type):
        column = _text(column)
        return _moments(column) if unit == "iso" else _per_second(_ticks(column, unit), _TICKS[unit])
    if unit == "iso":
        return pa.nulls(len(column), pa.int64())
    if pa.types.is_integer(column.type):
        return _per_second(column.cast(pa.int64(), safe=False), _TICKS[unit])
    return _per_second(_float_ticks(column, unit), _TICKS[unit])


def _per_second(ticks: pa.Array, per_second: int) -> pa.Array:
    """int64[n] seconds of int64[n] ticks; rounded down, before 1970 too, where pc.divide rounds up."""
    if per_second == 1:
        return ticks
    missing = ticks.is_null().to_numpy(zero_copy_only=False)
    return pa.array(ticks.fill_null(0).to_numpy() // per_second, mask=missing)


def _ticks(column: pa.Array, unit: str) -> pa.Array:
    """int64[n] of string[n], rounded down; null where the text is no number, or one of seconds with a fraction."""
    hexadecimal = pc.match_substring(column, "x", ignore_case=True)  # 0x10 is an integer to Arrow
    column = pc.if_else(hexadecimal, pa.scalar(None, column.type), column)
    # 18 digits are within 64 bits whatever they are, and no moment has more, but in nanoseconds.
    digits = r"-?(?:\d{1,18}|[1-8]\d{18})" if unit == "ns" else r"-?\d{1,18}"
    if pc.all(pc.match_substring_regex(column, f"^{digits}$")).as_py() is not False:
        return column.cast(pa.int64())
    # 964982703 and 964982703.0 are the same second; a value with an exponent is tried as a number.
    text = pc.utf8_trim_whitespace(column)
    fraction = "0*" if unit == "s" else r"\d*"
    whole = pc.replace_substring_regex(text, rf"^\+?({digits})(\.{fraction})?$", r"\1")
    exact = pc.match_substring_regex(whole, f"^{digits}$")
    integers = pc.if_else(exact, whole, pa.scalar(None, pa.string())).cast(pa.int64())
    below = pc.match_substring_regex(text, r"^-\d+\.\d*[1-9]")
    floats = pc.if_else(pc.match_substring_regex(whole, "[eE]"), whole, pa.scalar(None, pa.string()))
    return pc.coalesce(pc.subtract(integers, below.cast(pa.int64())), _float_ticks(floats, unit))


def _float_ticks(column: pa.Array, unit: str) -> pa.Array:
    """int64[n] of numbers or their text, as `_ticks`; null too where a number is too large to be exact."""
    numbers = _numbers_wide(column)
    return _whole(numbers if unit == "s" else pc.floor(numbers))


def _moments(column: pa.Array) -> pa.Array:
    """int64[n] seconds of ISO dates and times as string[n]; without a zone they are in UTC. Null for others."""
    none = pa.scalar(None, pa.string())
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.match_substring_regex(text, _ISO), text, none)
    text = pc.replace_substring_regex(text, r"\.\d+", "")
    zoned = pc.match_substring_regex(text, _ISO_ZONED)
    try:  # Arrow reads a column with zones, or one without
        return pc.coalesce(
            pc.if_else(zoned, text, none).cast(pa.timestamp("s", "UTC")).cast(pa.int64()),
            pc.if_else(zoned, none, text).cast(pa.timestamp("s")).cast(pa.int64()),
        )
    except pa.ArrowInvalid:  # one of them is no day, such as 2019-02-30
        return pa.array([_moment(value) for value in text.to_pylist()], pa.int64())


def _moment(text: str | None) -> int | None:
    try:
        moment = datetime.datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return None if moment is None else int(moment.timestamp())


def _numbers_wide(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([_float(text) for text in column.to_pylist()], pa.float64())


def find_rows(parts: Iterable[FileRange], user: str, movie: str) -> Iterator[str]:
    """Where a (user, movie) pair stands, as file:line; reads all again, so only for an error's sake."""
    for part in parts:
        lines: Sequence[int]
        if isinstance(part.format, ParquetFormat):
            table, lines = _read_parquet(part)
        else:
            data, offset = _read_bytes(part)
            table, lines, _, _ = _parse_text(data, part.path, part.format, offset, (USER_KEY, MOVIE_KEY))
        users, movies = (_ids(table[key].combine_chunks()) for key in (USER_KEY, MOVIE_KEY))
        hits = pc.and_(pc.equal(users, user), pc.equal(movies, movie)).fill_null(False)
        for i in np.flatnonzero(hits.to_numpy(zero_copy_only=False)).tolist():
            yield f"{part.path}:{lines[i]}"


# --- movies ---------------------------------------------------------------------------------------


def read_movies(path: str, layout: str, settings: IngestSettings) -> tuple[pa.Table, list[Reject]]:
    """Reads a movies table whole; it is small beside the ratings.

    Returns:
        A table of MOVIES_SCHEMA (movie_id string, title string, genres list<string>, year int32 or null) in
        the order of the file, and the rows that could not be used. A second row of a movie is one of those.

    Raises:
        DataError: As `movies_format`.
    """
    fmt = movies_format(path, layout, settings)
    rejects: list[Reject] = []
    [part] = plan(path, fmt, 1 << 62)
    lines: Sequence[int]
    if isinstance(fmt, ParquetFormat):
        rows, lines = _read_parquet(part)
    else:
        data, offset = _read_bytes(part)
        keys = [name for name in fmt.fields if not name.startswith("_")]
        rows, lines, _, rejects = _parse_text(data, path, fmt, offset, keys)

    separator = settings.genres_separator or (" " if layout == "recbole" else "|")
    id_column = _decoded(rows[MOVIE_KEY].combine_chunks())
    ids, raw_ids = _ids(id_column).to_pylist(), _values(id_column)
    titles = _texts(rows, TITLE_KEY)
    if ML_100K_GENRES[1] in rows.column_names:
        flags = [rows[name].to_pylist() for name in ML_100K_GENRES]
        all_genres: list[list[Any] | None] = [
            None
            if any(flag not in ("0", "1") for flag in row)
            else [n for n, f in zip(ML_100K_GENRES, row, strict=True) if f == "1"]
            for row in zip(*flags, strict=True)
        ]
    elif GENRES_KEY not in rows.column_names:
        all_genres = [[]] * rows.num_rows
    else:
        all_genres = _genres(_decoded(rows[GENRES_KEY].combine_chunks()), separator)
    dates = (
        _texts(rows, "release_year") if "release_year" in rows.column_names else _texts(rows, "release_date")
    )

    kept: dict[str, tuple[str, list[str], int | None]] = {}
    seen: dict[str, int] = {}
    for movie, raw_id, title, genres, date, line in zip(
        ids, raw_ids, titles, all_genres, dates, lines, strict=True
    ):
        # In order, each once.
        clean = list(dict.fromkeys(g.strip() for g in genres or () if g is not None))
        reason = None
        if movie is None:
            reason = f"{fmt.names[MOVIE_KEY]} {_problem(MOVIE_KEY, raw_id)}"
        elif movie in seen:
            reason = f"the movie {cut(movie, _SHOWN_CHARS)!r} is there already, at line {seen[movie]}"
        elif title is None:
            reason = f"{fmt.names[TITLE_KEY]} is not UTF-8"
        elif genres is None:
            reason = "a genre flag is neither 0 nor 1"
        else:
            problems = (_key_problem(genre, MAX_GENRE_BYTES) for genre in clean)
            reason = next((f"a genre {problem}" for problem in problems if problem), None)
        if reason:
            shown = raw_id if movie is None else movie
            rejects.append(Reject(path, line, reason, f"{shown},{title}"))
            continue
        seen[movie] = line
        title = title or ""
        kept[movie] = (title, [g for g in clean if g not in _NO_GENRE], _year(title, date or ""))
    columns = [list(kept), *(list(c) for c in zip(*kept.values(), strict=True))] if kept else [[], [], [], []]
    return pa.table(columns, schema=MOVIES_SCHEMA), sorted(rejects, key=lambda r: r.line)


def _texts(rows: pa.Table, key: str) -> list[str | None]:
    """A title, say, of each row on one line; None where it is not UTF-8."""
    if key not in rows.column_names:
        return [""] * rows.num_rows
    column = rows[key].combine_chunks()
    return [
        re.sub(f"{_CONTROL}+", " ", text).strip() if text is not None else None if there else ""
        for text, there in zip(_text(column).to_pylist(), column.is_valid().to_pylist(), strict=True)
    ]


def _genres(column: pa.Array, separator: str) -> list[list[Any] | None]:
    """The genres of each row: text, or bytes where it is not UTF-8."""
    if not pa.types.is_list(column.type):
        return [
            [value] if isinstance(value, bytes) else ("" if value is None else str(value)).split(separator)
            for value in _values(column)
        ]
    names = [
        name if name is None or isinstance(name, bytes) else str(name)
        for name in _values(_decoded(column.flatten()))
    ]
    ends = np.cumsum(pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False))
    return [names[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _year(title: str, date: str) -> int | None:
    """The year at the end of a title, as in "Toy Story (1995)", else that of a date such as 01-Jan-1995."""
    found = re.search(r"\((\d{4})(?:\s*[-–]\s*\d{0,4})?\)\s*$", title) or re.search(
        r"(?<!\d)([12]\d{3})(?:\.0)?$", date
    )
    return int(found[1]) if found else None


def rejects_csv(rejects: Iterable[Reject]) -> str:
    """Rejects as CSV text: file, line, reason, text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "line", "reason", "text"])
    writer.writerows([r.file, r.line, r.reason, r.text] for r in rejects)
    return out.getvalue()
