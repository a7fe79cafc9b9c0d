"""Exact counts over the examples."""

from __future__ import annotations

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data_gate import counts
from components.shared import columns
from components.shared.features import LabelRule
from tests.conftest import REPOSITORY

NOW = 1_000_000_000


@pytest.fixture
def schema() -> schema_pb2.Schema:
    return text_format.Parse((REPOSITORY / "schema" / "schema.pbtxt").read_text(), schema_pb2.Schema())


def batch(rows: list[tuple[str, str, float, int, list[str]]]) -> pa.RecordBatch:
    """As `columns.batches` gives them."""
    users, movies, ratings, times, genres = (list(column) for column in zip(*rows, strict=True))
    of_schema = {
        "user_id": pa.array([user.encode() for user in users]).dictionary_encode(),
        "movie_id": pa.array([movie.encode() for movie in movies]).dictionary_encode(),
        "genres": pa.array([[genre.encode() for genre in of] for of in genres], pa.list_(pa.binary())),
        "rating": pa.array(ratings, pa.float32()),
        "timestamp": pa.array(times, pa.int64()),
    }
    assert list(of_schema) == columns.SCHEMA.names
    return pa.RecordBatch.from_arrays(list(of_schema.values()), list(of_schema))


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


def test_rows_without_a_value_are_rows(schema):
    """As of examples that lack features."""
    whole = batch(ROWS)
    nothing = [pa.nulls(len(ROWS), field.type) for field in columns.SCHEMA]
    users, *_ = whole.columns
    without = pa.RecordBatch.from_arrays([users, *nothing[1:]], columns.SCHEMA.names)
    found = counts.count_batches([without], schema, LabelRule(), NOW)
    assert (found.rows, found.rows_without_genres, found.positives) == (4, 4, 0)
    assert found.users == {b"ann": 2, b"bob": 1, b"cid": 1}
    assert (found.oldest, len(found.pairs), len(found.movies)) == (None, 0, 0)
