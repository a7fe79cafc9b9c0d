"""Readers: the same rows out of every layout, real data, and every way in which a row can be wrong."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.example_gen import builtin, detection, files, formats
from components.example_gen.settings import IngestSettings

DEFAULT = IngestSettings()


def read_all(
    source: detection.Source, config: IngestSettings = DEFAULT, range_bytes: int = 1 << 20
) -> tuple[list[tuple[Any, ...]], list[formats.Reject]]:
    rows: list[tuple[Any, ...]] = []
    rejects: list[formats.Reject] = []
    for path in files.match(source.base, source.ratings):
        for part in formats.plan(path, formats.ratings_format(path, source.layout, config), range_bytes):
            table, bad = formats.read_ratings(part)
            assert table.schema.equals(formats.RATINGS_SCHEMA)
            rows += [tuple(row.values()) for row in table.to_pylist()]
            rejects += bad
    return rows, rejects


def read_movies(source: detection.Source, config: IngestSettings = DEFAULT) -> list[tuple[Any, ...]]:
    assert source.movies is not None
    [path] = files.match(source.base, source.movies)
    table, rejects = formats.read_movies(path, source.layout, config)
    assert table.schema.equals(formats.MOVIES_SCHEMA)
    assert not rejects
    return [tuple(row.values()) for row in table.to_pylist()]


def test_every_layout_gives_the_same_rows(any_input: Any) -> None:
    """Layout recognised; ids with leading zeros, half stars, BOM, CRLF, quotes and other columns survive."""
    config = any_input.settings
    source = detection.detect(str(any_input.folder), config)
    assert source.layout == any_input.layout
    for range_bytes in (1, 37, 1 << 20):
        assert read_all(source, config, range_bytes) == (any_input.ratings, [])
    assert read_movies(source, config) == any_input.movies


def test_movielens_100k() -> None:
    """The built-in data set: its size, one known row and one known movie."""
    source = detection.detect(builtin.movielens_100k(), DEFAULT)
    rows, rejects = read_all(source)
    assert (len(rows), len({r[0] for r in rows}), len({r[1] for r in rows}), rejects) == (
        100_000,
        943,
        1_682,
        [],
    )
    assert rows[0] == ("196", "242", 3.0, 881250949)
    movies = read_movies(source)
    assert len(movies) == 1_682
    assert movies[0] == ("1", "Toy Story", ["Animation", "Children's", "Comedy"], 1995)
    assert {g for m in movies for g in m[2]} == set(formats.ML_100K_GENRES) - {"unknown"}


def test_ml_latest_small(shared_data: Callable[[str], Path]) -> None:
    source = detection.detect(str(shared_data("ml-latest-small")), DEFAULT)
    rows, rejects = read_all(source)
    assert (source.layout, len(rows), len({r[0] for r in rows}), len({r[1] for r in rows}), rejects) == (
        ("ml-csv", 100_836, 610, 9_724, [])
    )
    assert min(r[2] for r in rows) == 0.5
    movies = read_movies(source)
    assert len(movies) == 9_742
    by_id = {m[0]: m for m in movies}
    assert by_id["11"][1:] == ("American President, The (1995)", ["Comedy", "Drama", "Romance"], 1995)
    assert all("(no genres listed)" not in m[2] for m in movies)


def test_ml_1m_half(shared_data: Callable[[str], Path]) -> None:
    source = detection.detect(str(shared_data("ml-1m-half")), DEFAULT)
    rows, rejects = read_all(source)
    assert (source.layout, len(rows), len({r[0] for r in rows}), rejects) == ("ml-dat", 487_650, 2_999, [])
    assert {m[0]: m for m in read_movies(source)}["73"][1] == "Misérables, Les (1995)"


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


def test_a_time_of_nineteen_digits_is_no_second_whatever_stands_beside_it(tmp_path: Path) -> None:
    for other in ("964982703", "964982703.0"):
        (tmp_path / "r.csv").write_text(
            f"user_id,movie_id,rating,timestamp\n1,a,3,{other}\n2,b,4,9649827030000000000\n"
        )
        rows, [reject] = read_all(detection.detect(str(tmp_path), DEFAULT))
        assert rows == [("1", "a", 3.0, 964_982_703)]
        assert "9649827030000000000" in reject.reason


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
    assert read_movies(source, config) == [("1", "Café", ["Drama"], None)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,Again,Drama", "the movie '1' is there already, at line 2"),
        (b",No id,Drama", "movieId is missing"),
        (b"2,A, comma,Drama", "4 field(s), expected 3 separated by ','"),
        (
            b"2,Caf\xe9,Drama",
            "byte 0xe9 at offset 45 is not UTF-8 (set data.encoding to what the file is in)",
        ),
    ],
)
def test_a_malformed_movie(ml_csv: Callable[..., Path], line: bytes, reason: str) -> None:
    folder = ml_csv(b"", b"movieId,title,genres\n1,One (1990),Drama\n" + line + b"\n")
    movies, [reject] = formats.read_movies(str(folder / "movies.csv"), "ml-csv", DEFAULT)
    assert movies["title"].to_pylist() == ["One (1990)"]
    assert (reject.line, reject.reason) == (3, reason)


@pytest.mark.parametrize(
    ("title", "genres", "expected"),
    [
        ('"He said ""no"" (2001)"', "War|War| Drama ", ('He said "no" (2001)', ["War", "Drama"], 2001)),
        ('The 12" single (1999) ', "", ('The 12" single (1999)', [], 1999)),
        ("Series (2006-2007)", "unknown", ("Series (2006-2007)", [], 2006)),
        ("1984", "Drama", ("1984", ["Drama"], None)),
    ],
)
def test_titles_genres_and_years(
    ml_csv: Callable[..., Path], title: str, genres: str, expected: tuple[str, list[str], int | None]
) -> None:
    folder = ml_csv(b"", f"movieId,title,genres\n1,{title},{genres}\n".encode())
    movies, rejects = formats.read_movies(str(folder / "movies.csv"), "ml-csv", DEFAULT)
    assert rejects == []
    assert tuple(movies.to_pylist()[0].values())[1:] == expected


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
    ticks = formats._TICKS[unit]
    value = seconds * ticks + data.draw(st.integers(0, ticks - 1))
    (tmp_path / "r.csv").write_text(f"user_id,movie_id,rating,timestamp\n1,1,3,{value}\n")
    config = IngestSettings.model_validate({"timestamp_unit": unit})
    rows, rejects = read_all(detection.detect(str(tmp_path), config), config)
    assert (rows, rejects) == ([("1", "1", 3.0, seconds)], [])


@pytest.mark.parametrize("layout", ["ml-100k", "ml-dat", "ml-csv", "recbole", "csv", "parquet"])
@pytest.mark.parametrize("has_column", [True, False])
def test_ratings_without_times(tmp_path: Path, layout: str, has_column: bool) -> None:
    """Every layout reads without times, whether or not it has a column for them; they are 0 then."""
    config = IngestSettings.model_validate(
        {"layout": layout, "columns": {"timestamp": None}, "split": {"method": "random"}}
    )
    separator = {"ml-100k": "\t", "ml-dat": "::", "recbole": "\t"}.get(layout, ",")
    header = {
        "ml-csv": ["userId", "movieId", "rating", "timestamp"],
        "recbole": ["user_id:token", "item_id:token", "rating:float", "timestamp:float"],
        "csv": ["user_id", "movie_id", "rating", "timestamp"],
        "parquet": ["user_id", "movie_id", "rating", "timestamp"],
    }.get(layout)
    rows = [["1", "2", "3.5", "not a time"], ["07", "2", "4", ""]]
    width = 4 if has_column else 3
    path = tmp_path / "r.parquet"
    if layout == "parquet":
        assert header
        pq.write_table(pa.table(dict(zip(header[:width], zip(*rows, strict=True), strict=False))), path)
    else:
        path = tmp_path / "r.csv"
        lines = [*([header] if header else []), *rows]
        path.write_text("".join(separator.join(line[:width]) + "\n" for line in lines))
    source = detection.Source(layout, str(tmp_path), path.name, None)
    assert read_all(source, config) == ([("1", "2", 3.5, 0), ("07", "2", 4.0, 0)], [])


def test_a_field_that_is_utf_8_is_read_as_such_and_any_other_as_the_layout_says(tmp_path: Path) -> None:
    """In ml-dat and ml-100k; an id is the same whatever stands beside it, in either file."""
    latin, utf8 = "Misérables".encode("latin-1"), "Misérables".encode()
    for layout, separator, ratings, movies in (
        ("ml-dat", b"::", "ratings.dat", "movies.dat"),
        ("ml-100k", b"\t", "u.data", "u.item"),
    ):
        folder = tmp_path / layout
        folder.mkdir()
        lines = [(utf8, b"1"), (utf8, b"\xe9"), (latin, b"1")]
        (folder / ratings).write_bytes(b"".join(separator.join([u, m, b"4", b"5\n"]) for u, m in lines))
        table = [(utf8, utf8), (b"2", latin), (b"3", "片".encode())]
        tail = [b"Drama"] if layout == "ml-dat" else [b"", b"", b"", *[b"0"] * 19]
        between = separator if layout == "ml-dat" else b"|"
        (folder / movies).write_bytes(b"".join(between.join([m, t, *tail]) + b"\n" for m, t in table))
        source = detection.detect(str(folder), DEFAULT)
        assert source.layout == layout
        rows, rejects = read_all(source)
        assert [row[:2] for row in rows] == [("Misérables", "1"), ("Misérables", "é"), ("Misérables", "1")]
        assert rejects == []
        assert [m[:2] for m in read_movies(source)] == [
            ("Misérables", "Misérables"),
            ("2", "Misérables"),
            ("3", "片"),
        ]
        forced = IngestSettings(encoding="ISO-8859-1")
        assert read_all(source, forced)[0][0][0] == "MisÃ©rables"


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


@pytest.mark.parametrize(
    ("genre", "reason"),
    [
        ("a\nb", "a genre is 'a\\nb', with a line break or another control character"),
        ("a\x1fb", "a genre is 'a\\x1fb', with a line break"),
        ("x" * 257, "a genre has 257 bytes, of which 256 are the most"),
        (b"\xff", "a genre is b'\\xff', which is not UTF-8"),
    ],
)
@pytest.mark.parametrize("as_list", [True, False])
def test_a_genre_that_no_vocabulary_keeps(
    tmp_path: Path, genre: str | bytes, reason: str, as_list: bool
) -> None:
    raw = genre if isinstance(genre, bytes) else genre.encode()
    genres = [[b"Drama"], [b"War", raw]] if as_list else [b"Drama", b"|".join([b"War", raw][as_list:])]
    column = pa.array(genres, pa.list_(pa.binary()) if as_list else pa.binary())
    if not as_list and isinstance(genre, bytes):
        column = pa.array([b"Drama", raw], pa.binary())
    pq.write_table(
        pa.table({"movie_id": [1, 2], "title": ["a", "b"], "genres": column}), tmp_path / "m.parquet"
    )
    movies, [reject] = formats.read_movies(str(tmp_path / "m.parquet"), "parquet", DEFAULT)
    assert movies["genres"].to_pylist() == [["Drama"]]
    assert (reject.line, reject.text) == (2, "2,b")
    assert reason in reject.reason


def test_genres_may_be_numbers_and_titles_are_on_one_line(tmp_path: Path) -> None:
    table = pa.table(
        {
            "movie_id": [1, 2],
            "title": ["One\r\nof \x1f two\u2028 (1990)", None],
            "genres": pa.array([[3, None, 5], None], pa.list_(pa.int64())),
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    movies, rejects = formats.read_movies(str(tmp_path / "m.parquet"), "parquet", DEFAULT)
    assert rejects == []
    assert [list(m.values())[1:] for m in movies.to_pylist()] == [
        ["One of   two  (1990)", ["3", "5"], 1990],
        ["", [], None],
    ]


def test_a_title_of_a_line_with_a_carriage_return(ml_csv: Callable[..., Path]) -> None:
    folder = ml_csv(b"", b'movieId,title,genres\n1,"One\rtwo",Drama\n')
    movies, rejects = formats.read_movies(str(folder / "movies.csv"), "ml-csv", DEFAULT)
    assert (movies["title"].to_pylist(), rejects) == (["One two"], [])


def test_a_title_that_is_not_utf_8(tmp_path: Path) -> None:
    table = pa.table({"movie_id": [1, 2], "title": pa.array([b"a", b"\xff"]), "genres": ["x", "y"]})
    pq.write_table(table, tmp_path / "m.parquet")
    movies, [reject] = formats.read_movies(str(tmp_path / "m.parquet"), "parquet", DEFAULT)
    assert movies["movie_id"].to_pylist() == ["1"]
    assert (reject.line, reject.reason) == (2, "title is not UTF-8")


def test_optional_movie_columns(tmp_path: Path) -> None:
    """A movies table without titles and genres, and ratings without a movies table."""
    (tmp_path / "ratings.csv").write_text("user_id,movie_id,rating,timestamp\n1,1,1,1\n")
    assert detection.detect(str(tmp_path), DEFAULT).movies is None
    (tmp_path / "movies.csv").write_text("movie_id\n007\n")
    config = IngestSettings.model_validate({"movie_columns": {"title": None, "genres": None}})
    assert read_movies(detection.detect(str(tmp_path), config), config) == [("007", "", [], None)]
