"""Asks an export for scores, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from components.shared.saved_models import loaded

_PAIRS = 131_072  # rows of one `predict`
_WHOLE_CATALOGUE = np.iinfo(np.int32).max


class ExportedModel:
    """A SavedModel of `components.export.export`, and of versions of it that had no `score_catalogue` yet.

    Args:
        path: Folder of the SavedModel.
    """

    def __init__(self, path: str) -> None:
        self._loaded = loaded(path)  # the signatures do not keep it alive
        self._signatures: Mapping[str, tf.types.experimental.ConcreteFunction] = self._loaded.signatures

    @property
    def answers(self) -> bool:
        """Whether it says what a user is recommended and what movies are alike."""
        return {"recommend", "similar_movies"} <= set(self._signatures)

    def recommended(self, user_ids: np.ndarray, k: int) -> dict[str, np.ndarray]:
        """What users are recommended of what they have not rated, see `components.export.signatures`.

        Args:
            user_ids: bytes, object (B,).
            k: How many movies.
        """
        answer = self._signatures["recommend"](
            user_ids=tf.constant(user_ids, tf.string), k=tf.constant(k), exclude_rated=tf.constant(True)
        )
        return {key: value.numpy() for key, value in answer.items()}

    def similar(self, movie_ids: np.ndarray, k: int | None) -> tuple[np.ndarray, np.ndarray]:
        """The movies nearest to each of B, bytes (B, K), nearest first, and their likeness, float32 (B, K).

        Args:
            movie_ids: bytes, object (B,).
            k: How many; None: all.
        """
        answer = self._signatures["similar_movies"](
            movie_ids=tf.constant(movie_ids, tf.string), k=tf.constant(_WHOLE_CATALOGUE if k is None else k)
        )
        return answer["movie_ids"].numpy(), answer["scores"].numpy()

    def probabilities(self, user_ids: np.ndarray, movie_ids: np.ndarray) -> np.ndarray:
        """P(like) of pairs of ids; bytes, object (N,) each -> float32 (N,)."""
        parts = [
            self._signatures["predict"](
                user_ids=tf.constant(user_ids[start : start + _PAIRS], tf.string),
                movie_ids=tf.constant(movie_ids[start : start + _PAIRS], tf.string),
            )["probability"].numpy()
            for start in range(0, len(user_ids), _PAIRS)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def catalogue_scores(self, user_ids: np.ndarray, movie_ids: np.ndarray) -> np.ndarray:
        """Scores of movies for users; those of movies that the model cannot recommend are -inf.

        Args:
            user_ids: bytes, object (B,).
            movie_ids: bytes, object (M,).

        Returns:
            float32 (B, M).
        """
        scores = self._own_scores(user_ids)
        place = pc.index_in(
            pa.array(movie_ids, pa.binary()), value_set=pa.array(self._catalogue, pa.binary())
        )
        place = place.fill_null(-1).to_numpy()
        if len(place) == scores.shape[1] and np.array_equal(place, np.arange(len(place))):
            return scores
        # The last column is for those it does not know.
        known = np.concatenate([scores, np.full((len(scores), 1), -np.inf, np.float32)], axis=1)
        return np.take(known, place, axis=1)

    @cached_property
    def _catalogue(self) -> np.ndarray:
        """Ids of the columns of `_own_scores`."""
        if "score_catalogue" in self._signatures:
            nobody = tf.constant([], tf.string)
            return self._signatures["score_catalogue"](user_ids=nobody)["movie_ids"].numpy()
        return np.sort(self._recommended(np.array([b""], object))[0][0])

    def _own_scores(self, user_ids: np.ndarray) -> np.ndarray:
        if "score_catalogue" in self._signatures:
            users = tf.constant(user_ids, tf.string)
            return self._signatures["score_catalogue"](user_ids=users)["scores"].numpy()
        movies, scores = self._recommended(user_ids)
        # Every row holds the whole catalogue: in the order of its ids, the columns are the same movies.
        return np.take_along_axis(scores, np.argsort(movies, axis=1), axis=1)

    def _recommended(self, user_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answer = self._signatures["recommend"](
            user_ids=tf.constant(user_ids, tf.string),
            k=tf.constant(_WHOLE_CATALOGUE),
            exclude_rated=tf.constant(False),
        )
        return answer["movie_ids"].numpy(), answer["scores"].numpy()
