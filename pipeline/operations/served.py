"""Asks the pushed model: recommendations and similar movies, with titles and genres.

By its tables alone, where it has them; TensorFlow takes seconds to import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.export import tables
from components.pusher.versions import missing, versions
from components.shared.errors import ModelError
from components.shared.features import titled
from components.shared.imports import left_out


def tensorflow() -> Any:
    """TensorFlow; where it is imported here, without what no export needs: with Keras it takes twice as long."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules:
        with left_out("keras", "tf_keras", "googleapiclient", "h5py", "oauth2client", "scipy"):
            import_module("tensorflow")
    return sys.modules["tensorflow"]


@dataclass(frozen=True)
class Movie:
    """One row of the movies table."""

    id: str
    title: str
    genres: list[str]
    year: int | None = None

    def __str__(self) -> str:
        return titled(self.title, self.year)


@dataclass(frozen=True)
class Answer:
    """For one id that was asked for: whether the model knows it, and the movies, best first, with scores.

    `probability` has that of a like for each of the movies, where a user's are asked for.
    """

    asked: str
    known: bool
    movies: list[tuple[Movie, float]]
    probability: list[float] | None = None


class ServedModel:
    """A pushed version, the newest unless another is asked for.

    TensorFlow is loaded at the first question that its tables cannot answer.

    Raises:
        ModelError: Nothing has been pushed, or not this version, or it is damaged; any question may raise the last.
    """

    def __init__(self, serving_model_dir: Path, version: str | None = None) -> None:
        pushed = versions(serving_model_dir)
        if not pushed:
            raise ModelError(
                "No model has been pushed yet.",
                where=str(serving_model_dir),
                expected="a pushed version",
                fix="run `marquee run` first",
            )
        self.path = next((one for one in pushed if one.name == version), pushed[-1])
        if version not in (None, self.path.name):
            raise ModelError(
                "There is no such version.",
                where=str(serving_model_dir),
                found=version,
                expected=f"one of {', '.join(one.name for one in pushed)}",
                fix="`marquee history` shows them",
            )
        lacking = missing(self.path)
        if lacking:
            raise self._damaged(f"{lacking} is missing")

    @cached_property
    def movies(self) -> dict[str, Movie]:
        """The movies table by id."""
        columns = ["movie_id", "title", "genres", "year"]
        try:
            table = pq.read_table(self.path / "assets.extra" / "movies.parquet")
            rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
        except (OSError, pa.ArrowException, KeyError) as error:
            raise self._damaged(str(error)) from None
        return {row[0]: Movie(*row) for row in rows}

    def recommend(self, user_ids: Sequence[str], k: int, exclude_rated: bool) -> list[Answer]:
        """The k best movies for each user, without those the user has rated where `exclude_rated`."""
        if self._tables:
            ids = list(map(os.fsencode, user_ids))
            return self._answers(user_ids, self._tables.recommend(ids, k, exclude_rated))
        return self._answers(user_ids, self.recommended(user_ids, k, exclude_rated))

    def recommended(self, user_ids: Sequence[str], k: int, exclude_rated: bool) -> dict[str, Any]:
        """The same as tensors: what the signature `recommend` answers."""
        tf = tensorflow()

        answer: dict[str, Any] = self._signatures["recommend"](
            user_ids=tf.constant(list(map(os.fsencode, user_ids)), tf.string),
            k=tf.constant(k),
            exclude_rated=tf.constant(exclude_rated),
        )
        return answer

    def similar(self, movie_ids: Sequence[str], k: int) -> list[Answer]:
        """The k movies nearest to each in the model's embedding, with their likeness."""
        ids = list(map(os.fsencode, movie_ids))
        if self._tables:
            answer = self._tables.similar(ids, k, [id_.encode() for id_ in self.movies])
            if answer:
                return self._answers(movie_ids, answer)
        tf = tensorflow()

        answer = self._signatures["similar_movies"](movie_ids=tf.constant(ids), k=tf.constant(k))
        return self._answers(movie_ids, answer)

    def find(self, text: str) -> Movie:
        """The movie with this id, this title, with its year or not, or the only one with this in its title.

        Case does not matter.

        Raises:
            ModelError: There is none, or more than one.
        """
        if text in self.movies:
            return self.movies[text]
        wanted = text.casefold()
        exact = [
            movie
            for movie in self.movies.values()
            if wanted in (movie.title.casefold(), str(movie).casefold())
        ]
        found = exact or [movie for movie in self.movies.values() if wanted in str(movie).casefold()]
        if len(found) == 1:
            return found[0]
        if not found:
            raise ModelError(
                "No movie has this id or title.",
                where=str(self.path),
                found=repr(text),
                expected="an id or a part of a title in the movies table",
                fix=_nearest(text, [movie.title for movie in self.movies.values()]),
            )
        # The catalogue is a vocabulary, most rated first; what is not in it was not rated in train.
        place = {id_: number for number, id_ in enumerate(self._catalogue())}
        found.sort(key=lambda movie: place.get(movie.id, len(place)))
        shown = ", ".join(f"{movie.id} {movie}" for movie in found[:8])
        raise ModelError(
            f"{len(found)} movies have this in their title.",
            found=shown + (", ..." if len(found) > 8 else ""),
            expected="one movie",
            fix="give the id",
        )

    def _catalogue(self) -> list[str]:
        """Ids of the movies that can be recommended, most rated first."""
        if self._tables:
            return [id_.decode() for id_ in self._tables.movies]
        tf = tensorflow()

        answer = self._signatures["score_catalogue"](user_ids=tf.constant([], tf.string))
        return [id_.decode() for id_ in answer["movie_ids"].numpy()]

    @cached_property
    def _tables(self) -> tables.Tables | None:
        try:
            return tables.read(self.path)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise self._damaged(str(error)) from None

    @cached_property
    def _signatures(self) -> Any:
        tf = tensorflow()

        try:
            self._loaded = tf.saved_model.load(str(self.path))  # the signatures do not keep it alive
        except (OSError, ValueError, RuntimeError, LookupError, tf.errors.OpError) as error:
            raise self._damaged(str(error).splitlines()[0]) from None
        return self._loaded.signatures

    def _damaged(self, found: str) -> ModelError:
        return ModelError(
            "The served model is damaged.",
            where=str(self.path),
            found=found,
            fix="`marquee run` brings the version back as it was pushed; `marquee rollback` serves the one before",
        )

    def _answers(self, asked: Sequence[str], answer: dict[str, Any]) -> list[Answer]:
        known, ids, scores = (np.asarray(answer[key]) for key in ("known", "movie_ids", "scores"))
        # Versions of before have none.
        liked = np.asarray(answer["probability"]) if "probability" in answer else None
        found = []
        for row, id_ in enumerate(asked):
            real = [(place, key.decode()) for place, key in enumerate(ids[row]) if key]
            movies = [
                (self.movies.get(key, Movie(key, "", [])), float(scores[row, place])) for place, key in real
            ]
            probability = None if liked is None else [float(liked[row, place]) for place, _ in real]
            found.append(Answer(id_, bool(known[row]), movies, probability))
        return found


def _nearest(text: str, titles: Sequence[str]) -> str | None:
    import difflib

    close = difflib.get_close_matches(text, titles, n=3, cutoff=0.5)
    return "did you mean " + " or ".join(map(repr, close)) + "?" if close else None
