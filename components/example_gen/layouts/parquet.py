"""A Parquet file of any columns: data.columns names them."""

from __future__ import annotations

from components.example_gen.layouts.base import Layout
from components.example_gen.layouts.tables import Columns

LAYOUT = Layout(
    name="parquet",
    needs="one .parquet file, and data.columns",
    ratings_files=("ratings.parquet", "*.parquet"),
    ratings=Columns(),
    movies_files=("movies.csv", "movies.tsv", "movies.parquet"),
    is_general=True,
)
