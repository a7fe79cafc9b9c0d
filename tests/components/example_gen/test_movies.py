"""The movies table: titles, genres and years, and every way in which a row can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen import detection
from components.example_gen.movies import read_movies
from components.example_gen.settings import IngestSettings
from tests.components.example_gen.reading import DEFAULT, all_movies


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
    movies, [reject] = read_movies(str(folder / "movies.csv"), "ml-csv", DEFAULT)
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
    movies, rejects = read_movies(str(folder / "movies.csv"), "ml-csv", DEFAULT)
    assert rejects == []
    assert tuple(movies.to_pylist()[0].values())[1:] == expected


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
    movies, [reject] = read_movies(str(tmp_path / "m.parquet"), "parquet", DEFAULT)
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
    movies, rejects = read_movies(str(tmp_path / "m.parquet"), "parquet", DEFAULT)
    assert rejects == []
    assert [list(m.values())[1:] for m in movies.to_pylist()] == [
        ["One of   two  (1990)", ["3", "5"], 1990],
        ["", [], None],
    ]


def test_a_title_of_a_line_with_a_carriage_return(ml_csv: Callable[..., Path]) -> None:
    folder = ml_csv(b"", b'movieId,title,genres\n1,"One\rtwo",Drama\n')
    movies, rejects = read_movies(str(folder / "movies.csv"), "ml-csv", DEFAULT)
    assert (movies["title"].to_pylist(), rejects) == (["One two"], [])


def test_a_title_that_is_not_utf_8(tmp_path: Path) -> None:
    table = pa.table({"movie_id": [1, 2], "title": pa.array([b"a", b"\xff"]), "genres": ["x", "y"]})
    pq.write_table(table, tmp_path / "m.parquet")
    movies, [reject] = read_movies(str(tmp_path / "m.parquet"), "parquet", DEFAULT)
    assert movies["movie_id"].to_pylist() == ["1"]
    assert (reject.line, reject.reason) == (2, "title is not UTF-8")


def test_optional_movie_columns(tmp_path: Path) -> None:
    """A movies table without titles and genres, and ratings without a movies table."""
    (tmp_path / "ratings.csv").write_text("user_id,movie_id,rating,timestamp\n1,1,1,1\n")
    assert detection.detect(str(tmp_path), DEFAULT).movies is None
    (tmp_path / "movies.csv").write_text("movie_id\n007\n")
    config = IngestSettings.model_validate({"movie_columns": {"title": None, "genres": None}})
    assert all_movies(detection.detect(str(tmp_path), config), config) == [("007", "", [], None)]
