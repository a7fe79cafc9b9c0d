"""Times: units, fractions, and what is no time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.example_gen import detection
from components.example_gen.settings import IngestSettings
from components.example_gen.times import TICKS
from tests.components.example_gen.reading import DEFAULT, read_all


def test_a_time_of_nineteen_digits_is_no_second_whatever_stands_beside_it(tmp_path: Path) -> None:
    for other in ("964982703", "964982703.0"):
        (tmp_path / "r.csv").write_text(
            f"user_id,movie_id,rating,timestamp\n1,a,3,{other}\n2,b,4,9649827030000000000\n"
        )
        rows, [reject] = read_all(detection.detect(str(tmp_path), DEFAULT))
        assert rows == [("1", "a", 3.0, 964_982_703)]
        assert "9649827030000000000" in reject.reason


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("964982703.0", 964982703),
        ("964982703.", 964982703),
        ("9.64982703e8", 964982703),
        ("-5", -5),
        ("964982703000", 964982703000),  # milliseconds look like a far future: for the schema to say
        ("964982703.5", None),
        ("1e400", None),
        ("2001-09-09", None),
        ("1_000", None),
        ("0x10", None),
        ("0XfF", None),
    ],
)
def test_timestamps(ml_csv: Callable[..., Path], timestamp: str, expected: int | None) -> None:
    folder = ml_csv(f"userId,movieId,rating,timestamp\n1,1,1,{timestamp}\n".encode())
    rows, rejects = read_all(detection.detect(str(folder), DEFAULT))
    assert [r[3] for r in rows] == ([] if expected is None else [expected])
    hint = "; it looks like an ISO date: set data.timestamp_unit to iso" if "-09-" in timestamp else ""
    assert [r.reason for r in rejects] == (
        [f"timestamp is '{timestamp}', expected whole seconds{hint}"] if expected is None else []
    )


UNITS = [
    ("s", "1556884800.0", 1556884800),
    ("s", "1556884800000000000", "; it looks like nanoseconds: set data.timestamp_unit to ns"),
    ("s", "1556884800123.5", "; it looks like milliseconds: set data.timestamp_unit to ms"),
    ("s", "2019-05-03 12:00:00", "; it looks like an ISO date: set data.timestamp_unit to iso"),
    ("ms", "1556884800999", 1556884800),
    ("ms", "1556884800999.0", 1556884800),
    ("ms", "1556884800999.9", 1556884800),
    ("ms", "1.5568848009995e12", 1556884800),
    ("ms", "-1", -1),
    ("ms", "-1000.0", -1),
    ("ms", "-1000.25", -2),
    ("ms", "-0.5", -1),
    ("ms", "2019-05-03", "; it looks like an ISO date: set data.timestamp_unit to iso"),
    ("us", "1556884800999999", 1556884800),
    ("ns", "1556884800999999999", 1556884800),
    ("ns", "1556884800999999999.0", 1556884800),
    ("ns", "1556884800999999999.5", 1556884800),
    ("s", "9" * 19 + ".5", "; it looks like nanoseconds: set data.timestamp_unit to ns"),
    ("s", "9" * 30, "expected whole seconds"),
    ("iso", "2019-05-03T12:00:00Z", 1556884800),
    ("iso", "2019-05-03 12:00:00", 1556884800),
    ("iso", "2019-05-03T12:00", 1556884800),
    ("iso", "2019-05-03T12:00:00.987654321Z", 1556884800),
    ("iso", "2019-05-03T14:00:00+02:00", 1556884800),
    ("iso", "2019-05-03 08:00:00-0400", 1556884800),
    ("iso", "2019-05-03", 1556841600),
    ("iso", "1969-12-31T23:59:59.5", -1),
    ("iso", "2019-02-30", ""),
    ("iso", "2019-05-03T25:00:00Z", ""),
    ("iso", "20190503", "; it looks like seconds: set data.timestamp_unit to s"),
    ("iso", "1556884800123", "; it looks like milliseconds: set data.timestamp_unit to ms"),
    ("iso", "yesterday", ""),
]


@pytest.mark.parametrize(("unit", "text", "expected"), UNITS)
@pytest.mark.parametrize("layout", ["csv", "parquet"])
def test_times_in_a_declared_unit(
    tmp_path: Path, layout: str, unit: str, text: str, expected: int | str
) -> None:
    """Read straight, and with a bad row beside it that has every row looked at; a wrong unit is proposed another."""
    config = IngestSettings.model_validate({"timestamp_unit": unit})
    for with_bad_row in (False, True):
        times, users = [text, text], ["1", " " if with_bad_row else "2"]
        if layout == "csv":
            lines = "".join(f"{user},1,3,{time}\n" for user, time in zip(users, times, strict=True))
            (tmp_path / "r.csv").write_text("user_id,movie_id,rating,timestamp\n" + lines)
        else:
            table = pa.table({"user_id": users, "movie_id": ["1", "1"], "rating": [3, 3], "timestamp": times})
            pq.write_table(table, tmp_path / "r.parquet")
        rows, rejects = read_all(detection.Source(layout, str(tmp_path), f"r.{layout}", None), config)
        if isinstance(expected, int):
            assert [row[3] for row in rows] == [expected] * (2 - with_bad_row)
        else:
            assert rows == []
            assert f"timestamp is {text!r}, expected " in rejects[0].reason
            assert rejects[0].reason.endswith(expected or "Z")


def test_times_of_parquet_that_are_numbers_or_moments(tmp_path: Path) -> None:
    """Numbers are in the declared unit, moments in their own."""
    seconds = 1556884800
    for unit, kind, value in (
        ("ms", pa.int64(), seconds * 1000 + 999),
        ("ms", pa.float64(), seconds * 1000.0 + 999),
        ("ms", pa.float64(), seconds * 1000 + 999.75),
        ("ns", pa.int64(), seconds * 10**9 + 1),
        ("s", pa.timestamp("ms"), seconds * 1000 + 999),
        ("iso", pa.timestamp("ns", "Europe/Paris"), seconds * 10**9 + 1),
        ("iso", pa.int64(), None),
    ):
        times = pa.array([seconds if value is None else value]).cast(kind)
        table = pa.table({"user_id": [1], "movie_id": [1], "rating": [3], "timestamp": times})
        pq.write_table(table, tmp_path / "r.parquet", version="2.6")
        config = IngestSettings.model_validate({"timestamp_unit": unit})
        rows, rejects = read_all(detection.detect(str(tmp_path), config), config)
        assert rows == ([] if value is None else [("1", "1", 3.0, seconds)])
        assert len(rejects) == (value is None)


@given(st.integers(-(2**33), 2**33), st.sampled_from(["ms", "us", "ns"]), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_a_fraction_of_a_second_is_floored(
    tmp_path: Path, seconds: int, unit: str, data: st.DataObject
) -> None:
    ticks = TICKS[unit]
    value = seconds * ticks + data.draw(st.integers(0, ticks - 1))
    (tmp_path / "r.csv").write_text(f"user_id,movie_id,rating,timestamp\n1,1,3,{value}\n")
    config = IngestSettings.model_validate({"timestamp_unit": unit})
    rows, rejects = read_all(detection.detect(str(tmp_path), config), config)
    assert (rows, rejects) == ([("1", "1", 3.0, seconds)], [])
