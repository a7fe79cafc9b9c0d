"""Which layout an input is in, and which files it is made of; by names and headers alone."""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH100, PTH118, PTH119, PTH120, PTH122

from __future__ import annotations

import dataclasses
import glob
import os

from components.example_gen import files, formats
from components.example_gen.settings import IngestSettings, RatingColumns
from components.shared.errors import DataError

_NEEDS = {
    "ml-100k": "u.data and u.item",
    "ml-dat": "ratings.dat and movies.dat",
    "ml-csv": "ratings.csv (userId,movieId,rating,timestamp) and movies.csv",
    "recbole": "one .inter file, and an .item file of the same name for titles and genres",
    "csv": "one .csv or .tsv file with a header, and data.columns",
    "parquet": "one .parquet file, and data.columns",
}


@dataclasses.dataclass(frozen=True)
class Source:
    """What `detect` found: files as glob patterns relative to a folder, which is what TFX's driver wants."""

    layout: str
    base: str
    ratings: str
    movies: str | None


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
    layout, ratings = _detect_layout(base, ratings, settings)
    source = Source(layout, base, ratings, _movies_pattern(base, layout, ratings, settings))
    if source.movies is not None and files.specs(source.ratings) != files.specs(source.movies):
        raise DataError(
            "The patterns of the ratings and of the movies do not have the same span.",
            found=f"{source.ratings} and {source.movies}",
            expected="the same of {SPAN}, {VERSION}, {YYYY}, {MM}, {DD} in both, as TFX resolves them together",
            fix="correct data.ratings_file and data.movies_file",
        )
    for pattern, read_format in (
        (source.ratings, formats.ratings_format),
        (source.movies, formats.movies_format),
    ):
        if pattern is not None:
            matches = files.match(base, pattern)
            if not matches:
                raise DataError(
                    f"There is no file {pattern}.",
                    where=base,
                    found=_listing(base),
                    expected=f"for the layout {layout}: {_NEEDS[layout]}",
                )
            if read_format is formats.movies_format and not files.specs(pattern):
                files.sole_file(matches)
            for file in matches:
                read_format(file, layout, settings)
    return source


def _detect_layout(base: str, ratings: str | None, settings: IngestSettings) -> tuple[str, str]:
    """The layout and the pattern of the ratings."""
    names = files.list_folder(base)
    others = {settings.movies_file, "movies.csv", "movies.tsv", "movies.parquet"}

    def sole(*suffixes: str, preferred: str) -> list[str]:
        own = [n for n in names if n.endswith(suffixes) and n not in others]
        return [preferred] if preferred in own else own

    if ratings is not None:
        if settings.layout != "auto":
            return settings.layout, ratings
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
            raise _undetectable(
                f"The layout of {os.path.basename(matches[0])} is not clear from its name.", base
            )
        return layout, ratings

    candidates: dict[str, list[str]] = {
        "ml-100k": [n for n in names if n == "u.data"],
        "ml-dat": [n for n in names if n == "ratings.dat"],
        "ml-csv": ["ratings.csv"] if "ratings.csv" in names else [],
        "recbole": [n for n in names if n.endswith(".inter")],
        "csv": sole(".csv", ".tsv", preferred="ratings.csv"),
        "parquet": sole(".parquet", preferred="ratings.parquet"),
    }
    if settings.layout != "auto":
        found = candidates[settings.layout]
        if not found:
            raise DataError(
                f"The ratings of the layout {settings.layout} are missing.",
                where=base,
                found=_listing(base),
                expected=_NEEDS[settings.layout],
                fix="correct data.path or data.layout, or name the file in data.ratings_file",
            )
        options: list[tuple[str, str]] = [(settings.layout, n) for n in found]
    else:
        if candidates["csv"]:
            layout = _layout_of_file(os.path.join(base, candidates["csv"][0]), settings)
            candidates["csv" if layout == "ml-csv" else "ml-csv"] = []
        if any(candidates[k] for k in ("ml-100k", "ml-dat", "ml-csv", "recbole")):
            # CSV and Parquet files beside a known layout are its side tables, unless they are called ratings.
            for layout in ("csv", "parquet"):
                candidates[layout] = [n for n in candidates[layout] if n.startswith("ratings.")]
        options = [(layout, n) for layout, found in candidates.items() for n in found]
    if not options:
        raise _undetectable("No layout of ratings is recognised in the folder.", base)
    if len(options) > 1:
        raise _undetectable(
            "The folder holds more than one file that could be the ratings: "
            + ", ".join(f"{n} ({layout})" for layout, n in options)
            + ".",
            base,
        )
    return options[0][0], glob.escape(options[0][1])


def _layout_of_file(path: str, settings: IngestSettings) -> str | None:
    name = os.path.basename(path)
    if name == "u.data":
        return "ml-100k"
    for suffix, layout in ((".dat", "ml-dat"), (".inter", "recbole"), (".parquet", "parquet")):
        if name.endswith(suffix):
            return layout
    if not name.endswith((".csv", ".tsv")):
        return None
    is_standard = settings.columns in (RatingColumns(), RatingColumns(timestamp=None))
    is_standard = is_standard and settings.delimiter in (None, ",")
    if is_standard and {"userId", "movieId"} <= set(formats.csv_header(path)):
        return "ml-csv"
    return "csv"


def _movies_pattern(base: str, layout: str, ratings: str, settings: IngestSettings) -> str | None:
    if settings.movies_file is not None:
        return settings.movies_file
    folder, name = os.path.split(ratings)
    required = {"ml-100k": "u.item", "ml-dat": "movies.dat", "ml-csv": "movies.csv"}
    if layout in required:
        return os.path.join(folder, required[layout])
    optional = {"recbole": [os.path.splitext(name)[0] + ".item"]}.get(
        layout, ["movies.csv", "movies.tsv", "movies.parquet"]
    )
    for candidate in optional:
        if candidate != name and files.match(base, os.path.join(folder, candidate)):
            return os.path.join(folder, candidate)
    return None


def _listing(base: str) -> str:
    names = files.list_folder(base)
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return shown or "an empty folder"


def _undetectable(problem: str, base: str) -> DataError:
    # A folder too high, as an archive unpacks.
    inner = [
        os.path.dirname(path)
        for name in ("u.data", "ratings.dat", "ratings.csv", "*.inter")
        for path in sorted(files.operations(base).glob(os.path.join(glob.escape(base), f"*/{name}")))
    ]
    return DataError(
        problem,
        where=base,
        found=_listing(base),
        expected="one of\n" + "\n".join(f"    {layout:<8} {needs}" for layout, needs in _NEEDS.items()),
        fix=f"set data.path to {inner[0]}"
        if inner
        else "set data.layout, and data.ratings_file where the file has another name",
    )
