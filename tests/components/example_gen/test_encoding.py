"""Encoding: records that any reader of tf.Examples takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.components.example_gen.logs import Ingest, many


@pytest.mark.parametrize("length", [127, 128, 16_383, 16_384, 16_400, 2_100_000])
def test_a_feature_of_any_length_is_a_good_record(length: int, ingest: Ingest, tmp_path: Path) -> None:
    """Many genres, as a single one is bounded: their bytes in every example, around each length of a length."""
    genres = [f"{i:010d}" for i in range(length // 12)] + ["x" * (length % 12)]
    folder = tmp_path / "ml"
    folder.mkdir()
    (folder / "ratings.csv").write_bytes(many(4, 12))
    (folder / "movies.csv").write_text("movieId,title,genres\n1,a," + "|".join(genres) + "\n")
    out = ingest(folder)
    seen = [row[4] for split in out.splits.values() for row in split if row[1] == "1"]
    assert seen == [[genre for genre in genres if genre]] * 4
