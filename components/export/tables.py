"""The tables of an export for a process without TensorFlow, and what `recommend` and `similar_movies` say by them.

No table is stored twice: `tables.json` in `assets.extra` says where in the file of variables its bytes lie, and which
of the assets is which vocabulary. Only exports that answer by tables of dot products have one.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.shared.artifacts import EXTRA, TABLES_FILE

_VARIABLES = "variables/variables.data-00000-of-00001"
_HEAD = 4096  # bytes to look for a table by


def write(path: Path, arrays: Mapping[str, np.ndarray], vocabularies: Mapping[str, Sequence[bytes]]) -> None:
    """Writes `tables.json`; nothing where the file of variables or the assets are not laid out as is expected.

    Args:
        path: Folder of a SavedModel, in which all of this is.
        arrays: The tables by name, see `Tables`.
        vocabularies: The ids of `users` and of `movies`, in their order.
    """
    file = path / _VARIABLES
    if not file.is_file():
        return
    found: dict[str, object] = {"bytes": file.stat().st_size}
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as held:
        for name, array in arrays.items():
            start = _find(held, array)
            if start is None:
                return
            found[name] = [start, array.dtype.str, list(array.shape)]
    assets = sorted(one for one in (path / "assets").glob("*") if one.is_file())
    for name, ids in vocabularies.items():
        asset = next((one.name for one in assets if _lines(one) == list(ids)), None)
        if asset is None:
            return
        found[name] = asset
    (path / EXTRA / TABLES_FILE).write_text(json.dumps(found), encoding="utf-8")


def by_user(
    rated: np.ndarray, buckets: int, num_users: int, num_movies: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ratings of known movies grouped by user: offsets int64 (buckets + 1,), movies int32 (N,).

    The groups of the out-of-vocabulary buckets are empty: there a user's history is not known.
    """
    known = rated[(rated[:, 0] < num_users) & (rated[:, 1] < num_movies)]
    known = known[np.argsort(known[:, 0], kind="stable")]
    offsets = np.searchsorted(known[:, 0], np.arange(buckets + 1))
    return offsets.astype(np.int64), known[:, 1].astype(np.int32)


@dataclass(frozen=True)
class Tables:
    """The tables of an export; U users and M movies of the vocabularies, C movies that were never rated in train.

    Attributes:
        users: Ids of users, in the order of their rows.
        movies: Ids of the catalogue, (M,).
        retrieval: Rows of users (U + 1, E), the last for unknown ones, and of movies (M, E), see `products`.
        likes: The same of the model of likes; None where it is the same model.
        means: What unknown users are told of each movie, float32, by row of a movie; of the catalogue the first M.
        directions: Unit vectors of the movies, (M + buckets + C, D).
        support: What the likeness to a movie counts, (M,).
        rated: Offsets by user, (U + 1 or more,), and the movies that they have rated.
    """

    users: Mapping[bytes, int]
    movies: Sequence[bytes]
    retrieval: tuple[np.ndarray, np.ndarray]
    likes: tuple[np.ndarray, np.ndarray] | None
    means: np.ndarray
    directions: np.ndarray
    support: np.ndarray
    rated: tuple[np.ndarray, np.ndarray]

    def recommend(self, user_ids: Sequence[bytes], k: int, exclude_rated: bool) -> dict[str, np.ndarray]:
        """As the signature `recommend`; ids are objects of bytes."""
        stranger = len(self.users)
        rows = np.array([self.users.get(id_, stranger) for id_ in user_ids], int)
        of_users, of_movies = self.retrieval
        scores = of_users[rows] @ of_movies.T
        if exclude_rated:
            offsets, movies = self.rated
            for scored, row in zip(scores, rows, strict=True):
                scored[movies[offsets[row] : offsets[row + 1]]] = -np.inf
        top, places = _top(scores, k)
        real = top > -np.inf
        top = -np.sort(-_sigmoid(top), axis=1)
        known = rows < stranger
        if self.likes is None:
            liked = np.where(known[:, None], top, self.means[places])
        else:
            liked = _sigmoid((self.likes[0][rows][:, None] * self.likes[1][places]).sum(axis=2))
        return {
            "movie_ids": self._ids(np.where(real, places, len(self.movies))),
            "scores": np.where(real, top, 0),
            "probability": np.where(real, liked, 0),
            "known": known,
        }

    def similar(
        self, movie_ids: Sequence[bytes], k: int, table: Sequence[bytes]
    ) -> dict[str, np.ndarray] | None:
        """As the signature `similar_movies`; None where one of them is not in the movies table, of these ids."""
        number = len(self.movies)
        place = {id_: row for row, id_ in enumerate(self.movies)}
        cold = sorted({*table} - {*self.movies})
        place |= {id_: row for row, id_ in enumerate(cold, len(self.directions) - len(cold))}
        if not place.keys() >= {*movie_ids}:
            return None
        rows = np.array([place[id_] for id_ in movie_ids], int)
        scores = self.directions[rows] @ self.directions[:number].T * self.support
        known = rows < number
        scores[np.flatnonzero(known), rows[known]] = -np.inf
        top, places = _top(scores, min(k, number - 1))
        return {"movie_ids": self._ids(places), "scores": top, "known": known}

    def _ids(self, places: np.ndarray) -> np.ndarray:
        return np.array([*self.movies, b""], object)[places]


def read(path: Path) -> Tables | None:
    """The tables of an export, memory-mapped; None where it has none.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is not as it was written.
    """
    try:
        found = json.loads((path / EXTRA / TABLES_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    file = path / _VARIABLES
    size = file.stat().st_size
    if size != found["bytes"]:
        raise ValueError(f"{_VARIABLES} has {size} bytes instead of {found['bytes']}")
    held = np.memmap(file, np.uint8, "r")

    def array(name: str) -> np.ndarray:
        start, kind, shape = found[name]
        of = np.dtype(kind)
        return held[start : start + of.itemsize * int(np.prod(shape))].view(of).reshape(shape)

    def pair(name: str, of: Sequence[str] = ("users", "movies")) -> tuple[np.ndarray, np.ndarray]:
        return array(f"{name}_{of[0]}"), array(f"{name}_{of[1]}")

    users, movies = (_lines(path / "assets" / found[name]) for name in ("users", "movies"))
    return Tables(
        {id_: row for row, id_ in enumerate(users)},
        movies,
        pair("retrieval"),
        pair("likes") if "likes_users" in found else None,
        array("means"),
        array("directions"),
        array("support"),
        pair("rated", ("offsets", "movies")),
    )


def _find(held: mmap.mmap, array: np.ndarray) -> int | None:
    """Where the bytes of an array lie; at the first of such places, as one is as good as another."""
    wanted = array.tobytes()
    head, start = wanted[:_HEAD], -1
    while (start := held.find(head, start + 1)) >= 0:
        if held[start : start + len(wanted)] == wanted:
            return start
    return None


def _lines(vocabulary: Path) -> list[bytes]:
    """As TensorFlow reads a vocabulary."""
    return vocabulary.read_bytes().replace(b"\r", b"").removesuffix(b"\n").split(b"\n")


def _top(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The greatest k of each row and their places; of equal ones the first, as TensorFlow's top_k."""
    places = np.argsort(-scores, axis=1, kind="stable")[:, : max(k, 0)]
    return np.take_along_axis(scores, places, axis=1), places


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # of exp; the result is 0
        return 1 / (1 + np.exp(-logits))
