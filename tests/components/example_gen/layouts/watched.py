"""A layout from outside the package: `tests.components.example_gen.layouts.watched`."""

from __future__ import annotations

from components.example_gen.layouts.base import Layout
from components.example_gen.layouts.tables import Lines

LAYOUT = Layout(
    name="watched",
    needs="watched.log (time|stars|film|viewer|device) and films.log (film|title|genres)",
    ratings_files=("watched*.log",),
    ratings=Lines(("timestamp", "rating", "movie_id", "user_id", "_device"), "|"),
    movies_files=("films.log",),
    needs_movies=True,
    movies=Lines(("movie_id", "title", "genres"), "|"),
    genres_separator=", ",
)
