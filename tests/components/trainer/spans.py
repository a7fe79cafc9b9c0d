"""Two spans of MovieLens 100K in time as arrays: the first ratings, and all; as ExampleGen and Transform make them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from components.example_gen import splits
from components.example_gen.builtin import movielens_100k
from components.models import VocabularySizes
from components.shared.features import GENRES_KEY, MOVIE_KEY, USER_KEY, VOCABULARY_KEYS


@dataclass(frozen=True)
class Span:
    """What a Trainer reads of one span: rows and labels by split, the catalogue, and the vocabularies."""

    train: tuple[dict[str, np.ndarray], np.ndarray]
    held: tuple[dict[str, np.ndarray], np.ndarray]
    catalogue: Mapping[str, np.ndarray]
    tokens: Mapping[str, Sequence[bytes]]

    @property
    def sizes(self) -> VocabularySizes:
        return VocabularySizes(**{key: len(self.tokens[key]) + 1 for key in VOCABULARY_KEYS})


@cache
def spans(method: str = "user_time", share: float = 0.7) -> tuple[Span, Span]:
    """The first `share` of the ratings in time, and all of them, each split as a run would."""
    log, genres = _movielens()
    log = log[np.argsort(log["timestamp"], kind="stable")]
    return _span(log[: int(share * len(log))], genres, method), _span(log, genres, method)


def _movielens() -> tuple[np.ndarray, dict[bytes, list[bytes]]]:
    folder = Path(movielens_100k())
    kinds = [("user_id", "S8"), ("movie_id", "S8"), ("rating", "f4"), ("timestamp", "i8")]
    with (folder / "ml-100k.inter").open(encoding="utf-8") as file:
        rows = [tuple(row) for row in csv.reader(file, delimiter="\t")][1:]
    with (folder / "ml-100k.item").open(encoding="utf-8") as file:
        movies = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    log = np.array([(u.encode(), m.encode(), float(r), int(float(t))) for u, m, r, t in rows], kinds)
    return log, {movie[0].encode(): [name.encode() for name in movie[3].split()] for movie in movies}


def _span(log: np.ndarray, genres: Mapping[bytes, list[bytes]], method: str) -> Span:
    users = np.unique(log["user_id"], return_inverse=True)[1]
    if method == "user_time":
        split = splits.user_time(users, list(map(str, range(users.max() + 1))), log["timestamp"], 0.1, 0.2)
    else:
        moments, counts = np.unique(log["timestamp"], return_counts=True)
        split = splits.by_time(log["timestamp"], splits.time_cuts(moments, counts, 0.1, 0.2))
    train, held = log[split == splits.TRAIN], log[split == splits.EVAL]
    tokens = {key: _vocabulary(train[key].tolist()) for key in (USER_KEY, MOVIE_KEY)}
    tokens[GENRES_KEY] = _vocabulary([name for movie in train["movie_id"].tolist() for name in genres[movie]])
    index = {key: {token: i for i, token in enumerate(of)} for key, of in tokens.items()}
    catalogue = np.full((len(tokens[MOVIE_KEY]) + 1, max(map(len, genres.values()))), -1, np.int32)
    for at, movie in enumerate(tokens[MOVIE_KEY]):
        of = [index[GENRES_KEY][name] for name in genres[movie]]
        catalogue[at, : len(of)] = of

    def rows(part: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        x = {
            f"{key}_xf": np.array(
                [index[key].get(id_, len(index[key])) for id_ in part[key].tolist()], np.int32
            )
            for key in (USER_KEY, MOVIE_KEY)
        }
        return x, (part["rating"] >= 4).astype(np.int8)

    years = np.zeros(len(catalogue), np.int32)
    return Span(rows(train), rows(held), {"genres_xf": catalogue, "year_xf": years}, tokens)


def _vocabulary(values: Sequence[bytes]) -> list[bytes]:
    """Most frequent first, as Transform's."""
    found, counts = np.unique(np.array(values), return_counts=True)
    return found[np.lexsort((found, -counts))].tolist()
