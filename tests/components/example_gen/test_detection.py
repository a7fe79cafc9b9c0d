"""Detection: a folder or a file, and every way in which names and headers can be wrong."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen import detection, files
from components.example_gen.settings import IngestSettings
from components.shared.errors import DataError

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
            [
                "wrong number of fields",
                "u.data:1",
                "3 field(s)",
                "4 fields separated by '\\t'",
                "set data.columns.timestamp to null and data.split.method to random",
            ],
        ),
        (
            {"a.inter": "user_id:token,item_id:token,rating:float,timestamp:float\n1,1,1,1\n"},
            {},
            ["The separator is not the one in the header.", "a.inter:1"],
        ),
        (
            {"a.inter": "user_id:token\titem_id:token\trating:float\n1\t1\t1\n"},
            {},
            [
                "The column 'timestamp' is missing",
                "'user_id', 'item_id', 'rating'",
                "set data.columns.timestamp to null and data.split.method to random",
            ],
        ),
        ({"r.csv": GOOD.replace("\n", "\r")}, {}, ["The lines end in a carriage return alone.", "r.csv"]),
        ({"r.csv": GOOD.replace("\n", "\r") + "\n1,2,3,4\n"}, {}, ["carriage return alone", "r.csv"]),
        (
            {"u.data": "1\t1\t1\t1\r2\t1\t1\t1\r", "u.item": "x"},
            {},
            ["The lines end in a carriage return alone.", "u.data"],
        ),
        (
            {"ratings.csv": GOOD.replace("\n", "\r").replace("user_id", "userId"), "movies.csv": "x"},
            {},
            ["The lines end in a carriage return alone.", "ratings.csv"],
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


def test_movielens_without_times_is_recognised_as_such(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating\n1,1,1\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,a,b\n")
    config = IngestSettings.model_validate({"columns": {"timestamp": None}, "split": {"method": "random"}})
    assert detection.detect(str(tmp_path), config).layout == "ml-csv"


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize(("make", "kind"), [(os.mkfifo, "a named pipe"), (_socket, "a socket")])
@pytest.mark.parametrize("name", ["ratings.csv", "ratings.parquet", "movies.csv"])
def test_what_is_no_regular_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], None], kind: str, name: str
) -> None:
    """As the file itself, in a folder, and as a match of a pattern."""
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    if name == "movies.csv":
        Path("ratings.csv").write_text(GOOD)
    make(Path(name))
    cases = [(str(tmp_path), {}), (str(tmp_path), {"ratings_file": "r*"}), (str(tmp_path / name), {})]
    for path, config in cases[: 2 if name == "movies.csv" else 3]:
        with pytest.raises(DataError, match="not a regular file") as caught:
            detection.detect(path, IngestSettings.model_validate(config))
        assert caught.value.found == kind
        assert caught.value.where == str(tmp_path / name)


def test_a_device_is_no_regular_file() -> None:
    with pytest.raises(DataError, match="not a regular file"):
        detection.detect("/dev/zero", DEFAULT)


@pytest.mark.parametrize(
    ("denied", "path", "config", "message"),
    [
        ("in", "in", {}, "The folder cannot be read: Permission denied."),
        ("in", "in/ratings.csv", {}, "The input path cannot be read: Permission denied."),
        ("in/ratings.csv", "in", {}, "The file cannot be read: Permission denied."),
        ("in/ratings.csv", "in/ratings.csv", {}, "The file cannot be read: Permission denied."),
        ("in/movies.csv", "in", {}, "The file cannot be read: Permission denied."),
        ("in/part-2", "in", {"ratings_file": "part-*/r.csv", "layout": "csv"}, "The folder cannot be read"),
        ("in/part-2", "in", {"ratings_file": "part-2/r.csv", "layout": "csv"}, "The folder cannot be read"),
    ],
)
def test_what_may_not_be_read_is_told(
    tmp_path: Path, denied: str, path: str, config: dict[str, Any], message: str
) -> None:
    """By a process that is not root's, which may read all."""
    folder = tmp_path / "in"
    for part in ("part-1", "part-2"):
        (folder / part).mkdir(parents=True)
        (folder / part / "r.csv").write_text(GOOD)
    (folder / "ratings.csv").write_text(GOOD)
    (folder / "movies.csv").write_text("movie_id,title,genres\n1,a,b\n")
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_mode & 0o011 != 0o011:
            parent.chmod(parent.stat().st_mode | 0o011)
    (tmp_path / denied).chmod(0)
    code = (
        "import json, os, sys\n"
        "from components.shared.errors import DataError\n"
        "from components.example_gen import detection\n"
        "from components.example_gen.settings import IngestSettings\n"
        "if os.geteuid() == 0:\n"
        "    os.setegid(65534), os.seteuid(65534)\n"
        "try:\n"
        "    detection.detect(sys.argv[1], IngestSettings.model_validate_json(sys.argv[2]))\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )
    values = IngestSettings.model_validate(config).model_dump_json()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / path), values],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (tmp_path / denied).chmod(0o755)
    assert done.stderr == ""
    assert message in done.stdout
    assert f"where:    {tmp_path / denied}\n" in done.stdout or path == "in/ratings.csv"
    assert "right to read it" in done.stdout


def test_a_private_folder_beside_the_data_is_none_of_ours(tmp_path: Path) -> None:
    """Nothing looks into it, though a message may look for a folder to propose."""
    (tmp_path / "private").mkdir(mode=0)
    with pytest.raises(DataError, match="No layout of ratings is recognised"):
        detection.detect(str(tmp_path), DEFAULT)


def test_a_path_of_any_length_or_content(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="File name too long") as caught:
        detection.detect(f"{tmp_path}/{'x' * 5000}", DEFAULT)
    assert len(str(caught.value)) < 1000
    assert caught.value.fix == "correct data.path"
    with pytest.raises(DataError, match="null byte"):
        detection.detect(f"{tmp_path}/a\0b", DEFAULT)


def test_a_path_with_the_characters_of_a_pattern(tmp_path: Path) -> None:
    for name in ("x[a-z]", "x[a", "a*?"):
        folder = tmp_path / name / "[0-9]"
        folder.mkdir(parents=True)
        (folder / "ratings[1].csv").write_text(GOOD)
        for path in (folder, folder / "ratings[1].csv"):
            source = detection.detect(str(path), DEFAULT)
            assert (source.base, source.layout) == (str(folder), "csv")
            assert files.match(source.base, source.ratings) == [str(folder / "ratings[1].csv")]


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
