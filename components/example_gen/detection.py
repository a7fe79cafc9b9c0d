"""Which layout an input is in, and which files it is made of; by names and headers alone."""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH100, PTH118, PTH119, PTH120, PTH122

from __future__ import annotations

import dataclasses
import glob
import os

from components.example_gen import files, layouts
from components.example_gen.layouts.base import Layout
from components.example_gen.readers import parquet
from components.example_gen.rows import MOVIES, RATINGS
from components.example_gen.settings import IngestSettings
from components.example_gen.spans import Span, filled, window
from components.shared.errors import DataError

_HEAD_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Source:
    """What `detect` found: files as glob patterns relative to a folder, which is what TFX's driver wants."""

    layout: str
    base: str
    ratings: str
    movies: str | None
    spans: tuple[Span, ...] = ()
    told: tuple[str, ...] = ()  # of spans, by their policies

    @property
    def inputs(self) -> list[tuple[str, str]]:
        """What TFX's driver is given, name and pattern: the ratings of each span, so that it tells them apart."""
        ratings = [(f"{RATINGS}-{span.name}", span.pattern) for span in self.spans]
        movies = [(MOVIES, self.movies)] if self.movies is not None else []
        return (ratings or [(RATINGS, self.ratings)]) + movies


def detect(path: str, settings: IngestSettings) -> Source:
    """Finds the layout and the files, and checks that they can be read, by names and headers alone.

    Args:
        path: A folder, or the ratings file itself.
        settings: What the configuration says of the input.

    Returns:
        The source for `RatingsExampleGen`.

    Raises:
        DataError: The path or a file or column is missing, may not be read or is no regular file, the layout is
            not clear, the separator is wrong, or a file has no rows.
        ConfigError: As `layouts.find`.
    """
    path = os.fspath(path)
    is_folder = files.is_folder(path)
    if "://" not in path:
        path = os.path.abspath(path)
    if is_folder:
        base, ratings = path, settings.ratings_file
    else:
        files.open_file(path).close()
        base, ratings = os.path.split(path)
        ratings = glob.escape(ratings)
        if settings.ratings_file is not None:
            raise DataError(
                "data.path is a file, so data.ratings_file has no meaning.",
                where=path,
                fix="make data.path the folder, or drop data.ratings_file",
            )
    layout, ratings = _ratings(base, ratings, settings)
    # The name of one from outside is its path.
    name = layout.name if settings.layout == "auto" else settings.layout
    source = Source(name, base, ratings, _movies(base, layout, ratings, settings))
    if settings.spans:
        return _of_window(source, layout, settings)
    if source.movies is not None and files.specs(source.ratings) != files.specs(source.movies):
        raise DataError(
            "The patterns of the ratings and of the movies do not have the same span.",
            found=f"{source.ratings} and {source.movies}",
            expected="the same of {SPAN}, {VERSION}, {YYYY}, {MM}, {DD} in both, as TFX resolves them together",
            fix="correct data.ratings_file and data.movies_file",
        )
    for file in _matches(base, source.ratings, layout):
        layout.ratings_format(file, settings)
    if source.movies is not None:
        tables = _matches(base, source.movies, layout)
        if not files.specs(source.movies):
            files.sole_file(tables)
        for file in tables:
            layout.movies_format(file, settings)
    return source


def _of_window(source: Source, layout: Layout, settings: IngestSettings) -> Source:
    assert settings.spans

    def is_empty(path: str) -> bool:
        with files.open_file(path) as file:
            head = file.read(_HEAD_BYTES)
        if head.startswith(b"PAR1"):
            return not parquet.read_schema(path)[1]
        # Rows are there where more than a header is, or where that is no header.
        lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
        if len(lines) > 1 or not lines:
            return not lines
        try:
            layout.ratings_format(path, settings)
        except DataError:
            return True
        return False

    spans, told = window(source.base, source.ratings, settings.spans, is_empty)
    for span in spans:
        for file in files.match(source.base, span.pattern):
            layout.ratings_format(file, settings)
    movies = source.movies
    if movies is not None:
        # Of tables that are there for each span, the newest.
        of_spans = (
            [filled(movies, span.tokens) for span in reversed(spans)] if files.specs(movies) else [movies]
        )
        movies = next((one for one in of_spans if files.match(source.base, one)), of_spans[0])
        tables = _matches(source.base, movies, layout)
        files.sole_file(tables)
        layout.movies_format(tables[0], settings)
    return dataclasses.replace(source, movies=movies, spans=tuple(spans), told=tuple(told))


def _matches(base: str, pattern: str, layout: Layout) -> list[str]:
    matches = files.match(base, pattern)
    if not matches:
        raise DataError(
            f"There is no file {pattern}.",
            where=base,
            found=_listing(base),
            expected=f"for the layout {layout.name}: {layout.needs}",
        )
    return matches


def _ratings(base: str, ratings: str | None, settings: IngestSettings) -> tuple[Layout, str]:
    """The layout and the pattern of the ratings."""
    names = files.list_folder(base)
    if ratings is not None:
        return _layout_of_pattern(base, ratings, settings), ratings
    if settings.layout != "auto":
        layout = layouts.find(settings.layout)
        options = [(layout, name) for name in layout.ratings_in(names, settings)]
        if not options:
            raise DataError(
                f"The ratings of the layout {layout.name} are missing.",
                where=base,
                found=_listing(base),
                expected=layout.needs,
                fix="correct data.path or data.layout, or name the file in data.ratings_file",
            )
    else:
        options = _options(base, names, settings)
        if not options:
            raise _undetectable("No layout of ratings is recognised in the folder.", base)
    if len(options) > 1:
        raise _undetectable(
            "The folder holds more than one file that could be the ratings: "
            + ", ".join(f"{name} ({layout.name})" for layout, name in options)
            + ".",
            base,
        )
    [(layout, name)] = options
    return layout, glob.escape(name)


def _layout_of_pattern(base: str, ratings: str, settings: IngestSettings) -> Layout:
    if settings.layout != "auto":
        return layouts.find(settings.layout)
    matches = files.match(base, ratings)
    if not matches:
        raise DataError(
            f"There is no file {ratings}.",
            where=base,
            found=_listing(base),
            fix="correct data.ratings_file",
        )
    layout = _layout_of_file(matches[0], settings)
    if layout is None:
        raise _undetectable(f"The layout of {os.path.basename(matches[0])} is not clear from its name.", base)
    return layout


def _layout_of_file(path: str, settings: IngestSettings) -> Layout | None:
    return next((one for one in layouts.built_in() if one.is_ratings_file(path, settings)), None)


def _options(base: str, names: list[str], settings: IngestSettings) -> list[tuple[Layout, str]]:
    """The built-in layouts that a folder could be in, each with what would be its ratings."""
    options = []
    for layout in layouts.built_in():
        found = layout.ratings_in(names, settings)
        # Of two layouts whose files are called alike, the header tells.
        if found and _layout_of_file(os.path.join(base, found[0]), settings) is layout:
            options += [(layout, name) for name in found]
    if any(not layout.is_general for layout, _ in options):
        # CSV and Parquet files beside a known layout are its side tables, unless they are called ratings.
        options = [(one, name) for one, name in options if not one.is_general or name.startswith("ratings.")]
    return options


def _movies(base: str, layout: Layout, ratings: str, settings: IngestSettings) -> str | None:
    """The pattern of the movies table, None where there is none."""
    if settings.movies_file is not None:
        return settings.movies_file
    folder, name = os.path.split(ratings)
    names = [movies.replace("*", os.path.splitext(name)[0]) for movies in layout.movies_files]
    for movies in names:
        if movies != name and files.match(base, os.path.join(folder, movies)):
            return os.path.join(folder, movies)
    return os.path.join(folder, names[0]) if layout.needs_movies else None


def _listing(base: str) -> str:
    names = files.list_folder(base)
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return shown or "an empty folder"


def _undetectable(problem: str, base: str) -> DataError:
    # A folder too high, as an archive unpacks.
    inner = [
        os.path.dirname(path)
        for layout in layouts.built_in()
        if not layout.is_general
        for name in layout.ratings_files
        for path in sorted(files.operations(base).glob(os.path.join(glob.escape(base), f"*/{name}")))
    ]
    return DataError(
        problem,
        where=base,
        found=_listing(base),
        expected="one of\n" + "\n".join(f"    {one.name:<8} {one.needs}" for one in layouts.built_in()),
        fix=f"set data.path to {inner[0]}"
        if inner
        else "set data.layout, and data.ratings_file where the file has another name",
    )
