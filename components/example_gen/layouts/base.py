"""What a layout is: how its files are called, what stands in them, and what a user is told that it needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from components.example_gen.layouts.tables import Columns, Lines, file_format
from components.example_gen.readers.parquet import ParquetFormat
from components.example_gen.readers.text import TextFormat
from components.example_gen.settings import IngestSettings
from components.shared.features import MOVIE_KEY, RATING_KEY, USER_KEY


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """One layout of ratings and movies.

    Attributes:
        name: What messages call it; of a built-in one also the value of data.layout.
        needs: Which files it needs, as a message says it.
        ratings_files: Patterns of the names that a ratings file has in a folder. A file that has one of those
            without a `*` is the ratings, whatever else matches the others.
        ratings: How a ratings file is laid out.
        movies_files: Names of the movies table beside the ratings, the first that is there; a `*` stands for the
            name of the ratings without its ending.
        movies: How a movies table is laid out.
        needs_movies: Whether a movies table has to be there.
        genres_separator: What stands between two genres.
        genre_flags: Genres that are each a field of 0 or 1 in the movies table, instead of one with their names.
        is_general: Whether it is of any file of a kind: beside the files of another layout, such a file is only
            taken for the ratings where its name says so.
        single_files: Patterns of the names of ratings files that are given by themselves, where those are others.
        recognises: (path, settings) -> whether a file of such a name is in this layout, where names do not tell.
    """

    name: str
    needs: str
    ratings_files: tuple[str, ...]
    ratings: Lines | Columns
    movies_files: tuple[str, ...] = ()
    movies: Lines | Columns = dataclasses.field(default_factory=Columns)
    needs_movies: bool = False
    genres_separator: str = "|"
    genre_flags: tuple[str, ...] = ()
    is_general: bool = False
    single_files: tuple[str, ...] = ()
    recognises: Callable[[str, IngestSettings], bool] | None = None

    def __post_init__(self) -> None:
        for table, keys in ((self.ratings, (USER_KEY, MOVIE_KEY, RATING_KEY)), (self.movies, (MOVIE_KEY,))):
            missing = set(keys) - set(table.fields) if isinstance(table, Lines) else set()
            if missing:
                raise ValueError(f"the layout {self.name} has no field {' or '.join(sorted(missing))}")
        if self.needs_movies and not self.movies_files:
            raise ValueError(f"the layout {self.name} needs movies and does not say how their file is called")

    def ratings_in(self, names: Sequence[str], settings: IngestSettings) -> list[str]:
        """Those names of a folder's files that could be the ratings."""
        movies = {settings.movies_file, *self.movies_files}
        found = [n for n in names if n not in movies and _matches(n, self.ratings_files)]
        return [n for n in found if n in self.ratings_files] or found

    def is_ratings_file(self, path: str, settings: IngestSettings) -> bool:
        """Whether a file, by its name and its header, is the ratings of this layout."""
        return _matches(path.rpartition("/")[2], self.single_files or self.ratings_files) and (
            self.recognises is None or self.recognises(path, settings)
        )

    def ratings_format(self, path: str, settings: IngestSettings) -> TextFormat | ParquetFormat:
        """Reads the head of a ratings file.

        Raises:
            DataError: The file is missing or empty, has a header only, lacks a column or has another separator.
        """
        return file_format(path, self.ratings, settings.columns, settings, self.name)

    def movies_format(self, path: str, settings: IngestSettings) -> TextFormat | ParquetFormat:
        """Reads the head of a movies file. Raises DataError as `ratings_format` does."""
        return file_format(path, self.movies, settings.movie_columns, settings, self.name)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
