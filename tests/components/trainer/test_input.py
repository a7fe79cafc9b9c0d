"""Transformed examples as arrays."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from components.trainer.input import read_examples
from tests.components.conftest import Transformed


def write(path, rows) -> None:
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for row in rows:
            feature = {
                key: tf.train.Feature(int64_list=tf.train.Int64List(value=np.atleast_1d(row[key])))
                for key in ("user_id_xf", "movie_id_xf", "liked_xf", "genres_xf")
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def test_rows_of_all_files_in_order_with_padded_genres(transformed: Transformed, tmp_path):
    write(tmp_path / "a-0.gz", transformed.rows[:4])
    write(tmp_path / "a-1.gz", transformed.rows[4:])
    arrays = read_examples([f"{tmp_path}/a-*"], transformed.output)
    for key in ("user_id_xf", "movie_id_xf", "liked_xf"):
        assert arrays[key].tolist() == [row[key] for row in transformed.rows]
    assert arrays["genres_xf"].shape == (len(transformed.rows), 2)
    assert [[g for g in row if g >= 0] for row in arrays["genres_xf"].tolist()] == [
        list(row["genres_xf"]) for row in transformed.rows
    ]


def test_no_rows(transformed: Transformed, tmp_path):
    write(tmp_path / "none.gz", [])
    arrays = read_examples([f"{tmp_path}/*"], transformed.output)
    assert arrays["user_id_xf"].shape == (0,)
    assert arrays["genres_xf"].shape == (0, 1)
