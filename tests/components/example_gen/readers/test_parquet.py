"""Parquet: any row groups, and columns of any type."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.example_gen import detection
from tests.components.example_gen.reading import DEFAULT, read_all


@given(st.integers(1, 9), st.integers(1, 400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_any_row_groups_equal_the_whole_file(tmp_path: Path, group: int, range_bytes: int) -> None:
    users = ["1", None, "3", "", "5", "6", "7", "8"]
    table = pa.table(
        {
            "user_id": users,
            "movie_id": [1, 2, 3, 4, 5, 6, 7, None],
            "rating": [1.0, 2, 3, 4, float("nan"), 6, 7, 8],
        }
    ).append_column("timestamp", pa.array([1.0, 2, 3, 4, 5, 6.5, 7, 8]))
    pq.write_table(table, tmp_path / "r.parquet", row_group_size=group)
    rows, rejects = read_all(
        detection.Source("parquet", str(tmp_path), "r.parquet", None), range_bytes=range_bytes
    )
    assert rows == [("1", "1", 1.0, 1), ("3", "3", 3.0, 3), ("7", "7", 7.0, 7)]
    assert [(r.line, r.reason) for r in rejects] == [
        (2, "user_id is missing"),
        (4, "user_id is missing"),
        (5, "rating is 'nan', expected a finite number"),
        (6, "timestamp is '6.5', expected whole seconds"),
        (8, "movie_id is missing"),
    ]


def test_parquet_types(tmp_path: Path) -> None:
    """Ids as integers or categories, moments as timestamps, decimals as ratings."""
    moment = datetime.datetime(2001, 9, 9, 1, 46, 40)
    table = pa.table(
        {
            "user_id": pa.array([7, 8], pa.int16()),
            "movie_id": pa.array(["a", "b"]).dictionary_encode(),
            "rating": pa.array([3, 4], pa.int8()),
            "timestamp": pa.array([moment, moment.replace(microsecond=5)], pa.timestamp("us")),
        }
    )
    pq.write_table(table, tmp_path / "r.parquet")
    rows, rejects = read_all(detection.detect(str(tmp_path), DEFAULT))
    assert rows == [("7", "a", 3.0, 1_000_000_000), ("8", "b", 4.0, 1_000_000_000)]
    assert rejects == []
