"""Reads the raw examples of all splits, and the movies, as codes."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder

from components.ranking.floors import Ratings
from components.shared import features

_BATCH = 32_768
_KINDS = {
    features.USER_KEY: (schema_pb2.BYTES, pa.large_binary()),
    features.MOVIE_KEY: (schema_pb2.BYTES, pa.large_binary()),
    features.RATING_KEY: (schema_pb2.FLOAT, pa.float32()),
    features.TIMESTAMP_KEY: (schema_pb2.INT, pa.int64()),
}


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


def read(patterns: Mapping[str, str], label: features.LabelRule) -> Dataset:
    """Decodes the examples.

    Args:
        patterns: Split -> glob of its TFRecords.
        label: What is liked, and what a list should hold.
    """
    columns = (features.USER_KEY, features.MOVIE_KEY, features.RATING_KEY)
    tables = {split: _decode(pattern, columns) for split, pattern in patterns.items()}
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
        liked = label.liked(table[features.RATING_KEY].to_numpy())
        splits[split] = Ratings(
            codes[features.USER_KEY][rows], codes[features.MOVIE_KEY][rows], liked, label.positive(liked)
        )
        start += table.num_rows
    return Dataset(
        splits,
        ids[features.USER_KEY],
        ids[features.MOVIE_KEY],
        np.unique(splits[features.TRAIN_SPLIT].movies),
    )


def keys(patterns: Iterable[str], times: bool = True) -> np.ndarray:
    """A 64-bit hash of user, movie and time of each row, uint64 (N,), in the order of `read`.

    Args:
        patterns: Globs of TFRecords, one after the other. A row without a time has the time 0.
        times: Whether to look at the time, too.
    """
    columns = (features.USER_KEY, features.MOVIE_KEY, features.TIMESTAMP_KEY)
    parts = []
    for pattern in patterns:
        for batch in _batches(pattern, columns):
            users, movies = (_hashes(batch[key].combine_chunks()) for key in columns[:2])
            # Odd multipliers: a swap of user and movie is another row.
            hashes = (users * np.uint64(0x9E3779B97F4A7C15) + movies) * np.uint64(0xC2B2AE3D27D4EB4F)
            if times:
                hashes += batch[features.TIMESTAMP_KEY].to_numpy().astype(np.uint64)
            parts.append(hashes)
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


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


def _decode(pattern: str, columns: tuple[str, ...]) -> pa.Table:
    """Those columns of `_KINDS`, a row an example."""
    parts = list(_batches(pattern, columns))
    return (
        pa.concat_tables(parts) if parts else pa.table({key: pa.array([], _KINDS[key][1]) for key in columns})
    )


def _batches(pattern: str, columns: tuple[str, ...]) -> Iterator[pa.Table]:
    schema = schema_pb2.Schema()
    for key in columns:
        schema.feature.add(name=key, type=_KINDS[key][0])
    decoder = example_coder.ExamplesToRecordBatchDecoder(schema.SerializeToString())
    paths = sorted(glob.glob(pattern))  # noqa: PTH207
    records = tf.data.TFRecordDataset(paths, compression_type="GZIP", num_parallel_reads=1).batch(_BATCH)
    for batch in records.as_numpy_iterator():
        decoded = decoder.DecodeBatch(batch.tolist())
        yield pa.table({key: _values(decoded.column(key), _KINDS[key][1]) for key in columns})


def _values(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The value of each row; 0 where a row has none, as the time of logs without times."""
    values = column.flatten().cast(kind)
    if len(values) == len(column) or not pa.types.is_integer(kind):
        return values
    filled = np.zeros(len(column), np.int64)
    filled[pc.list_parent_indices(column).to_numpy()] = values.to_numpy()
    return pa.array(filled)


def _hashes(values: pa.Array) -> np.ndarray:
    encoded = values.dictionary_encode()
    names = encoded.dictionary.to_numpy(zero_copy_only=False).astype(object)
    return pd.util.hash_array(names, categorize=False)[encoded.indices.to_numpy()]
