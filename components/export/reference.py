"""The reference predictions of an export: what the model says in the process that trained it."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components.export.cold_start import design
from components.export.signatures import GENRES, MOVIE, USER, YEAR, Answering, Serving
from components.export.similarity import comparable
from components.models import all_pairs
from components.shared import features

# Ids of the reference that no vocabulary may hold.
UNKNOWN_USER, UNKNOWN_MOVIE = "no such user", "no such movie"


_REFERENCE_PAIRS, _REFERENCE_COSINES = 256, 64
_REFERENCE_USERS, _REFERENCE_MOVIES = 16, 64  # of the scores


def reference(
    module: Serving,
    likes: Answering,
    retrieval: Answering,
    transform: tft.TFTransformOutput,
    rows: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """What the models say in this process, by names that `components.serving_validator.probe` reads.

    Returns:
        `user_ids`, `movie_ids` (string), `probability` (float32), all (P,): a sample of the known pairs among `rows`,
        spread evenly, then pairs with a cold movie, an unknown user, an unknown movie, or both; `num_rated`: how many
        of the P are from `rows`; `num_cold`: how many have a cold movie; `score_users` (string), (U,), `score_movies`
        (string), (S,), `scores` (float32), (U, S): those of known users and movies; `similar_from`, `similar_to`
        (string), `cosine` (float32), all (C,); `catalogue` (string) and `blend` (float32), both (num_movies,).
    """
    users, movies = (
        np.array([id_.decode() for id_ in transform.vocabulary_by_name(key)])
        for key in (features.USER_KEY, features.MOVIE_KEY)
    )
    known = np.flatnonzero((rows[USER] < len(users)) & (rows[MOVIE] < len(movies)))
    sample = known[np.unique(np.linspace(0, len(known) - 1, min(len(known), _REFERENCE_PAIRS)).astype(int))]
    user, movie, genres, year = (np.asarray(rows[key])[sample] for key in (USER, MOVIE, GENRES, YEAR))
    # An unknown movie goes where the transform graph hashes it to; one that the table lacks has no genres.
    hashed = module.transform_graph(
        {
            features.USER_KEY: tf.constant([UNKNOWN_USER]),
            features.MOVIE_KEY: tf.constant([UNKNOWN_MOVIE]),
            features.GENRES_KEY: tf.sparse.from_dense([[""]]),
        }
    )
    few = slice(0, 16)
    none = np.full_like(genres[few], -1)
    bucket = int(hashed[MOVIE][0])
    parts = [
        (user, movie, genres, year),
        (user[few], np.full_like(movie[few], bucket), none, np.zeros(len(none), int)),
    ]
    whole = likes.whole
    probability = [_predicted(whole, *part) for part in parts]
    # Cold movies have rows in the extended model alone.
    cold = module.cold_ids[: len(user[few])]
    of_cold = module.transformed(tf.fill([len(cold)], ""), tf.constant(cold, tf.string))
    extended = _predicted(
        module.models.likes, user[few][: len(cold)], *(of_cold[key].numpy() for key in (MOVIE, GENRES, YEAR))
    )
    known_users, stranger = users[user], [UNKNOWN_USER] * len(user[few])
    near = np.unique(movie)
    near = near[np.linspace(0, len(near) - 1, _REFERENCE_COSINES + 1).astype(int)]
    of_catalogue = {key: values.numpy() for key, values in module.catalogue.items()}
    size = transform.num_buckets_for_transformed_feature(GENRES)
    columns = design(of_catalogue[GENRES], of_catalogue[YEAR], size)
    counts = retrieval.crowd.counts[: len(movies)]
    vectors = comparable(retrieval.vectors(of_catalogue), counts, columns, columns[:0])[near]
    vectors = vectors / np.sqrt(np.maximum(np.square(vectors).sum(axis=1, keepdims=True), 1e-12))
    different = near[:-1] != near[1:]
    cosines = (vectors[:-1] * vectors[1:]).sum(axis=1)
    crowd = likes.crowd
    asked = np.unique(user)[:_REFERENCE_USERS]
    listed = np.unique(np.linspace(0, len(movies) - 1, _REFERENCE_MOVIES).astype(int))
    of_listed = {key: tf.gather(values, listed) for key, values in module.catalogue.items()}
    return {
        "user_ids": np.concatenate(
            [known_users, known_users[few][: len(cold)], stranger, known_users[few], [UNKNOWN_USER]]
        ),
        "movie_ids": np.concatenate(
            [
                movies[movie],
                np.array([id_.decode() for id_ in cold], str),
                movies[movie[few]],
                [UNKNOWN_MOVIE] * len(stranger),
                [UNKNOWN_MOVIE],
            ]
        ),
        "probability": np.concatenate(
            [
                probability[0],
                extended,
                crowd.probability[movie[few]],
                probability[1],
                crowd.probability[[bucket]],
            ]
        ).astype(np.float32),
        "num_rated": np.array(len(sample)),
        "num_cold": np.array(len(cold)),
        "score_users": users[asked],
        "score_movies": movies[listed],
        "scores": np.asarray(all_pairs(retrieval.model, {USER: tf.constant(asked)}, of_listed), np.float32),
        "similar_from": movies[near[:-1]][different],
        "similar_to": movies[near[1:]][different],
        "cosine": (cosines * module.support.numpy()[near[1:]]).astype(np.float32)[different],
        "catalogue": movies,
        "blend": retrieval.crowd.blend,
    }


def _predicted(
    model: keras.Model, user: np.ndarray, movie: np.ndarray, genres: np.ndarray, year: np.ndarray
) -> np.ndarray:
    """The model's own probabilities of rows, float32 (P,)."""
    if not len(user):
        return np.zeros(0, np.float32)  # Keras takes no empty batch where it adds layers
    rows = {USER: user, MOVIE: movie, GENRES: genres, YEAR: year}
    return np.asarray(
        model({tensor.name: rows[tensor.name] for tensor in model.inputs}, training=False)
    ).reshape(-1)
