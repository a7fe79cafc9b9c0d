"""Reads the raw examples of all splits, and the movies, as codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.ranking.floors import Ratings
from components.shared import columns, features


@dataclass(frozen=True)
class Dataset:
    """The ratings of all splits, as codes of users and movies.

    Attributes:
        splits: Split -> its ratings.
        user_ids: bytes, object (U,), the id of each code.
        movie_ids: The same of movies, (M,).
        catalogue: int32 (C,), the codes of the movies of the train split: what a model can recommend.
    """

    splits: Mapping[str, Ratings]
    user_ids: np.ndarray
    movie_ids: np.ndarray
    catalogue: np.ndarray


def read(uris: Mapping[str, str], label: features.LabelRule) -> Dataset:
    """Reads the examples.

    Args:
        uris: Split -> its folder.
        label: What is liked, and what a list should hold.
    """
    names = (features.USER_KEY, features.MOVIE_KEY, features.RATING_KEY)
    tables = {split: columns.read(uri, names) for split, uri in uris.items()}
    users, user_ids = _codes([table[features.USER_KEY] for table in tables.values()])
    movies, movie_ids = _codes([table[features.MOVIE_KEY] for table in tables.values()])
    splits, start = {}, 0
    for split, table in tables.items():
        rows = slice(start, start + table.num_rows)
        liked = label.liked(table[features.RATING_KEY].to_numpy())
        splits[split] = Ratings(users[rows], movies[rows], liked, label.positive(liked))
        start += table.num_rows
    return Dataset(splits, user_ids, movie_ids, np.unique(splits[features.TRAIN_SPLIT].movies))


def keys(uris: Iterable[str], times: bool = True) -> np.ndarray:
    """A 64-bit hash of user, movie and time of each row, uint64 (N,), in the order of `read`.

    Args:
        uris: Folders of splits, one after the other. A row without a time has the time 0.
        times: Whether to look at the time, too.
    """
    names = (features.USER_KEY, features.MOVIE_KEY, features.TIMESTAMP_KEY)
    parts = [np.zeros(0, np.uint64)]
    for uri in uris:
        for batch in columns.batches(uri, names):
            users, movies = (columns.hashes(batch.column(name)) for name in names[:2])
            # Odd multipliers: a swap of user and movie is another row.
            hashes = (users * np.uint64(0x9E3779B97F4A7C15) + movies) * np.uint64(0xC2B2AE3D27D4EB4F)
            if times:
                time = batch.column(features.TIMESTAMP_KEY).fill_null(0)
                hashes += time.to_numpy(zero_copy_only=False).astype(np.uint64)
            parts.append(hashes)
    return np.concatenate(parts)


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


def _codes(parts: Iterable[pa.ChunkedArray]) -> tuple[np.ndarray, np.ndarray]:
    """Codes of ids in the order in which they first come, int32 (N,), and the id of each code, bytes, object."""
    chunks = [chunk for part in parts for chunk in part.chunks]
    unified = pa.chunked_array(chunks, columns.SCHEMA.field(features.USER_KEY).type).unify_dictionaries()
    whole = unified.combine_chunks()
    # The dictionary of a file may have any order, and ids that no row has.
    encoded = whole.indices.dictionary_encode()
    ids = whole.dictionary.take(encoded.dictionary).to_numpy(zero_copy_only=False)
    return encoded.indices.to_numpy(), ids
