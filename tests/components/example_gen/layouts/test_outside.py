"""A layout from outside the package, by the dotted path of its module."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.example_gen import component, detection, layouts
from components.example_gen.settings import IngestSettings
from components.shared.errors import ConfigError, DataError
from tests.components.example_gen.reading import all_movies, read_all

WATCHED = "tests.components.example_gen.layouts.watched"
CONFIG = IngestSettings(layout=WATCHED)
RATINGS = [("anna", str(m), 0.5 * m, 1000 + m) for m in range(1, 11)] + [("bert", "1", 4.0, 50)]
MOVIES = [("1", "Night Bus (1995)", ["Drama", "Road Movie"], 1995), ("2", "Dunes", [], None)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log with its films."""
    folder = tmp_path / "in"
    folder.mkdir()
    lines = [f"{time}|{stars}|{movie}|{user}|tv\n" for user, movie, stars, time in RATINGS]
    (folder / "watched-2024.log").write_text("".join(lines))
    films = [f"{movie}|{title}|{', '.join(genres)}\n" for movie, title, genres, _ in MOVIES]
    (folder / "films.log").write_text("".join(films))
    return folder


def test_it_is_found_and_read(folder: Path) -> None:
    for path in (folder, folder / "watched-2024.log"):
        source = detection.detect(str(path), CONFIG)
        assert source == detection.Source(WATCHED, str(folder), "watched-2024.log", "films.log")
        assert read_all(source, CONFIG) == (RATINGS, [])
        assert read_all(source, CONFIG, range_bytes=5) == (RATINGS, [])
        assert all_movies(source, CONFIG) == MOVIES


def test_it_is_ingested(folder: Path, ingest: Callable[..., Any]) -> None:
    out = ingest(folder, CONFIG)
    genres = {movie: genres for movie, _, genres, _ in MOVIES}
    rows = [row for split in out.splits.values() for row in split]
    assert sorted(rows) == sorted((*row, genres.get(row[1], [])) for row in RATINGS)
    assert out.counts["num_ratings_without_movie"] == 8
    assert out.movies[0] == {
        "movie_id": "1",
        "title": "Night Bus (1995)",
        "genres": ["Drama", "Road Movie"],
        "year": 1995,
    }


def test_its_own_words_are_in_the_messages(folder: Path) -> None:
    (folder / "films.log").unlink()
    with pytest.raises(DataError, match=r"There is no file films\.log") as caught:
        detection.detect(str(folder), CONFIG)
    assert caught.value.expected == (
        "for the layout watched: watched.log (time|stars|film|viewer|device) and films.log (film|title|genres)"
    )
    (folder / "watched-2024.log").write_text("1,2,3,4,tv\n")
    (folder / "films.log").write_text("1|One|Drama\n")
    with pytest.raises(DataError, match="The separator is not the layout's") as caught:
        detection.detect(str(folder), CONFIG)
    assert caught.value.expected == "5 fields separated by '|' (watched)"


def test_auto_does_not_try_it(folder: Path) -> None:
    with pytest.raises(DataError, match="No layout of ratings is recognised"):
        detection.detect(str(folder), IngestSettings())


def test_without_times(folder: Path) -> None:
    """Whether or not the log has them, where they stand in the line."""
    config = IngestSettings.model_validate(
        {"layout": WATCHED, "columns": {"timestamp": None}, "split": {"method": "random"}}
    )
    for line in ("5|3|1|anna|tv\n", "3|1|anna|tv\n"):
        (folder / "watched-2024.log").write_text(line)
        assert read_all(detection.detect(str(folder), config), config) == ([("anna", "1", 3.0, 0)], [])


HEAD = (
    "from components.example_gen.layouts.base import Layout\n"
    "from components.example_gen.layouts.tables import Lines\n"
)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a module into a package on the path; gives its dotted path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    package = f"mine_{uuid.uuid4().hex}"
    (tmp_path / package).mkdir()

    def write(text: str) -> str:
        (tmp_path / package / "my_layout.py").write_text(text)
        importlib.invalidate_caches()
        return f"{package}.my_layout"

    return write


@pytest.mark.parametrize(
    ("text", "problem", "found", "fix"),
    [
        ("x = 1\n", "has no layout", "no LAYOUT", "set LAYOUT = Layout(...) in "),
        ("LAYOUT = 'mine'\n", "has no layout", "a LAYOUT of the type str", "set LAYOUT = Layout(...) in "),
        ("x = \n", "cannot be imported", "SyntaxError: invalid syntax", "correct the module"),
        ("import no_such_module\n", "cannot be imported", "No module named 'no_such_module'", "PYTHONPATH"),
        (
            HEAD + "LAYOUT = Layout(name='mine', needs='', ratings_files=('a',), "
            "ratings=Lines(('user_id', 'rating'), '|'))\n",
            "cannot be imported",
            "ValueError: the layout mine has no field movie_id",
            "correct the module",
        ),
        (
            HEAD + "LAYOUT = Layout(name='mine', needs='', ratings_files=('a',), needs_movies=True, "
            "ratings=Lines(('user_id', 'movie_id', 'rating'), '|'))\n",
            "cannot be imported",
            "ValueError: the layout mine needs movies",
            "correct the module",
        ),
    ],
)
def test_a_module_without_a_good_layout_is_refused(
    outside: Callable[..., str], folder: Path, text: str, problem: str, found: str, fix: str
) -> None:
    """It says what the module is to have, and what there is."""
    path = outside(text)
    with pytest.raises(ConfigError) as caught:
        detection.detect(str(folder), IngestSettings(layout=path))
    error = caught.value
    assert problem in error.problem
    assert path in error.problem
    assert error.where == "key data.layout"
    assert found in str(error.found)
    assert error.expected == "a module with an object LAYOUT of components.example_gen.layouts.base.Layout"
    assert fix in str(error.fix)


def test_a_module_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"The layout no_such\.layout cannot be imported") as caught:
        detection.detect(str(folder), IngestSettings(layout="no_such.layout"))
    assert caught.value.found == "ModuleNotFoundError: No module named 'no_such'"
    assert "PYTHONPATH" in str(caught.value.fix)


def test_a_log_without_times_says_so(outside: Callable[..., str], folder: Path) -> None:
    """Unless the settings say that there are none."""
    path = outside(
        HEAD + "LAYOUT = Layout(name='timeless', needs='r.log', ratings_files=('r.log',), "
        "ratings=Lines(('user_id', 'movie_id', 'rating'), '|'))\n"
    )
    (folder / "r.log").write_text("1|2|3\n")
    with pytest.raises(DataError, match="ratings of the layout timeless have no times") as caught:
        detection.detect(str(folder), IngestSettings(layout=path))
    assert "set data.columns.timestamp to null" in str(caught.value.fix)
    config = IngestSettings.model_validate(
        {"layout": path, "columns": {"timestamp": None}, "split": {"method": "random"}}
    )
    assert read_all(detection.detect(str(folder), config), config) == ([("1", "2", 3.0, 0)], [])


def test_its_file_is_in_the_fingerprint(outside: Callable[..., str], folder: Path) -> None:
    """A cached run is not one of another layout."""

    def code(source: detection.Source) -> str:
        return str(component.RatingsExampleGen(source, IngestSettings()).exec_properties["code"])

    source = detection.Source("csv", str(folder), "watched-2024.log", None)
    built_in = code(source)
    assert layouts.outside_fingerprint("csv") == ""
    text = Path(importlib.import_module(WATCHED).__file__ or "").read_text()
    first = outside(text)
    found = code(detection.Source(first, str(folder), "watched-2024.log", None))
    assert found.startswith(built_in)
    assert found != built_in
    outside(text + "# changed\n")
    assert code(detection.Source(first, str(folder), "watched-2024.log", None)) != found
