"""Ids and numbers: what is one, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen import detection
from tests.components.example_gen.reading import DEFAULT, read_all


def test_hexadecimal(tmp_path: Path) -> None:
    """Arrow reads 0x10 as 16; an id may look so, a number may not."""
    rows = {
        "user_id": ["0x1", "2"],
        "movie_id": ["0X1", "0x2"],
        "rating": ["3", "4"],
        "timestamp": ["5", "6"],
    }
    for column, value in ((None, ""), ("rating", "0x4"), ("timestamp", "0x6")):
        table = pa.table(rows | ({column: [rows[column][0], value]} if column else {}))
        pq.write_table(table, tmp_path / "r.parquet")
        lines = [",".join(row.values()) for row in table.to_pylist()]
        (tmp_path / "r.csv").write_text("\n".join([",".join(table.column_names), *lines, ""]))
        for layout in ("csv", "parquet"):
            read, rejects = read_all(detection.Source(layout, str(tmp_path), f"r.{layout}", None))
            assert read == [("0x1", "0X1", 3.0, 5), ("2", "0x2", 4.0, 6)][: 1 if column else 2]
            assert [(r.reason.split(",")[0], r.text) for r in rejects] == (
                [(f"{column} is {value!r}", lines[1])] if column else []
            )


@pytest.mark.parametrize("column", ["user_id", "movie_id"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\nb", "is 'a\\nb', with a line break or another control character, which no vocabulary keeps"),
        ("a\rb", "is 'a\\rb', with a line break"),
        ("a\x00b", "is 'a\\x00b', with a line break"),
        ("a\u2028b", "is 'a\\u2028b', with a line break"),
        ("7\n", "is '7\\n', with a line break"),
        ("é" * 513, "has 1,026 bytes, of which 1,024 are the most: 'éé"),
        ("", "is missing"),
        (" \t", "is missing"),
        (b"\xffa", "is b'\\xffa', which is not UTF-8"),
    ],
)
@pytest.mark.parametrize("kind", [pa.binary(), pa.string(), pa.large_string(), "dictionary"])
def test_an_id_that_no_vocabulary_keeps(
    tmp_path: Path, column: str, value: str | bytes, reason: str, kind: Any
) -> None:
    """In Parquet of any type of text; the rows beside it are kept."""
    raw = pa.array([b"1", value if isinstance(value, bytes) else value.encode(), b"2"], pa.binary())
    # Arrow does not look whether text from a file is UTF-8, so neither does this.
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    large = pa.Array.from_buffers(
        pa.large_string(), 3, pa.array(raw.to_pylist(), pa.large_binary()).buffers()
    )
    ids = {pa.binary(): raw, pa.string(): text, pa.large_string(): large}.get(kind, text)
    if kind == "dictionary":
        ids = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), text)
    columns = {"user_id": ["1", "1", "2"], "movie_id": ["1", "1", "2"], column: ids}
    table = pa.table({**columns, "rating": [1, 2, 3], "timestamp": [1, 2, 3]})
    pq.write_table(table, tmp_path / "r.parquet")
    rows, [reject] = read_all(detection.detect(str(tmp_path), DEFAULT))
    assert [row[:2] for row in rows] == [("1", "1"), ("2", "2")]
    assert (reject.line, reject.file) == (2, str(tmp_path / "r.parquet"))
    assert f"{column} {reason}" in reject.reason
