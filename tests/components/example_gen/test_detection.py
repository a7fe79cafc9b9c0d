"""Detection: a folder or a file, and every way in which names and headers can be wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.errors import DataError
from components.example_gen import detection
from components.example_gen.settings import IngestSettings

DEFAULT = IngestSettings()
GOOD = "user_id,movie_id,rating,timestamp\n1,1,1,1\n"


def test_the_path_may_be_the_ratings_file(any_input: Any) -> None:
    folder = detection.detect(str(any_input.folder), any_input.settings)
    file = any_input.folder / folder.ratings
    assert detection.detect(str(file), any_input.settings) == folder


@pytest.mark.parametrize(
    ("files", "config", "parts"),
    [
        ({}, {}, ["No layout", "an empty folder", "ml-100k  u.data and u.item", "set data.layout"]),
        ({"a.txt": "x"}, {}, ["No layout", "found:    a.txt"]),
        ({"a.csv": GOOD, "b.csv": GOOD}, {}, ["more than one file", "a.csv (csv), b.csv (csv)"]),
        (
            {"u.data": "1\t1\t1\t1\n", "ratings.dat": "1::1::1::1\n"},
            {},
            ["more than one", "ratings.dat (ml-dat)"],
        ),
        (
            {"u.data": "1\t1\t1\t1\n"},
            {},
            ["There is no file u.item.", "found:    u.data", "u.data and u.item"],
        ),
        (
            {"u.data": "1\t1\t1\t1\n"},
            {"layout": "ml-dat"},
            ["ratings of the layout ml-dat are missing", "u.data"],
        ),
        ({"r.csv": GOOD}, {"ratings_file": "q.csv"}, ["There is no file q.csv.", "data.ratings_file"]),
        ({"r.csv": GOOD}, {"movies_file": "m.csv"}, ["There is no file m.csv."]),
        ({"r.csv": ""}, {}, ["The file is empty.", "r.csv"]),
        ({"r.csv": " \n\n"}, {}, ["The file is empty.", "r.csv"]),
        ({"r.csv": "\ufeff"}, {}, ["The file is empty.", "r.csv"]),
        ({"r.csv": GOOD.split("\n")[0] + "\n\n"}, {}, ["a header and no rows", "r.csv"]),
        (
            {"r.csv": GOOD.replace("movie_id", "movieid")},
            {},
            [
                "The column 'movie_id' is missing, did you mean 'movieid'?",
                "'timestamp'",
                "data.columns.movie_id",
            ],
        ),
        (
            {
                "ratings.csv": "userId,movieId,rating,time\n1,1,1,1\n",
                "movies.csv": "movieId,title,genres\n1,a,b\n",
            },
            {},
            [
                "The column 'timestamp' is missing, did you mean 'time'?",
                "'userId', 'movieId', 'rating', 'time'",
            ],
        ),
        ({"r.csv": GOOD}, {"columns": {"rating": "stars"}}, ["The column 'stars' is missing", "'rating'"]),
        ({"r.csv": GOOD.replace("timestamp", "rating")}, {}, ["The column 'rating' is there twice."]),
        (
            {"r.csv": GOOD.replace(",", ";")},
            {},
            ["The separator is not the one in the header.", "r.csv:1", "set data.delimiter to ';'"],
        ),
        (
            {"ratings.dat": "1\t1\t1\t1\n", "movies.dat": "1::a::b\n"},
            {},
            ["The separator is not the layout's.", "ratings.dat:1", "'\\t' gives 4", "separated by '::'"],
        ),
        (
            {"u.data": "1\t1\t1\n", "u.item": "x"},
            {},
            ["wrong number of fields", "u.data:1", "3 field(s)", "4 fields separated by '\\t'"],
        ),
        (
            {"a.inter": "user_id:token,item_id:token,rating:float,timestamp:float\n1,1,1,1\n"},
            {},
            ["The separator is not the one in the header.", "a.inter:1"],
        ),
        (
            {"a.inter": "user_id:token\titem_id:token\trating:float\n1\t1\t1\n"},
            {},
            ["The column 'timestamp' is missing", "'user_id', 'item_id', 'rating'"],
        ),
        (
            {"r.csv": GOOD, "movies.csv": "movie_id,name,genres\n1,a,b\n"},
            {},
            ["The column 'title' is missing", "'name'", "data.movie_columns.title"],
        ),
        ({"r.parquet": "not parquet"}, {}, ["is not Parquet", "r.parquet"]),
        ({"r.parquet": ""}, {}, ["The file is empty.", "r.parquet"]),
    ],
)
def test_an_input_that_cannot_be_used(
    tmp_path: Path, files: dict[str, str], config: dict[str, Any], parts: list[str]
) -> None:
    """Found by names and headers alone, before anything runs; the message says what, where and what to do."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        detection.detect(str(tmp_path), IngestSettings.model_validate(config))
    message = str(caught.value)
    assert str(tmp_path) in message
    for part in parts:
        assert part in message


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "no"))):
        detection.detect(str(tmp_path / "no"), DEFAULT)


def test_a_folder_too_high(tmp_path: Path) -> None:
    (tmp_path / "ml-x").mkdir()
    (tmp_path / "ml-x" / "u.data").write_text("1\t1\t1\t1\n")
    with pytest.raises(DataError, match=f"set data.path to {re.escape(str(tmp_path / 'ml-x'))}"):
        detection.detect(str(tmp_path), DEFAULT)


def test_a_span_in_one_pattern_only(tmp_path: Path) -> None:
    """TFX resolves the patterns of ratings and movies together."""
    (tmp_path / "r-1.csv").write_text(GOOD)
    (tmp_path / "movies.csv").write_text("movie_id,title,genres\n1,a,b\n")
    with pytest.raises(DataError, match="do not have the same span"):
        detection.detect(str(tmp_path), IngestSettings(ratings_file="r-{SPAN}.csv"))


def test_utf_16_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(GOOD, encoding="utf-16")
    with pytest.raises(DataError, match="UTF-16"):
        detection.detect(str(tmp_path), DEFAULT)


@pytest.mark.parametrize(
    ("column", "message"),
    [("rating", "The column 'rating' is missing"), ("user_id", "holds no single values")],
)
def test_parquet_columns(tmp_path: Path, column: str, message: str) -> None:
    columns: dict[str, Any] = {"user_id": [1], "movie_id": [1], "rating": [1], "timestamp": [1]}
    columns["user_id"] = [[1]] if column == "user_id" else [1]
    pq.write_table(
        pa.table({k: v for k, v in columns.items() if k != column or k == "user_id"}), tmp_path / "r.parquet"
    )
    with pytest.raises(DataError, match=message):
        detection.detect(str(tmp_path), DEFAULT)
