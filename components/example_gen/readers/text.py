"""Reading text: the lines of a range, parsed by Arrow, and one by one where anything is unusual."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from components.example_gen import files
from components.example_gen.rows import RATINGS_SCHEMA, Reject
from components.example_gen.times import NO_MOMENT, to_seconds
from components.example_gen.values import STAND_IN, to_ids
from components.shared.features import MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, USER_KEY


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


def plan(path: str, fmt: TextFormat, range_bytes: int) -> list[tuple[int, int]]:
    """Where ranges of about `range_bytes` start and end."""
    with files.open_file(path) as file:
        size = file.seek(0, 2)
    starts = list(range(fmt.data_start, max(size, fmt.data_start + 1), range_bytes))
    return list(zip(starts, [*starts[1:], size], strict=True))


def read_lines(path: str, fmt: TextFormat, start: int, end: int) -> tuple[bytes, int]:
    """The lines that begin within the range, and the offset of the first one."""
    with files.open_file(path) as file:
        offset = start
        if offset > fmt.data_start:
            file.seek(offset - 1)
            offset += len(file.readline()) - 1  # the line across the border belongs to the range before
        else:
            file.seek(offset)
        if offset >= end:
            return b"", offset
        data = file.read(end - offset)
        if not data.endswith(b"\n"):
            data += file.readline()
    return data, offset


def parse_ratings(data: bytes, fmt: TextFormat) -> pa.Table | None:
    """Lines as a table of RATINGS_SCHEMA, read straight into its types; None when anything at all is unusual."""
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
                table = _read_csv(data, fmt, types)
        if table is None:  # perhaps because timestamps are written as 964982703.0
            table = _read_csv(data, fmt, types | ({TIMESTAMP_KEY: pa.float64()} if has_times else {}))
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
        if any(to_ids(chunk.dictionary).null_count for chunk in table[key].chunks):
            return None
    if has_times:
        times = table[TIMESTAMP_KEY].combine_chunks()
        if unit != "ns" and pa.types.is_integer(times.type) and (pc.max(times).as_py() or 0) >= NO_MOMENT:
            return None
        seconds = to_seconds(times, unit)
        if seconds.null_count:
            return None
    else:
        seconds = pa.array(np.zeros(table.num_rows, np.int64))
    columns = [table[key] for key in RATINGS_SCHEMA.names if key != TIMESTAMP_KEY]
    return pa.table([*columns, seconds], schema=RATINGS_SCHEMA)


def parse(
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
    safe = "\n".join(texts).translate(dict.fromkeys(map(ord, ends), STAND_IN))
    table = _read_csv(safe.encode(), fmt, {key: pa.string() for key in keys}, skip)
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


def _read_csv(
    data: bytes, fmt: TextFormat, types: Mapping[str, pa.DataType], invalid: Any = None
) -> pa.Table:
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


def _line_number(path: str, offset: int) -> int:
    """Number of the line that begins at `offset`."""
    count = 1
    with files.open_file(path) as file:
        while offset > 0 and (block := file.read(min(offset, 1 << 22))):
            count += block.count(b"\n")
            offset -= len(block)
    return count
