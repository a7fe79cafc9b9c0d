"""What is refused once the workers have read all: malformed rows, repeats and empty splits."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from components.example_gen import executor
from tests.components.example_gen.logs import HEADER, Ingest, ingest_settings, many, refuse


def test_too_many_malformed_rows(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """Where the first few are, how many there are, and how to allow them."""
    lines = many().split(b"\n")
    for i in range(10, 17):
        lines[i] = b"u1,2,x,5"
    folder = ml_csv(b"\n".join(lines))
    file = folder / "ratings.csv"
    message = refuse(ingest, folder, ingest_settings(max_malformed_rate=0.01))
    assert "7 of 480 rows of the ratings cannot be used, and data.max_malformed_rate allows 0.01." in message
    assert f"where:    {file}:11" in message
    for line in range(11, 16):
        assert f"{file}:{line}: rating is 'x', expected a finite number" in message
    assert f"{file}:16" not in message
    assert "and 2 more" in message
    assert "set data.max_malformed_rate to 0.0146 or more" in message
    ingest(folder, ingest_settings(max_malformed_rate=0.0146), "allowed")


def test_nothing_but_malformed_rows(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    message = refuse(ingest, ml_csv(HEADER + b"1,1,x,1\n"))
    assert "1 of 1 rows" in message
    assert "data.layout" in message


def test_a_malformed_movie_is_refused_before_the_ratings_are_read(
    ml_csv: Callable[..., Path], ingest: Ingest
) -> None:
    message = refuse(ingest, ml_csv(many(), b"movieId,title,genres\n1,a,b\n1,c,d\n"))
    assert "1 of 2 rows of the movies" in message
    assert "movies.csv:3: the movie '1' is there already, at line 2" in message


@pytest.mark.parametrize("range_bytes", [300, 1 << 20])
def test_duplicates_as_an_error(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch, range_bytes: int
) -> None:
    """Both places are named, also when they are in different ranges."""
    monkeypatch.setattr(executor, "_RANGE_BYTES", range_bytes)
    folder = ml_csv(many() + b"\nu5,0,1,1\n")
    message = refuse(ingest, folder, ingest_settings(duplicates="error"))
    file = folder / "ratings.csv"
    assert "1 rating(s) repeat the user and movie of another." in message
    assert f"user 'u5', movie '0': {file}:7 and {file}:483" in message
    assert "data.duplicates" in message


@pytest.mark.parametrize(
    ("method", "users", "movies", "found"),
    [
        ("user_time", 1, 1, "1 ratings of 1 users, by user_time into 1 train, 0 eval, 0 test"),
        ("leave_last_out", 3, 2, "6 ratings of 3 users, by leave_last_out into 6 train, 0 eval, 0 test"),
        ("user_hash", 1, 9, "9 ratings of 1 users, by user_hash into"),
        ("time", 2, 1, "2 ratings of 2 users, by time into"),
    ],
)
def test_too_few_ratings_for_the_splits(
    ml_csv: Callable[..., Path], ingest: Ingest, method: str, users: int, movies: int, found: str
) -> None:
    message = refuse(ingest, ml_csv(many(users, movies)), ingest_settings(split={"method": method}))
    assert "A split would be empty" in message
    assert found in message


def test_a_split_that_is_empty_for_repeats_says_how_many_were_left_out(
    ml_csv: Callable[..., Path], ingest: Ingest
) -> None:
    """As of a log whose column of movies holds one value."""
    rows = b"".join(b"u%d,1,3,%d\n" % (i % 10, 1000 + i) for i in range(100))
    message = refuse(ingest, ml_csv(HEADER + rows))
    assert (
        "10 ratings of 10 users, 90 that repeat a user and movie left out, by user_time into 10 train"
        in message
    )


def test_allowed_malformed_rows_are_set_aside(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In rejects.csv with file, line, reason and text, in order, and counted; those of the movies table too."""
    lines = many().split(b"\n")
    lines[100], lines[300] = b'u1,2,"a,b",5', b"u1,2"
    folder = ml_csv(
        b"\n".join(lines), b"movieId,title,genres\n" + b"".join(b"%d,x,y\n" % m for m in range(120)) + b"7\n"
    )
    monkeypatch.setattr(executor, "_RANGE_BYTES", 1000)
    out = ingest(folder, ingest_settings(max_malformed_rate=0.01))
    assert out.counts["num_rejected"] == 3
    assert out.counts["num_rows"] == 478
    rows = list(csv.reader(io.StringIO(out.files["examples/rejects.csv"].decode())))
    assert rows == [
        ["file", "line", "reason", "text"],
        [str(folder / "movies.csv"), "122", "1 field(s), expected 3 separated by ','", "7"],
        [str(folder / "ratings.csv"), "101", "rating is 'a,b', expected a finite number", 'u1,2,"a,b",5'],
        [str(folder / "ratings.csv"), "301", "2 field(s), expected 4 separated by ','", "u1,2"],
    ]


def test_no_rejects_file_without_rejects(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    assert "examples/rejects.csv" not in ingest(ml_csv(many()), ingest_settings(max_malformed_rate=0.5)).files
