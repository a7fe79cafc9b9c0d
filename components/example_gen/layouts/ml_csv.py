"""MovieLens of later years: ratings.csv and movies.csv. A CSV is recognised as such by its header."""

from __future__ import annotations

from components.example_gen.layouts.base import Layout
from components.example_gen.layouts.tables import Columns
from components.example_gen.readers.header import csv_header
from components.example_gen.settings import IngestSettings, RatingColumns
from components.shared.features import MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, USER_KEY


def _recognises(path: str, settings: IngestSettings) -> bool:
    """Whether a header has MovieLens' names, and the settings do not say that columns are called otherwise."""
    is_standard = settings.columns in (RatingColumns(), RatingColumns(timestamp=None))
    is_standard = is_standard and settings.delimiter in (None, ",")
    return is_standard and {"userId", "movieId"} <= set(csv_header(path))


LAYOUT = Layout(
    name="ml-csv",
    needs="ratings.csv (userId,movieId,rating,timestamp) and movies.csv",
    ratings_files=("ratings.csv",),
    single_files=("*.csv", "*.tsv"),
    recognises=_recognises,
    ratings=Columns(
        {
            USER_KEY: ("userId",),
            MOVIE_KEY: ("movieId",),
            RATING_KEY: ("rating",),
            TIMESTAMP_KEY: ("timestamp",),
        },
        is_fixed=True,
        separator=",",
    ),
    movies_files=("movies.csv",),
    needs_movies=True,
    movies=Columns({MOVIE_KEY: ("movieId",)}, separator=","),
)
