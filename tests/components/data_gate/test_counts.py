"""Exact counts over the examples."""

from __future__ import annotations

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data_gate import counts
from components.shared.features import LabelRule
from tests.conftest import REPOSITORY

NOW = 1_000_000_000


@pytest.fixture
def schema() -> schema_pb2.Schema:
    return text_format.Parse((REPOSITORY / "schema" / "schema.pbtxt").read_text(), schema_pb2.Schema())


def batch(rows: list[tuple[str, str, float, int, list[str]]]) -> pa.RecordBatch:
    """As tfx_bsl decodes examples."""
    users, movies, ratings, times, genres = (list(column) for column in zip(*rows, strict=True))
    ids = pa.large_list(pa.large_binary())
    columns = {
        "user_id": pa.array([[user.encode()] for user in users], ids),
        "movie_id": pa.array([[movie.encode()] for movie in movies], ids),
        "rating": pa.array([[rating] for rating in ratings], pa.large_list(pa.float32())),
        "timestamp": pa.array([[time] for time in times], pa.large_list(pa.int64())),
        "genres": pa.array([[genre.encode() for genre in of_row] for of_row in genres], ids),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


ROWS = [
    ("ann", "m1", 5.0, NOW - 10, ["Drama", "War"]),
    ("ann", "m2", 4.0, NOW + 10, []),
    ("bob", "m1", 7.0, 0, ["Drama"]),
    ("cid", "m1", float("nan"), NOW, []),
]


def test_rows_are_counted_over_batches(schema):
    found = counts.count_batches([batch(ROWS[:2]), batch(ROWS[2:])], schema, LabelRule(), NOW)
    assert (found.rows, found.positives, found.rows_without_genres) == (4, 3, 2)
    assert found.users == {b"ann": 2, b"bob": 1, b"cid": 1}
    assert found.movies == {b"m1": 3, b"m2": 1}
    assert found.genres == {b"Drama": 2, b"War": 1}
    assert (found.oldest, found.newest, found.in_future) == (0, NOW + 10, 1)
    assert (found.below, found.above, found.nan) == ({"timestamp": 1}, {"rating": 1}, {"rating": 1})
    assert [values.tolist() for values in found.ratings] == [[4.0, 5.0, 7.0], [1, 1, 1]]


def test_ratings_are_exact_steps_of_a_scale_and_bounded_counts_otherwise(schema):
    steps = [half / 2 for half in range(1, 21)]
    found = counts.count_batches(
        [batch([("u", f"m{r}", r, NOW, []) for r in steps])], schema, LabelRule(), NOW
    )
    assert found.ratings[0].tolist() == steps
    many = [("u", "m", 1 + number / 100_000, NOW, []) for number in range(100_000)]
    values, rows = counts.count_batches([batch(many)], schema, LabelRule(), NOW).ratings
    assert len(values) <= 4096
    assert rows.sum() == 100_000


def test_no_rows(schema):
    found = counts.count_batches([], schema, LabelRule(), NOW)
    assert (found.rows, found.newest, len(found.pairs)) == (0, None, 0)


def test_pairs_are_those_of_the_same_users_however_many_are_kept(schema, monkeypatch):
    rows = [(f"u{number % 100}", f"m{number // 100}", 3.0, NOW, []) for number in range(1000)]
    everything = counts.count_batches([batch(rows)], schema, LabelRule(), NOW).pairs
    monkeypatch.setattr(counts, "_MAX_PAIRS", 300)
    some = counts.count_batches([batch(rows[:500]), batch(rows[500:])], schema, LabelRule(), NOW).pairs
    fewer = counts.count_batches([batch(rows[500:])], schema, LabelRule(), NOW).pairs
    assert len(everything) == 1000
    assert 100 < len(some) <= 300
    assert len(some) % 10 == 0  # whole users
    assert some.index.isin(everything.index).all()
    assert len(fewer.index.intersection(some.index)) == len(some) // 2


def test_a_user_is_not_a_movie(schema):
    one = counts.count_batches([batch([("1", "2", 3.0, NOW, [])])], schema, LabelRule(), NOW).pairs
    other = counts.count_batches([batch([("2", "1", 3.0, NOW, [])])], schema, LabelRule(), NOW).pairs
    assert not one.index.isin(other.index).any()


def test_a_missing_column_counts_as_none(schema):
    whole = batch(ROWS)
    without = (
        whole.drop_columns(["genres"])
        if hasattr(whole, "drop_columns")
        else pa.RecordBatch.from_arrays(whole.columns[:4], whole.schema.names[:4])
    )
    assert counts.count_batches([without], schema, LabelRule(), NOW).rows_without_genres == 4
