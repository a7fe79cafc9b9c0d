"""The transform graph without the layer of tf_keras around it."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from components.shared.transform_graph import TransformGraph
from tests.components.conftest import Transformed

RAW = {
    "user_id": tf.constant(["bob", "zoe", "ann"]),
    "movie_id": tf.constant(["m3", "m9", "m1"]),
    "rating": tf.constant([4.0, 1.0, 3.5]),
    "timestamp": tf.constant([0, 0, 0], tf.int64),
    "genres": tf.sparse.from_dense(tf.constant([["Drama", "War"], ["Noir", ""], ["", ""]])),
}


def test_it_says_what_the_layer_says(transformed: Transformed) -> None:
    ours, theirs = TransformGraph(transformed.output)(RAW), transformed.output.transform_features_layer()(RAW)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        if isinstance(value, tf.SparseTensor):
            value, theirs[key] = tf.sparse.to_dense(value, -1), tf.sparse.to_dense(theirs[key], -1)
        tf.debugging.assert_equal(value, theirs[key])


def test_features_of_what_is_not_given_are_left_out(transformed: Transformed) -> None:
    rows = TransformGraph(transformed.output)({"user_id": RAW["user_id"]})
    assert set(rows) == {"user_id_xf", "user_activity"}


def test_it_is_saved_with_its_tables(transformed: Transformed, tmp_path: Path) -> None:
    """And works without the files that it was loaded from."""
    module = tf.Module()
    module.graph = TransformGraph(transformed.output)
    module.users = tf.function(
        lambda ids: module.graph({"user_id": ids})["user_id_xf"],
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path / "saved"))
    assert list((tmp_path / "saved/assets").iterdir())
    assert tf.saved_model.load(str(tmp_path / "saved")).users(tf.constant(["bob"])).numpy().tolist() == [1]
