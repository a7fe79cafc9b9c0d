"""Reads examples, through the transform graph, and the movies into arrays."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft

from components.shared import columns, features
from components.shared.transform_graph import TransformGraph

_BATCH = 1 << 17
_RAW = (features.USER_KEY, features.MOVIE_KEY, features.RATING_KEY)
_COLUMNS = {
    features.transformed_name(features.USER_KEY): np.int32,
    features.transformed_name(features.MOVIE_KEY): np.int32,
    features.LABEL_KEY: np.int8,
}


class RowGraph(tf.Module):
    """The transform graph on batches of columns; a module, as its tables live as long as it does."""

    def __init__(self, transform: tft.TFTransformOutput) -> None:
        super().__init__()
        self._graph = TransformGraph(transform)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], tf.float32),
        ],
        autograph=False,
    )
    def transformed(
        self,
        users: tf.Tensor,
        user_codes: tf.Tensor,
        movies: tf.Tensor,
        movie_codes: tf.Tensor,
        ratings: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Transformed features (B,), of ids (V,), which of them each row has (B,), and ratings (B,)."""
        rows = self._graph(
            {
                features.USER_KEY: tf.gather(users, user_codes),
                features.MOVIE_KEY: tf.gather(movies, movie_codes),
                features.RATING_KEY: ratings,
            }
        )
        return {key: rows[key] for key in _COLUMNS}


def read_examples(splits: Sequence[str], graph: RowGraph, memory_mb: int = 4096) -> dict[str, np.ndarray]:
    """What the transform graph makes of all examples of some splits, in the order of their shards.

    Beyond `memory_mb` the arrays are memory-mapped from unnamed temporary files, which are gone with them.

    Args:
        splits: Folders of raw examples, such as `.../Split-train`.
        graph: That of Transform.
        memory_mb: Of the arrays, in MiB.

    Returns:
        `user_id_xf`, `movie_id_xf`: int32, (N,); `liked_xf`: int8, (N,).

    Raises:
        DataError: A file cannot be read.
    """
    arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {key: (Path(folder) / key).open("w+b") for key in _COLUMNS}
        number = 0
        for split in splits:
            for batch in columns.batches(split, _RAW, _BATCH):
                ids = [
                    part
                    for column in (batch.column(key) for key in _RAW[:2])
                    for part in (column.dictionary.to_numpy(zero_copy_only=False), column.indices.to_numpy())
                ]
                rows = graph.transformed(*ids, batch.column(features.RATING_KEY).to_numpy())
                for key, kind in _COLUMNS.items():
                    files[key].write(rows[key].numpy().astype(kind).tobytes())
                number += batch.num_rows
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
