"""Reads what Transform and ExampleGen made into arrays."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft

from components.shared import features

_BATCH = 16_384
_COLUMNS = {
    features.transformed_name(features.USER_KEY): np.int32,
    features.transformed_name(features.MOVIE_KEY): np.int32,
    features.LABEL_KEY: np.int8,
}


def read_examples(
    patterns: Sequence[str], transform: tft.TFTransformOutput, memory_mb: int = 4096
) -> dict[str, np.ndarray]:
    """Decodes all examples of the files that match, in the order of their names.

    Beyond `memory_mb` the arrays are memory-mapped from unnamed temporary files, which are gone with them.

    Returns:
        `user_id_xf`, `movie_id_xf`: int32, (N,); `liked_xf`: int8, (N,).
    """
    paths = sorted(path for pattern in patterns for path in glob.glob(pattern))  # noqa: PTH207
    spec = {key: value for key, value in transform.transformed_feature_spec().items() if key in _COLUMNS}
    batches = (
        tf.data.TFRecordDataset(paths, compression_type="GZIP", num_parallel_reads=1)
        .batch(_BATCH)
        .map(lambda rows: tf.io.parse_example(rows, spec), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(2)
    )
    arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {key: (Path(folder) / key).open("w+b") for key in _COLUMNS}
        number = 0
        for batch in batches:
            for key, kind in _COLUMNS.items():
                files[key].write(batch[key].numpy().astype(kind).tobytes())
            number += len(batch[features.LABEL_KEY])
        small = number * sum(np.dtype(kind).itemsize for kind in _COLUMNS.values()) <= memory_mb * 2**20
        for key, kind in _COLUMNS.items():
            with files[key] as file:
                file.flush()
                arrays[key] = np.empty(0, kind)
                if number:
                    mapped = np.memmap(file, kind, mode="r", shape=(number,))
                    arrays[key] = np.array(mapped) if small else mapped
    return arrays


def read_catalogue(movies: pa.Table, transform: tft.TFTransformOutput) -> dict[str, np.ndarray]:
    """What models know of a movie besides its id, by its index; as Transform makes it of a row.

    Args:
        movies: The movies table of the ratings ExampleGen.
        transform: Output of Transform.

    Returns:
        `genres_xf`: int32, (M, G), padded with -1, G being the most genres that one movie has (at least 1);
        `year_xf`: int32, (M,), see `features.year_bucket`. M is the size of the movie vocabulary with its
        out-of-vocabulary buckets, which have no genre and no year.
    """
    index = {id_.decode(): i for i, id_ in enumerate(transform.vocabulary_by_name(features.MOVIE_KEY))}
    genre = {name.decode(): i for i, name in enumerate(transform.vocabulary_by_name(features.GENRES_KEY))}
    name = features.transformed_name
    number = transform.num_buckets_for_transformed_feature(name(features.MOVIE_KEY))
    rows = [
        (index[movie], [genre[of] for of in genres if of in genre], year)
        for movie, genres, year in zip(
            *(
                movies[key].to_pylist()
                for key in (features.MOVIE_KEY, features.GENRES_KEY, features.YEAR_KEY)
            ),
            strict=True,
        )
        if movie in index
    ]
    width = max([1, *(len(genres) for _, genres, _ in rows)])
    found = {
        name(features.GENRES_KEY): np.full((number, width), -1, np.int32),
        name(features.YEAR_KEY): np.zeros(number, np.int32),
    }
    for at, genres, year in rows:
        found[name(features.GENRES_KEY)][at, : len(genres)] = genres
        found[name(features.YEAR_KEY)][at] = features.year_bucket(year)
    return found
