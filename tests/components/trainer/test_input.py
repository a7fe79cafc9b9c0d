"""Transformed examples and movies as arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.rows import MOVIES_SCHEMA
from components.shared.features import year_bucket
from components.trainer.input import RowGraph, read_catalogue, read_examples
from tests.components.conftest import ROWS, Transformed, write_examples


@pytest.mark.parametrize("memory_mb", [64, 0], ids=["in memory", "mapped"])
def test_rows_are_as_transform_makes_them(transformed: Transformed, tmp_path, memory_mb):
    """Of all splits and shards, in their order."""
    splits = [
        write_examples(tmp_path / "a/Split-train", shards=2),
        write_examples(tmp_path / "b/Split-train", ROWS[:1]),
    ]
    arrays = read_examples(splits, RowGraph(transformed.output), memory_mb)
    for key in ("user_id_xf", "movie_id_xf", "liked_xf"):
        rows = transformed.rows
        expected = [*rows[::2], *rows[1::2], rows[0]]
        assert arrays[key].tolist() == [row[key] for row in expected]
        assert isinstance(arrays[key], np.memmap) is (memory_mb == 0)


def test_no_rows(transformed: Transformed, tmp_path):
    arrays = read_examples([write_examples(tmp_path / "Split-eval", [])], RowGraph(transformed.output))
    assert arrays["user_id_xf"].shape == arrays["liked_xf"].shape == (0,)


def test_the_catalogue_has_the_genres_that_transform_gives_the_rows(transformed: Transformed):
    genres = {movie: of for _, movie, _, of in ROWS}
    movies = {
        "movie_id": [*genres, "m9"],
        "title": [""] * (len(genres) + 1),
        "genres": [*genres.values(), ["War"]],
        "year": [1995, None, 1890, 2500, 1999],
    }
    catalogue = read_catalogue(pa.Table.from_pydict(movies, MOVIES_SCHEMA), transformed.output)
    number = transformed.output.num_buckets_for_transformed_feature("movie_id_xf")
    assert catalogue["genres_xf"].shape == (number, 2)
    for row in transformed.rows:
        of = catalogue["genres_xf"][row["movie_id_xf"]]
        assert sorted(of[of >= 0]) == sorted(row["genres_xf"])
    place = [id_.decode() for id_ in transformed.output.vocabulary_by_name("movie_id")].index
    years = catalogue["year_xf"]
    assert [years[place(f"m{i}")] for i in (1, 2, 3, 4)] == [year_bucket(1995), 0, 1, 31]
    # Out-of-vocabulary rows know nothing.
    assert (catalogue["genres_xf"][-2:] == -1).all()
    assert not years[-2:].any()
