"""The first lines of a text file: what it is not, its header, and what separates its fields."""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH119

from __future__ import annotations

import csv
import dataclasses
import os
import re

from components.example_gen import files
from components.shared.errors import DataError

_HEAD_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"
# Of encodings of more than a byte a character. UTF-32 is before UTF-16, whose mark begins its own.
_WIDE = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
# How compressed files begin, as patterns, and what writes such a file unpacked.
_PACKED = (
    ("gzip", rb"\x1f\x8b", "gzip -dc"),
    ("zip", rb"PK(\x03\x04|\x05\x06|\x07\x08)", "unzip -p"),
    ("bzip2", rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "bzip2 -dc"),
    ("xz", rb"\xfd7zXZ\x00", "xz -dc"),
    ("zstd", rb"\x28\xb5\x2f\xfd", "zstd -dc"),
)


@dataclasses.dataclass(frozen=True)
class Head:
    """The first bytes of a text file that has any text.

    Attributes:
        data: The bytes, from the first of the file.
        start: Where text begins in them, past a byte order mark.
        lines: Those that are not blank, without their ends.
        is_whole: Whether there is no more in the file.
    """

    data: bytes
    start: int
    lines: list[bytes]
    is_whole: bool


def read_head(path: str) -> Head:
    """Reads the first bytes.

    Raises:
        DataError: The file cannot be read, is empty, compressed or in another encoding than a superset of ASCII, or
            its lines end in a carriage return alone.
    """
    with files.open_file(path) as file:
        data = file.read(_HEAD_BYTES)
    for what, pattern, unpack in _PACKED:
        if re.match(pattern, data):
            raise DataError(
                f"The file is compressed ({what}).",
                where=path,
                expected="text",
                fix=f"put in its place what `{unpack} {os.path.basename(path)}` writes",
            )
    for mark, encoding in _WIDE.items():
        if data.startswith(mark):
            raise DataError(
                f"The file is {encoding}.", where=path, expected="UTF-8", fix="convert the file to UTF-8"
            )
    start = len(_BOM) if data.startswith(_BOM) else 0
    if not data[start:].strip():
        raise DataError("The file is empty.", where=path)
    first = data[start:].lstrip().split(b"\n")[0].rstrip(b"\r")
    if b"\r" in first or (b"\n" not in data and b"\r" in data):
        raise DataError(
            "The lines end in a carriage return alone.",
            where=path,
            expected="line feeds",
            fix="convert the line ends of the file",
        )
    lines = [line for line in data[start:].splitlines() if line.strip()]
    return Head(data, start, lines, is_whole=len(data) < _HEAD_BYTES)


def csv_header(path: str) -> list[str]:
    """The fields of the first line of a file, read as CSV."""
    with files.open_file(path) as file:
        head = file.read(_HEAD_BYTES).removeprefix(_BOM)
    line = next((line for line in head.splitlines() if line.strip()), b"")
    return next(csv.reader([line.decode("latin-1")]), [])


def split_line(line: str, separator: str, quoting: bool) -> list[str]:
    """The fields of a line."""
    if not quoting or len(separator) > 1:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator), [])


def guess_separator(line: str, count: int | None) -> str | None:
    """A separator that gives `count` fields (None: the most, at least three)."""
    counts = {s: len(line.split(s)) for s in ("::", "\t", ";", ",", "|", " ")}
    if count is not None:
        return next((s for s, n in counts.items() if n == count), None)
    best = max(counts, key=lambda s: counts[s])
    return best if counts[best] >= 3 else None
