"""Sample users: what they like beside what they are recommended, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.report.data import batches
from components.shared.artifacts import MOVIES_FILE
from components.shared.features import (
    GENRES_KEY,
    MOVIE_KEY,
    RATING_KEY,
    SPLITS,
    TIMESTAMP_KEY,
    TITLE_KEY,
    USER_KEY,
    YEAR_KEY,
    titled,
)

_LIKED = 10  # of what a user likes, so many


@dataclass(frozen=True)
class Recommended:
    """A movie: `score` of it, `probability` of a like, and `because`, the title of a liked one that is most like it."""

    title: str
    genres: str
    score: float
    probability: float
    because: str


@dataclass(frozen=True)
class Person:
    """A user: `kind` of typical, light, heavy or new, what they rated best, with the rating, and are recommended."""

    kind: str
    user_id: str
    known: bool
    num_train: int
    likes: list[tuple[str, str, float]]
    recommended: list[Recommended]


def people(
    answers: Sequence[dict[str, Any]], examples_uri: str, movies_uri: str, min_rating: float
) -> list[Person]:
    """Of the `users` of answers.json."""
    if not answers or not (Path(movies_uri) / MOVIES_FILE).is_file():
        return []
    table = pq.read_table(Path(movies_uri) / MOVIES_FILE)
    of_movies = zip(*(table[key].to_pylist() for key in (MOVIE_KEY, TITLE_KEY, YEAR_KEY)), strict=True)
    titles = {id_: titled(title or id_, year) for id_, title, year in of_movies}
    genres = dict(zip(table[MOVIE_KEY].to_pylist(), table[GENRES_KEY].to_pylist(), strict=True))
    wanted = pa.array([one["user_id"].encode() for one in answers], pa.binary())
    rows: list[dict[str, Any]] = []
    names = (USER_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY)
    for split in SPLITS:
        for part in batches(examples_uri, split, names):
            user, rating = part.column(0), part.column(2)
            of_users = pc.is_in(user.dictionary, value_set=wanted).take(user.indices)
            rows += part.filter(pc.and_(of_users, pc.greater_equal(rating, min_rating))).to_pylist()

    def title(id_: str) -> str:
        return titles.get(id_) or id_

    def of(id_: str) -> str:
        return ", ".join(genres.get(id_) or [])

    found = []
    for one in answers:
        own = [row for row in rows if row[USER_KEY].decode("utf-8", "replace") == one["user_id"]]
        own.sort(key=lambda row: (-row[RATING_KEY], -(row[TIMESTAMP_KEY] or 0), row[MOVIE_KEY]))
        liked = [(row[MOVIE_KEY].decode("utf-8", "replace"), row[RATING_KEY]) for row in own[:_LIKED]]
        recommended = [
            Recommended(title(id_), of(id_), score, probability, title(because) if because else "")
            for id_, score, probability, because in zip(
                one["movie_ids"], one["scores"], one["probability"], one["because"], strict=True
            )
        ]
        likes = [(title(id_), of(id_), rating) for id_, rating in liked]
        found.append(Person(one["kind"], one["user_id"], one["known"], one["num_train"], likes, recommended))
    return found
