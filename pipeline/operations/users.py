"""Lists of users in files: an id a line, or a CSV or Parquet file with a column `user_id`; read a piece at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.example_gen.files import open_file
from components.example_gen.readers.parquet import read_schema
from components.example_gen.values import to_ids
from components.shared.errors import DataError
from components.shared.features import USER_KEY

_PARQUET = b"PAR1"


def user_ids(path: Path, rows: int) -> Iterator[pa.Array]:
    """The ids in a file, in its order, as often as they stand there; blank lines are none.

    It is Parquet if it begins as such, CSV if its first line names a column `user_id`, and else an id a line.

    Args:
        path: The file.
        rows: Of a piece.

    Yields:
        string (N,), N at most `rows`.

    Raises:
        DataError: The file cannot be read, has no such column or no ids, or something in it is none.
    """
    with open_file(str(path)) as file:
        is_parquet = file.read(len(_PARQUET)) == _PARQUET
    some = False
    for places, found in _of_parquet(path, rows) if is_parquet else _of_text(path, rows):
        ids = to_ids(found)
        if ids.null_count:
            row = ids.is_null().index(True).as_py()
            raise DataError(
                "This is no id of a user.",
                where=f"{path}, {places[row]}",
                found=repr(found[row].as_py()),
                expected="a text without control characters, or a whole number",
            )
        some = some or len(ids) > 0
        yield ids
    if not some:
        raise DataError("There are no users in the file.", where=str(path), expected="a user id a line")


def _of_parquet(path: Path, rows: int) -> Iterator[tuple[list[str], pa.Array]]:
    schema, _ = read_schema(str(path))
    if USER_KEY not in schema.names:
        raise _no_column(path, schema.names)
    before = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(rows, columns=[USER_KEY], use_threads=False):
            column = batch.column(0)
            yield [f"row {before + place + 1}" for place in range(len(column))], column
            before += len(column)


def _of_text(path: Path, rows: int) -> Iterator[tuple[list[str], pa.Array]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            header = next(csv.reader([first]), [])
            place = header.index(USER_KEY) if USER_KEY in header else 0
            if place == 0 and USER_KEY not in header:
                if len(header) > 1:
                    raise _no_column(path, header)
                file.seek(0)
            lines = csv.reader(file)
            before = 1 if USER_KEY in header else 0
            numbered = ((before + lines.line_num, fields) for fields in lines if "".join(fields).strip())
            while piece := list(islice(numbered, rows)):
                for number, fields in piece:
                    if len(fields) != max(len(header), 1):
                        raise DataError(
                            "This line has another number of fields.",
                            where=f"{path}:{number}",
                            found=f"{len(fields)}: {','.join(fields)}",
                            expected=f"{max(len(header), 1)}",
                        )
                values = pa.array([fields[place].strip() for _, fields in piece], pa.string())
                yield [f"line {number}" for number, _ in piece], values
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            "The users cannot be read.", where=str(path), found=str(error), expected="UTF-8 text"
        ) from None


def _no_column(path: Path, names: list[str]) -> DataError:
    return DataError(
        "The users have no column of their ids.",
        where=str(path),
        found=", ".join(names),
        expected=f"a column {USER_KEY}, or a file with an id a line",
    )
