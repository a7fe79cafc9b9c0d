"""Layouts: the same rows out of each, real data, and one from outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen import builtin, detection, layouts
from components.example_gen.layouts.ml_100k import GENRES
from components.example_gen.settings import IngestSettings
from components.shared.errors import DataError
from tests.components.example_gen.reading import DEFAULT, all_movies, read_all


def test_every_layout_gives_the_same_rows(any_input: Any) -> None:
    """Layout recognised; ids with leading zeros, half stars, BOM, CRLF, quotes and other columns survive."""
    config = any_input.settings
    source = detection.detect(str(any_input.folder), config)
    assert source.layout == any_input.layout
    for range_bytes in (1, 37, 1 << 20):
        assert read_all(source, config, range_bytes) == (any_input.ratings, [])
    assert all_movies(source, config) == any_input.movies


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
    movies = all_movies(source)
    assert len(movies) == 1_682
    assert movies[0] == ("1", "Toy Story", ["Animation", "Children's", "Comedy"], 1995)
    assert {g for m in movies for g in m[2]} == set(GENRES) - {"unknown"}


def test_ml_latest_small(shared_data: Callable[[str], Path]) -> None:
    source = detection.detect(str(shared_data("ml-latest-small")), DEFAULT)
    rows, rejects = read_all(source)
    assert (source.layout, len(rows), len({r[0] for r in rows}), len({r[1] for r in rows}), rejects) == (
        ("ml-csv", 100_836, 610, 9_724, [])
    )
    assert min(r[2] for r in rows) == 0.5
    movies = all_movies(source)
    assert len(movies) == 9_742
    by_id = {m[0]: m for m in movies}
    assert by_id["11"][1:] == ("American President, The (1995)", ["Comedy", "Drama", "Romance"], 1995)
    assert all("(no genres listed)" not in m[2] for m in movies)


def test_ml_1m_half(shared_data: Callable[[str], Path]) -> None:
    source = detection.detect(str(shared_data("ml-1m-half")), DEFAULT)
    rows, rejects = read_all(source)
    assert (source.layout, len(rows), len({r[0] for r in rows}), rejects) == ("ml-dat", 487_650, 2_999, [])
    assert {m[0]: m for m in all_movies(source)}["73"][1] == "Misérables, Les (1995)"


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
        assert [m[:2] for m in all_movies(source)] == [
            ("Misérables", "Misérables"),
            ("2", "Misérables"),
            ("3", "片"),
        ]
        forced = IngestSettings(encoding="ISO-8859-1")
        assert read_all(source, forced)[0][0][0] == "MisÃ©rables"


def test_the_registry_names_each_layout() -> None:
    """And every module beside it that has one."""
    assert [layout.name for layout in layouts.built_in()] == list(layouts.BUILT_IN)
    modules = {path.stem for path in Path(layouts.__file__).parent.glob("*.py")}
    assert modules - {"__init__", "base", "tables"} == {name.replace("-", "_") for name in layouts.BUILT_IN}


@pytest.mark.parametrize(
    ("name", "header", "hint"),
    [
        ("ml-csv", "userId,movieId,timestamp", " (with data.layout: csv)"),
        ("csv", "user_id,movie_id,timestamp", ""),
        ("recbole", "user_id\titem_id\ttimestamp", ""),
    ],
)
def test_a_column_that_is_missing_is_named_in_a_layout_that_heeds_names(
    tmp_path: Path, name: str, header: str, hint: str
) -> None:
    """As only the columns of MovieLens' CSV are fixed."""
    (tmp_path / "r").write_text(f"{header}\n1,1,1\n")
    with pytest.raises(DataError, match="The column 'rating' is missing") as caught:
        layouts.find(name).ratings_format(str(tmp_path / "r"), DEFAULT)
    assert caught.value.fix == f"name the column in data.columns.rating{hint}"
