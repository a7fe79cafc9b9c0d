"""Reading Parquet: runs of row groups, in the types that the file has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from components.example_gen import files
from components.shared.errors import DataError


@dataclasses.dataclass(frozen=True)
class ParquetFormat:
    """How to read one Parquet file: our name -> its column, and the unit of times that are numbers or text."""

    names: Mapping[str, str]
    timestamp_unit: str = "s"


def read_schema(path: str) -> tuple[pa.Schema, int]:
    """The columns of a file, and how many rows it has.

    Raises:
        DataError: It is empty or no Parquet file.
    """
    with files.open_file(path) as file:
        if not file.seek(0, 2):
            raise DataError("The file is empty.", where=path)
        file.seek(0)
        try:
            parquet = pq.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise DataError(f"The file is not Parquet, or it is cut short: {error}.", where=path) from error
        return parquet.schema_arrow, parquet.metadata.num_rows


def plan(path: str, range_bytes: int) -> list[tuple[int, int]]:
    """Where runs of row groups start and end that hold about as many rows as `range_bytes` of text."""
    with files.open_file(path) as file:
        metadata = pq.ParquetFile(file).metadata
    starts, size = [0], 0
    for i in range(metadata.num_row_groups):
        if size >= range_bytes:
            starts.append(i)
            size = 0
        size += metadata.row_group(i).num_rows * 24  # a row of text takes about as much
    return list(zip(starts, [*starts[1:], metadata.num_row_groups], strict=True))


def read(path: str, fmt: ParquetFormat, start: int, end: int) -> tuple[pa.Table, range]:
    """The columns of row groups [start, end) as they are, under our names, and the number of each row in the file."""
    with files.open_file(path) as file:
        parquet = pq.ParquetFile(file)
        first = 1 + sum(parquet.metadata.row_group(i).num_rows for i in range(start))
        groups = range(start, end)
        rows = parquet.read_row_groups(groups, columns=list(fmt.names.values()), use_threads=False)
    columns = rows.select(list(fmt.names.values())).rename_columns(list(fmt.names))
    return columns, range(first, first + rows.num_rows)
