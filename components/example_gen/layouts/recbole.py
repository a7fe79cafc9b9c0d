"""RecBole's atomic files: .inter, and .item beside it; names in the header have a type, as in `rating:float`."""

from __future__ import annotations

from components.example_gen.layouts.base import Layout
from components.example_gen.layouts.tables import Columns
from components.shared.features import GENRES_KEY, MOVIE_KEY, TITLE_KEY

LAYOUT = Layout(
    name="recbole",
    needs="one .inter file, and an .item file of the same name for titles and genres",
    ratings_files=("*.inter",),
    ratings=Columns({MOVIE_KEY: ("item_id",)}, separator="\t", quoting=False, has_types=True),
    movies_files=("*.item",),
    movies=Columns(
        {
            MOVIE_KEY: ("item_id",),
            TITLE_KEY: ("movie_title", "title"),
            GENRES_KEY: ("class", "genre", "genres"),
        },
        separator="\t",
        quoting=False,
        has_types=True,
        dates="release_year",
    ),
    genres_separator=" ",
)
