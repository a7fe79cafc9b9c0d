"""Reads the raw examples of all splits, and the movies, as codes."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder

from components import features
from components.ranking.baselines import Ratings

_BATCH = 32_768
_KEYS = (features.USER_KEY, features.MOVIE_KEY, features.RATING_KEY)


@dataclass(frozen=True)
class Dataset:
    """The ratings of all splits, as codes of users and movies.

    Attributes:
        splits: Split -> its ratings.
        user_ids: bytes, object (U,), the id of each code.
        movie_ids: The same of movies, (M,).
        catalogue: int64 (C,), the codes of the movies of the train split: what a model can recommend.
    """

    splits: Mapping[str, Ratings]
    user_ids: np.ndarray
    movie_ids: np.ndarray
    catalogue: np.ndarray


def read(patterns: Mapping[str, str], min_rating: float, positives: str = features.LIKED) -> Dataset:
    """Decodes the examples.

    Args:
        patterns: Split -> glob of its TFRecords.
        min_rating: A movie rated at least this is liked.
        positives: `features.LIKED` or `features.RATED`: what a list should hold.
    """
    tables = {split: _decode(pattern) for split, pattern in patterns.items()}
    codes, ids = {}, {}
    for key in (features.USER_KEY, features.MOVIE_KEY):
        column = pa.chunked_array([chunk for table in tables.values() for chunk in table[key].chunks])
        encoded = column.combine_chunks().dictionary_encode()
        encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
        codes[key] = encoded.indices.to_numpy().astype(np.int64)
        ids[key] = encoded.dictionary.to_numpy(zero_copy_only=False)
    splits, start = {}, 0
    for split, table in tables.items():
        rows = slice(start, start + table.num_rows)
        # Ratings are float32 in the examples, so the threshold is compared as one too.
        liked = table[features.RATING_KEY].to_numpy() >= np.float32(min_rating)
        positive = np.ones_like(liked) if positives == features.RATED else liked
        splits[split] = Ratings(
            codes[features.USER_KEY][rows], codes[features.MOVIE_KEY][rows], liked, positive
        )
        start += table.num_rows
    return Dataset(
        splits,
        ids[features.USER_KEY],
        ids[features.MOVIE_KEY],
        np.unique(splits[features.TRAIN_SPLIT].movies),
    )


def genres(movies: pa.Table, movie_ids: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of the genres, sorted, and bool (M, G), which movie has which.

    Args:
        movies: The movies table.
        movie_ids: bytes, object (M,); a movie that the table lacks has no genre.
    """
    row = pc.index_in(pa.array(movie_ids).cast(pa.string()), value_set=movies["movie_id"].combine_chunks())
    lists = movies["genres"].combine_chunks()
    values = lists.flatten().dictionary_encode()
    member = np.zeros((movies.num_rows + 1, len(values.dictionary)), bool)  # the last row: not in the table
    owner = np.repeat(np.arange(movies.num_rows), pc.list_value_length(lists).fill_null(0).to_numpy())
    member[owner, values.indices.to_numpy()] = True
    names = values.dictionary.to_pylist()
    order = np.argsort(names) if names else np.zeros(0, np.int64)
    return [names[i] for i in order], member[row.fill_null(movies.num_rows).to_numpy()][:, order]


def _decode(pattern: str) -> pa.Table:
    """`user_id`, `movie_id` (binary) and `rating` (float), a row an example."""
    schema = schema_pb2.Schema()
    for key in _KEYS:
        kind = schema_pb2.FLOAT if key == features.RATING_KEY else schema_pb2.BYTES
        schema.feature.add(name=key, type=kind)
    decoder = example_coder.ExamplesToRecordBatchDecoder(schema.SerializeToString())
    paths = sorted(glob.glob(pattern))  # noqa: PTH207
    records = tf.data.TFRecordDataset(paths, compression_type="GZIP", num_parallel_reads=1).batch(_BATCH)
    kinds = {key: pa.float32() if key == features.RATING_KEY else pa.large_binary() for key in _KEYS}
    parts = []
    for batch in records.as_numpy_iterator():
        decoded = decoder.DecodeBatch(batch.tolist())
        parts.append(pa.table({key: decoded.column(key).flatten().cast(kind) for key, kind in kinds.items()}))
    if not parts:
        return pa.table({key: pa.array([], kind) for key, kind in kinds.items()})
    return pa.concat_tables(parts)
