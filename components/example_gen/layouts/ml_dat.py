"""MovieLens 1M and 10M: ratings.dat and movies.dat, with two colons between fields."""

from __future__ import annotations

from components.example_gen.layouts.base import Layout
from components.example_gen.layouts.tables import Lines
from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, TITLE_KEY, USER_KEY

LAYOUT = Layout(
    name="ml-dat",
    needs="ratings.dat and movies.dat",
    ratings_files=("ratings.dat",),
    single_files=("*.dat",),
    ratings=Lines((USER_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY), "::", fallback="ISO-8859-1"),
    movies_files=("movies.dat",),
    needs_movies=True,
    movies=Lines((MOVIE_KEY, TITLE_KEY, GENRES_KEY), "::", fallback="ISO-8859-1"),
)
