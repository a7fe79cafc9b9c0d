"""MovieLens 100K as GroupLens publishes it: u.data, and u.item with a flag for each genre."""

from __future__ import annotations

from components.example_gen.layouts.base import Layout
from components.example_gen.layouts.tables import DATE_KEY, Lines
from components.shared.features import MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, TITLE_KEY, USER_KEY

# The flags at the end of a line of u.item, in the order of u.genre.
GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)

LAYOUT = Layout(
    name="ml-100k",
    needs="u.data and u.item",
    ratings_files=("u.data",),
    ratings=Lines((USER_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY), "\t", fallback="ISO-8859-1"),
    movies_files=("u.item",),
    needs_movies=True,
    movies=Lines(
        (MOVIE_KEY, TITLE_KEY, DATE_KEY, "_video_release_date", "_url", *GENRES), "|", fallback="ISO-8859-1"
    ),
    genre_flags=GENRES,
)
