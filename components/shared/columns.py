"""The columns of examples: a second copy of each shard of tf.Examples, in Parquet, for readers of our own.

Decoding a million tf.Examples costs 1.2 to 2.7 CPU seconds, reading these .1, and nearly every component reads them.
Examples without such a copy, as of earlier runs, are decoded.

    examples/Split-train/data_tfrecord-00000-of-00001.gz
    examples/Columns-train/data-00000-of-00001.parquet      the same rows in the same order
"""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from itertools import chain

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tfx.dsl.io import fileio

from components.shared.errors import DataError
from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, USER_KEY

SCHEMA = pa.schema(
    [
        (USER_KEY, pa.dictionary(pa.int32(), pa.binary())),
        (MOVIE_KEY, pa.dictionary(pa.int32(), pa.binary())),
        (GENRES_KEY, pa.list_(pa.binary())),
        (RATING_KEY, pa.float32()),
        (TIMESTAMP_KEY, pa.int64()),
    ]
)

_SPLIT, _COLUMNS, _SUFFIX = "Split-", "Columns-", ".parquet"
_GROUP_ROWS = 1 << 17
_DICTIONARY_BYTES = 16 << 20  # beyond this, ids are written as they are
_DECODED_ROWS = 1 << 13


def folder_of(split_uri: str) -> str:
    """The folder of the columns of a split, e.g. of `.../Split-train`."""
    parent, name = os.path.split(split_uri.rstrip("/"))
    return os.path.join(parent, _COLUMNS + name.removeprefix(_SPLIT))


def write(table: pa.Table, path: str) -> None:
    """Writes rows with the columns of `SCHEMA` to a file."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.select(SCHEMA.names).cast(SCHEMA),
        sink,
        compression="zstd",
        row_group_size=_GROUP_ROWS,
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
    )
    with fileio.open(path, "wb") as file:
        file.write(sink.getvalue().to_pybytes())


def read(split_uri: str, names: Collection[str]) -> pa.Table:
    """All rows of a split, see `batches`; each column is one chunk."""
    schema = pa.schema([SCHEMA.field(name) for name in names])
    table = pa.Table.from_batches(list(batches(split_uri, names, _GROUP_ROWS)), schema).unify_dictionaries()
    return table.combine_chunks()


def batches(split_uri: str, names: Collection[str], rows: int = _GROUP_ROWS) -> Iterator[pa.RecordBatch]:
    """The rows of a split, shard by shard; see `of_shard`."""
    return chain.from_iterable(of_shard(shard, names, rows) for shard in shards(split_uri))


def shards(split_uri: str) -> list[str]:
    """The files of a split: of columns, or of tf.Examples where it has no columns."""
    return sorted(fileio.glob(os.path.join(folder_of(split_uri), f"*{_SUFFIX}"))) or sorted(
        fileio.glob(os.path.join(split_uri, "*"))
    )


def of_shard(shard: str, names: Collection[str], rows: int = _GROUP_ROWS) -> Iterator[pa.RecordBatch]:
    """The rows of one of `shards`, in order.

    Args:
        shard: Its path.
        names: Which columns of `SCHEMA`, in the order wanted.
        rows: Of a batch, at most; decoded examples come in batches of at most 8,192.

    Yields:
        Batches with the types of `SCHEMA`. A value is null where an example lacks the feature.

    Raises:
        DataError: The file cannot be read, or holds no such examples.
    """
    if not shard.endswith(_SUFFIX):
        yield from _decoded(shard, names, min(rows, _DECODED_ROWS))
        return
    try:
        with pq.ParquetFile(shard, read_dictionary=[USER_KEY, MOVIE_KEY]) as file:
            for batch in file.iter_batches(rows, columns=list(names), use_threads=False):
                yield pa.RecordBatch.from_arrays([batch.column(name) for name in names], list(names))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(shard, str(error)) from error


def as_decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows as tfx_bsl decodes tf.Examples: a list a row in every column, which TFDV and TFT expect."""
    return pa.RecordBatch.from_arrays([_lists(column) for column in batch.columns], batch.schema.names)


def hashes(ids: pa.DictionaryArray, salt: str | None = None) -> np.ndarray:
    """A 64-bit hash of each id, uint64 (N,), the same in every process; another for each salt."""
    names = ids.dictionary.to_numpy(zero_copy_only=False).astype(object)
    key = {} if salt is None else {"hash_key": salt[:16].ljust(16)}
    found: np.ndarray = pd.util.hash_array(names, categorize=False, **key)
    return found[ids.indices.to_numpy()]


def _lists(column: pa.Array) -> pa.LargeListArray:
    if pa.types.is_list(column.type):
        return column.cast(pa.large_list(pa.large_binary()))
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.binary()).cast(pa.large_binary())
    present = np.cumsum(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.int64)
    starts = pa.array(np.concatenate([[0], present]), mask=np.append(column.is_null().to_numpy(False), False))
    return pa.LargeListArray.from_arrays(starts, column.drop_null())


def _decoded(shard: str, names: Collection[str], rows: int) -> Iterator[pa.RecordBatch]:
    import tensorflow as tf  # not where there are columns

    kinds = {RATING_KEY: tf.float32, TIMESTAMP_KEY: tf.int64}
    spec = {name: tf.io.RaggedFeature(kinds.get(name, tf.string)) for name in names}
    records = tf.data.TFRecordDataset([shard], compression_type="GZIP", buffer_size=1 << 20).batch(rows)
    try:
        for batch in records.map(lambda records: tf.io.parse_example(records, spec)).prefetch(1):
            arrays = [
                _array(batch[name].values.numpy(), batch[name].row_splits.numpy(), name) for name in names
            ]
            yield pa.RecordBatch.from_arrays(arrays, list(names))
    except tf.errors.OpError as error:
        raise _unreadable(shard, error.message) from error


def _array(values: np.ndarray, splits: np.ndarray, name: str) -> pa.Array:
    """A column, from the values of all rows (V,) and where those of each row start (N + 1,)."""
    kind = SCHEMA.field(name).type
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(pa.array(splits), pa.array(values, kind.value_type))
    array = pa.array(values, kind.value_type if pa.types.is_dictionary(kind) else kind)
    if len(array) != len(splits) - 1:
        array = array.take(pa.array(splits[:-1], mask=splits[:-1] == splits[1:]))
    return array.dictionary_encode() if pa.types.is_dictionary(kind) else array


def _unreadable(path: str, found: str) -> DataError:
    return DataError(
        "The examples cannot be read.",
        where=path,
        found=next(iter(found.splitlines()), ""),
        fix="remove the file: a new run makes the examples again, and goes on from there",
    )
