"""Reads transformed examples into arrays."""

from __future__ import annotations

import glob
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import features

_BATCH = 16_384
_KEYS = (*map(features.transformed_name, features.VOCABULARY_KEYS), features.LABEL_KEY)


def read_examples(patterns: Sequence[str], transform: tft.TFTransformOutput) -> dict[str, np.ndarray]:
    """Decodes all examples of the files that match, in the order of their names.

    Returns:
        `user_id_xf`, `movie_id_xf`, `liked_xf`: int64, (N,); `genres_xf`: int64, (N, G), padded
        with -1, G being the most genres that one row has (at least 1).
    """
    paths = sorted(path for pattern in patterns for path in glob.glob(pattern))  # noqa: PTH207
    spec = {key: value for key, value in transform.transformed_feature_spec().items() if key in _KEYS}
    batches = (
        tf.data.TFRecordDataset(paths, compression_type="GZIP", num_parallel_reads=1)
        .batch(_BATCH)
        .map(lambda rows: tf.io.parse_example(rows, spec), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(2)
    )
    parts: dict[str, list[np.ndarray]] = {key: [] for key in _KEYS}
    for batch in batches:
        for key, value in batch.items():
            dense = (
                tf.sparse.to_dense(value, default_value=-1) if isinstance(value, tf.SparseTensor) else value
            )
            parts[key].append(dense.numpy())
    genres = features.transformed_name(features.GENRES_KEY)
    width = max([1, *(part.shape[1] for part in parts[genres])])
    parts[genres] = [
        np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=-1) for part in parts[genres]
    ]
    empty = {genres: np.empty((0, width), np.int64)}
    return {
        key: np.concatenate(part) if part else empty.get(key, np.empty(0, np.int64))
        for key, part in parts.items()
    }
