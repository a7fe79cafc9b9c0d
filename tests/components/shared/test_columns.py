"""The columns of examples say what the examples say."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import tensorflow as tf

from components.shared import columns
from components.shared.errors import DataError

NAMES = columns.SCHEMA.names


def example(**features: object) -> bytes:
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
                if value and isinstance(value[0], bytes)  # type: ignore[index]
                else tf.train.Feature(float_list=tf.train.FloatList(value=value))
                for key, value in features.items()
            }
        )
    ).SerializeToString()


def write(folder: Path, *records: bytes) -> str:
    folder.mkdir(parents=True)
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(folder / "data_tfrecord-00000-of-00001.gz"), options) as writer:
        for record in records:
            writer.write(record)
    return str(folder)


ROWS = pa.table(
    {
        "user_id": pa.array([b"a", b"b", b"a"]).dictionary_encode(),
        "movie_id": pa.array([b"1", b"1", b"2"]).dictionary_encode(),
        "genres": [[b"x", b"y"], [], [b"y"]],
        "rating": pa.array([1.0, 2.0, 3.5], pa.float32()),
        "timestamp": [7, 8, 9],
    }
)


@pytest.fixture
def split(tmp_path: Path) -> str:
    (tmp_path / "Columns-train").mkdir()
    for shard, part in enumerate((ROWS[:2], ROWS[2:])):
        columns.write(part, str(tmp_path / f"Columns-train/data-{shard:05d}-of-00002.parquet"))
    return str(tmp_path / "Split-train")


def test_what_is_written_is_read(split: str) -> None:
    """In the order of the shards, with one dictionary for all."""
    read = columns.read(split, NAMES)
    assert read.schema.types == columns.SCHEMA.types
    assert read.to_pylist() == ROWS.to_pylist()
    assert read["user_id"].num_chunks == 1


def test_some_columns_in_another_order(split: str) -> None:
    assert columns.read(split, ("rating", "user_id")).column_names == ["rating", "user_id"]


def test_batches_have_no_more_rows_than_asked_for(split: str) -> None:
    assert [batch.num_rows for batch in columns.batches(split, ("rating",), rows=1)] == [1, 1, 1]


def test_a_feature_that_an_example_lacks_is_null(tmp_path: Path) -> None:
    split = write(tmp_path / "Split-train", example(user_id=[b"a"], rating=[1.0]), example(user_id=[b"b"]))
    read = columns.read(split, ("user_id", "rating", "movie_id", "genres"))
    assert read["user_id"].to_pylist() == [b"a", b"b"]
    assert read["rating"].to_pylist() == [1.0, None]
    assert read["movie_id"].to_pylist() == [None, None]
    assert read["genres"].to_pylist() == [[], []]


def test_no_rows(tmp_path: Path) -> None:
    assert columns.read(write(tmp_path / "Split-train"), NAMES).num_rows == 0


def test_a_damaged_file_is_named(split: str, tmp_path: Path) -> None:
    damaged = tmp_path / "Columns-train/data-00001-of-00002.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(DataError, match=str(damaged)):
        columns.read(split, NAMES)


def test_damaged_examples_are_named(tmp_path: Path) -> None:
    split = write(tmp_path / "Split-train", b"no example")
    with pytest.raises(DataError, match="data_tfrecord-00000-of-00001"):
        columns.read(split, NAMES)
