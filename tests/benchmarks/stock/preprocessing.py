"""`preprocessing_fn` of the stock Transform: a vocabulary for users, movies and genres, and the label."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

from stock.features import GENRES, IDS, LABEL, MAX_GENRES, MIN_RATING


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Ids (B, 1) and genres (B, MAX_GENRES) as int64, a genre 0 where there is none; the label (B, 1)."""
    outputs = {
        key: tft.compute_and_apply_vocabulary(
            tf.strings.as_string(inputs[key]), num_oov_buckets=1, vocab_filename=key
        )
        for key in IDS
    }
    names = tf.strings.split(tf.squeeze(inputs[GENRES], axis=1), sep="|").to_sparse()
    genres = tft.compute_and_apply_vocabulary(names, num_oov_buckets=1, vocab_filename=GENRES)
    shifted = tf.RaggedTensor.from_sparse(genres.with_values(genres.values + 1))
    outputs[GENRES] = shifted.to_tensor(shape=[None, MAX_GENRES])
    outputs[LABEL] = tf.cast(inputs["rating"] >= MIN_RATING, tf.int64)
    return outputs
