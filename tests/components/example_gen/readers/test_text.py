"""Text: any ranges, and every way in which a line can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.example_gen import detection
from components.example_gen.settings import IngestSettings
from tests.components.example_gen.reading import DEFAULT, all_movies, read_all

LINES = st.lists(
    st.sampled_from(
        ["1,2,3.5,4", "007,2,3,4.0", '"a,b",é,1e0,-5', "", "  ", "1,2,x,4", "1,2,3", "1,2,nan,4", ",2,3,4",
         "1,2,3,0x10", "0x1,2,3,4",
         "1,2,3,4,5", '"1,2,3,4', '1"0,2,3,4', "1,2,3,4.5", "1, 2 , 3 , 4 ", "\xff"]
    ),
    max_size=12,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(LINES, st.integers(1, 150), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_any_ranges_equal_the_whole_file(
    tmp_path: Path, lines: list[str], range_bytes: int, end: str, last_end: bool, bom: bool
) -> None:
    """Rows, rejects and their line numbers do not depend on where the file is cut."""
    path = tmp_path / "ratings.csv"
    rows = ["user_id,movie_id,rating,timestamp", "1,1,1,1", *lines]
    data = end.join(rows).encode().replace("\xff".encode(), b"\xff") + end.encode() * last_end
    path.write_bytes(b"\xef\xbb\xbf" * bom + data)
    source = detection.Source("csv", str(tmp_path), "ratings.csv", None)
    whole = read_all(source)
    assert read_all(source, range_bytes=range_bytes) == whole
    assert len(whole[0]) + len(whole[1]) == sum(1 for line in rows[1:] if line.strip())
    for reject in whole[1]:
        assert lines[reject.line - 3].strip() in (reject.text.strip(), "\xff")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,abc,4", "rating is 'abc', expected a finite number"),
        (b"1,2,nan,4", "rating is 'nan', expected a finite number"),
        (b"1,2,inf,4", "rating is 'inf', expected a finite number"),
        (b"1,2,1e39,4", "rating is '1e39', expected a finite number"),
        (b'1,2,"3,5",4', "rating is '3,5', expected a finite number"),
        (b"1,2,0x10,4", "rating is '0x10', expected a finite number"),
        (b"1,2,3,0x10", "timestamp is '0x10', expected whole seconds"),
        (b"1,2,,4", "rating is missing"),
        (b",2,3,4", "userId is missing"),
        (b"1,  ,3,4", "movieId is missing"),
        (b"1,2,3,", "timestamp is missing"),
        (b"1,,x,", "movieId is missing; rating is 'x', expected a finite number; timestamp is missing"),
        (b"1,2,3", "3 field(s), expected 4 separated by ','"),
        (b"1,2,3,4,5", "5 field(s), expected 4 separated by ','"),
        (b"1;2;3;4", "1 field(s), expected 4 separated by ','"),
        (b'"1,2,3,4', "a quote is not closed on its line"),
        (b"\xe9,2,3,4", "byte 0xe9 at offset 52 is not UTF-8 (set data.encoding to what the file is in)"),
    ],
)
def test_a_malformed_row_names_its_line(ml_csv: Callable[..., Path], line: bytes, reason: str) -> None:
    """Between good rows and after a blank line; the rows around it are kept."""
    folder = ml_csv(b"userId,movieId,rating,timestamp\n\n007,10,0.5,5000000\n" + line + b"\n8,1,1,1\n")
    rows, [reject] = read_all(detection.detect(str(folder), DEFAULT))
    assert rows == [("007", "10", 0.5, 5000000), ("8", "1", 1.0, 1)]
    assert (reject.file, reject.line, reject.reason) == (str(folder / "ratings.csv"), 4, reason)
    assert str(reject) == f"{folder / 'ratings.csv'}:4: {reason}"
    assert reject.text == line.decode("latin-1")


def test_a_last_line_that_is_cut_short(ml_csv: Callable[..., Path]) -> None:
    folder = ml_csv(b"userId,movieId,rating,timestamp\n1,1,1,1\n1,2,4")
    rows, [reject] = read_all(detection.detect(str(folder), DEFAULT))
    assert len(rows) == 1
    assert reject.line == 3
    assert reject.reason.endswith("; the last line is cut short")


def test_a_last_line_without_a_line_break_is_whole(ml_csv: Callable[..., Path]) -> None:
    folder = ml_csv(b"userId,movieId,rating,timestamp\n1,1,1,1\n1,2,4,5")
    assert read_all(detection.detect(str(folder), DEFAULT)) == ([("1", "1", 1.0, 1), ("1", "2", 4.0, 5)], [])


def test_encoding_by_configuration(ml_csv: Callable[..., Path]) -> None:
    folder = ml_csv(
        b"userId,movieId,rating,timestamp\n\xe9,1,1,1\n", b"movieId,title,genres\n1,Caf\xe9,Drama\n"
    )
    config = IngestSettings(encoding="latin-1")
    source = detection.detect(str(folder), config)
    assert read_all(source, config)[0] == [("é", "1", 1.0, 1)]
    assert all_movies(source, config) == [("1", "Café", ["Drama"], None)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'"a\rb",1,3,4', "userId is 'a\\rb', with a line break or another control character"),
        (b"a\rb,1,3,4", "userId is 'a\\rb', with a line break"),
        (b"a,1\x1f1,3,4", "movieId is '1\\x1f1', with a line break"),
        (b"x" * 1025 + b",1,3,4", "userId has 1,025 bytes, of which 1,024 are the most: 'xxx"),
        (
            b"1,1,3,4\r2,1,3,4",
            "7 field(s), expected 4 separated by ','; there are carriage returns within the line",
        ),
    ],
)
def test_an_id_of_a_line_that_no_vocabulary_keeps(
    ml_csv: Callable[..., Path], line: bytes, reason: str
) -> None:
    folder = ml_csv(b"userId,movieId,rating,timestamp\n8,1,1,1\n" + line + b"\n9,1,1,1\n")
    rows, [reject] = read_all(detection.detect(str(folder), DEFAULT))
    assert [row[0] for row in rows] == ["8", "9"]
    assert reject.line == 3
    assert reason in reject.reason
    assert reject.text == line.decode()


def test_a_value_of_any_length_is_told_in_a_line(ml_csv: Callable[..., Path]) -> None:
    """And kept in some kilobytes."""
    huge = b"9" * 3_000_000
    for line in (huge + b",1,3,4", b"1,1," + huge + b",4", b"1,1,3," + huge, b"1,1,3,4," + huge):
        folder = ml_csv(b"userId,movieId,rating,timestamp\n" + line + b"\n")
        rows, [reject] = read_all(detection.detect(str(folder), DEFAULT))
        assert rows == []
        assert len(reject.reason) < 400
        assert 4000 < len(reject.text) <= 4096
        assert "(3,000,0" in reject.text


@pytest.mark.parametrize("has_column", [True, False])
def test_a_malformed_row_of_a_log_without_times(tmp_path: Path, has_column: bool) -> None:
    """Is set aside as in any other log."""
    end = ",never" if has_column else ""
    lines = [
        "user_id,movie_id,rating" + ",timestamp" * has_column,
        f"1,1,3{end}",
        f"1,2,x{end}",
        "1",
        f"2,2,4{end}",
    ]
    (tmp_path / "r.csv").write_text("\n".join([*lines, ""]))
    config = IngestSettings.model_validate({"columns": {"timestamp": None}, "split": {"method": "random"}})
    rows, rejects = read_all(detection.detect(str(tmp_path), config), config)
    assert rows == [("1", "1", 3.0, 0), ("2", "2", 4.0, 0)]
    assert [(reject.line, reject.reason) for reject in rejects] == [
        (3, "rating is 'x', expected a finite number"),
        (4, f"1 field(s), expected {3 + has_column} separated by ','"),
    ]
