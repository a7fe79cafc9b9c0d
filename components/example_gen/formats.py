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

from components.errors import DataError
from components.example_gen import files
from components.example_gen.settings import IngestSettings, MovieColumns, RatingColumns
from components.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, TITLE_KEY, USER_KEY

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
_HEAD_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"

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
    """

    fields: tuple[str, ...]
    names: Mapping[str, str]
    separator: bytes
    encoding: str
    quoting: bool
    data_start: int


@dataclasses.dataclass(frozen=True)
class ParquetFormat:
    """How to read one Parquet file: our name -> its column."""

    names: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class FileRange:
    """A part of a file: bytes [start, end) of text, or row groups [start, end) of Parquet."""

    path: str
    format: TextFormat | ParquetFormat
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Reject:
    """One row that cannot be used; `line` counts from 1 (in Parquet: the row)."""

    file: str
    line: int
    reason: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


# --- headers --------------------------------------------------------------------------------------


def ratings_format(path: str, layout: str, settings: IngestSettings) -> TextFormat | ParquetFormat:
    """Reads the head of a ratings file.

    Raises:
        DataError: The file is missing or empty, has a header only, lacks a column or has another separator.
    """
    wanted: dict[str, Sequence[str] | None]
    if layout == "ml-csv":
        wanted = {ours: [name] for ours, name in _ML_CSV.items()}
    else:
        chosen, default = settings.columns, RatingColumns()
        wanted = {ours: [getattr(chosen, ours)] for ours in RatingColumns.model_fields}
        if layout == "recbole":
            for ours, theirs in _RECBOLE.items():
                if getattr(chosen, ours) == getattr(default, ours):
                    wanted[ours] = [theirs]
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
        return _parquet_format(path, wanted, setting)
    head, is_whole = _head(path)
    is_ratings = RATING_KEY in wanted
    encoding = settings.encoding or ("ISO-8859-1" if layout in ("ml-100k", "ml-dat") else "UTF-8")
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
                fix="set data.layout to what the file is" if other else None,
            )
        return TextFormat(fields, {f: f for f in fields}, separator.encode(), encoding, False, start)

    if layout == "ml-csv":
        separator = ","
    elif layout == "recbole":
        separator = "\t"
    else:
        separator = settings.delimiter or ("\t" if path.endswith(".tsv") else ",")
    quoting = layout != "recbole"
    header = _split_line(first, separator, quoting)
    names = [name.rpartition(":")[0] if layout == "recbole" and ":" in name else name for name in header]
    if len(names) == 1 and (is_ratings or any(c in first for c in ",;\t|:")):
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
    chosen = _choose_columns(path, names, wanted, setting)
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
    if layout == "recbole" and not is_ratings and "release_year" in names:
        ours["release_year"] = "release_year"
    fields = tuple(ours.get(name, f"_{i}") for i, name in enumerate(names))
    return TextFormat(fields, chosen, separator.encode(), encoding, quoting, start)


def _parquet_format(path: str, wanted: Mapping[str, Sequence[str] | None], setting: str) -> ParquetFormat:
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
    return ParquetFormat(chosen)


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
                ),
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
    if not is_whole and b"\n" not in head and b"\r" in head:
        raise DataError(
            "The lines end in a carriage return alone.",
            where=path,
            expected="line feeds",
            fix="convert the file",
        )
    return head, is_whole


def csv_header(path: str) -> list[str]:
    """The fields of the first line of a file, read as CSV."""
    with files.open_file(path) as file:
        line = file.read(_HEAD_BYTES).removeprefix(_BOM).lstrip().split(b"\n")[0].rstrip(b"\r")
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
    types = {field.name: field.type for field in RATINGS_SCHEMA}
    try:
        if not data.isascii():
            data = data.decode(fmt.encoding).encode()
        table = None
        if b"0x" not in data and b"0X" not in data:  # Arrow takes 0x10 for an integer, though not for a float
            with contextlib.suppress(pa.ArrowInvalid):
                table = _parse(data, fmt, types)
        if table is None:  # perhaps because timestamps are written as 964982703.0
            table = _parse(data, fmt, types | {TIMESTAMP_KEY: pa.float64()})
            seconds = _whole(table[TIMESTAMP_KEY].combine_chunks())
            if seconds.null_count:
                return None
            table = table.set_column(table.schema.get_field_index(TIMESTAMP_KEY), TIMESTAMP_KEY, seconds)
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
        for chunk in table[key].chunks:
            if pc.any(pc.equal(pc.utf8_trim_whitespace(chunk.dictionary), "")).as_py():
                return None
    return table


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
            text = line.decode(fmt.encoding)
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
        # A carriage return within a line would start a row of its own.
        texts.append(text.replace("\r", " "))
    if not texts:
        return pa.table({key: pa.array([], pa.string()) for key in keys}), [], [], rejects
    invalid: dict[int, int] = {}

    def skip(row: Any) -> str:
        invalid[row.number - 1] = row.actual_columns
        return "skip"

    table = _parse("\n".join(texts).encode(), fmt, {key: pa.string() for key in keys}, skip)
    # Only the last line of a file can lack a line break; after the last of `data` there is an empty one.
    last = first + data.count(b"\n")
    for i, count in invalid.items():
        reason = f"{count} field(s), expected {len(fmt.fields)} separated by {fmt.separator.decode()!r}"
        if numbers[i] == last and count < len(fmt.fields):
            reason += "; the last line is cut short"
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
    columns = [rows[key].combine_chunks() for key in RATINGS_SCHEMA.names]
    converted = [_ids(columns[0]), _ids(columns[1]), _numbers(columns[2]), _seconds(columns[3])]
    bad = np.zeros(rows.num_rows, bool)
    for values in converted:
        bad |= values.is_null().to_numpy(zero_copy_only=False)
    expected = ("an id", "an id", "a finite number", "whole seconds")
    for i in np.flatnonzero(bad).tolist():
        reasons = []
        for key, column, values, what in zip(RATINGS_SCHEMA.names, columns, converted, expected, strict=True):
            if not values[i].is_valid:
                found = column[i].as_py()
                missing = found is None or (isinstance(found, str) and not found.strip())
                name = part.format.names[key]
                reasons.append(
                    f"{name} is missing" if missing else f"{name} is {str(found)!r}, expected {what}"
                )
        text = texts[i] if texts is not None else ",".join(str(column[i].as_py()) for column in columns)
        rejects.append(Reject(part.path, lines[i], "; ".join(reasons), text))
    table = pa.table(
        [
            converted[0].dictionary_encode(),
            converted[1].dictionary_encode(),
            converted[2].cast(pa.float32(), safe=False),
            converted[3],
        ],
        schema=RATINGS_SCHEMA,
    )
    if bad.any():
        table = table.filter(pa.array(~bad))
    return table, sorted(rejects, key=lambda r: r.line)


def _ids(column: pa.Array) -> pa.Array:
    """string[n]; null where there is no id. A number with a fraction cannot be an id."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):  # integers with gaps, as pandas writes them
        column = _whole(column.cast(pa.float64()))
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = column.cast(pa.large_string()).cast(pa.string())
    text = column.cast(pa.string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), pa.scalar(None, pa.string()), text)


def _numbers(column: pa.Array) -> pa.Array:
    """float64[n]; null where there is no finite number."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        numbers = column.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        numbers = pa.array([_float(text) for text in column.to_pylist()], pa.float64())
    return pc.if_else(
        pc.is_finite(numbers.cast(pa.float32(), safe=False)), numbers, pa.scalar(None, pa.float64())
    )


def _float(value: Any) -> float | None:
    try:
        return None if value is None or (isinstance(value, str) and "_" in value) else float(value)
    except (ValueError, TypeError):
        return None


def _whole(numbers: pa.Array) -> pa.Array:
    """int64[n] of float64[n]; null where there is a fraction or the number is too large to be exact."""
    values = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(values) & (np.floor(values) == values) & (np.abs(values) < 2.0**53)
    return pa.array(np.where(good, values, 0).astype(np.int64), mask=~good)


def _seconds(column: pa.Array) -> pa.Array:
    """int64[n] seconds; null where the value is not a whole number (or a moment on a whole second)."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        ticks = column.cast(pa.int64())
        seconds = pc.divide(ticks, unit)
        return pc.if_else(pc.equal(pc.multiply(seconds, unit), ticks), seconds, pa.scalar(None, pa.int64()))
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64(), safe=False)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        hexadecimal = pc.match_substring(column, "x", ignore_case=True)  # 0x10 is an integer to Arrow
        column = pc.if_else(hexadecimal, pa.scalar(None, column.type), column)
        # 18 digits are within 64 bits whatever they are, and no moment in seconds has more.
        digits = r"-?\d{1,18}"
        if pc.all(pc.match_substring_regex(column, f"^{digits}$")).as_py() is not False:
            return column.cast(pa.int64())
        # 964982703 and 964982703.0 are the same second; a value with an exponent is tried as a number.
        whole = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), rf"^\+?({digits})(\.0*)?$", r"\1")
        exact = pc.match_substring_regex(whole, f"^{digits}$")
        integers = pc.if_else(exact, whole, pa.scalar(None, pa.string())).cast(pa.int64())
        floats = pc.if_else(pc.match_substring_regex(whole, "[eE]"), whole, pa.scalar(None, pa.string()))
        return pc.coalesce(integers, _whole(_numbers_wide(floats)))
    return _whole(_numbers_wide(column))


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
    ids = _ids(rows[MOVIE_KEY].combine_chunks()).to_pylist()
    titles = _texts(rows, TITLE_KEY)
    if ML_100K_GENRES[1] in rows.column_names:
        flags = [rows[name].to_pylist() for name in ML_100K_GENRES]
        all_genres: list[list[str] | None] = [
            None
            if any(flag not in ("0", "1") for flag in row)
            else [n for n, f in zip(ML_100K_GENRES, row, strict=True) if f == "1"]
            for row in zip(*flags, strict=True)
        ]
    elif GENRES_KEY not in rows.column_names:
        all_genres = [[]] * rows.num_rows
    else:
        all_genres = [
            list(v) if isinstance(v, list) else (v or "").split(separator)
            for v in rows[GENRES_KEY].to_pylist()
        ]
    dates = (
        _texts(rows, "release_year") if "release_year" in rows.column_names else _texts(rows, "release_date")
    )

    kept: dict[str, tuple[str, list[str], int | None]] = {}
    seen: dict[str, int] = {}
    for movie, title, genres, date, line in zip(ids, titles, all_genres, dates, lines, strict=True):
        reason = None
        if movie is None:
            reason = f"{fmt.names[MOVIE_KEY]} is missing"
        elif movie in seen:
            reason = f"the movie {movie!r} is there already, at line {seen[movie]}"
        elif genres is None:
            reason = "a genre flag is neither 0 nor 1"
        if reason:
            rejects.append(Reject(path, line, reason, f"{movie},{title}"))
            continue
        seen[movie] = line
        clean = dict.fromkeys(g.strip() for g in genres or () if g is not None)  # in order, each once
        kept[movie] = (title, [g for g in clean if g not in _NO_GENRE], _year(title, date))
    columns = [list(kept), *(list(c) for c in zip(*kept.values(), strict=True))] if kept else [[], [], [], []]
    return pa.table(columns, schema=MOVIES_SCHEMA), sorted(rejects, key=lambda r: r.line)


def _texts(rows: pa.Table, key: str) -> list[str]:
    if key not in rows.column_names:
        return [""] * rows.num_rows
    return [(text or "").strip() for text in rows[key].cast(pa.string()).to_pylist()]


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
