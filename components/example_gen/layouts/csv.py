"""A CSV of any columns: data.columns names them."""

from __future__ import annotations

from components.example_gen.layouts.base import Layout
from components.example_gen.layouts.tables import Columns

LAYOUT = Layout(
    name="csv",
    needs="one .csv or .tsv file with a header, and data.columns",
    ratings_files=("ratings.csv", "*.csv", "*.tsv"),
    ratings=Columns(),
    movies_files=("movies.csv", "movies.tsv", "movies.parquet"),
    is_general=True,
)
