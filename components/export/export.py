"""The export: a SavedModel that TFMA, TensorFlow Serving and a process with TensorFlow alone can load.

`signatures` says what can be asked. `assets.extra` holds, besides:

- `movies.parquet`: titles and genres for people
- `tf_serving_warmup_requests`: a request a signature, which TensorFlow Serving sends itself before it serves a version
- `tables.json`: where a process without TensorFlow finds the tables of dot products, see `tables`
- `reference_predictions.npz`: what the model says in this process of some hundred rated pairs, and of unknown ids, for
  whoever wants to know whether the export still says the same. It is the Keras model on rows that Transform made, and
  the crowd's figures for unknown users, with nothing of the signatures in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_serving.apis import prediction_log_pb2

from components.export import tables
from components.export.reference import reference
from components.export.signatures import Answering, Serving
from components.export.warm_up import requests
from components.shared.artifacts import EXTRA, MOVIES_FILE, REFERENCE_FILE, WARMUP_FILE
from components.shared.features import MOVIE_KEY, USER_KEY


def read_movies(uri: str) -> pa.Table:
    """Movies table with `movie_id`, `title` (string), `genres` (list of string), `year` (int32 or null)."""
    return pq.read_table(Path(uri) / MOVIES_FILE)


def export(
    path: str,
    likes: Answering,
    retrieval: Answering,
    transform: tft.TFTransformOutput,
    movies: pa.Table,
    rated: np.ndarray,
    rows: Mapping[str, np.ndarray] | None = None,
    similar_shrinkage: float = 0.0,
) -> None:
    """Writes the SavedModel.

    Args:
        path: Folder to write.
        likes: What says how likely a user likes a movie.
        retrieval: What recommends; the same where one model is for both.
        transform: Output of Transform.
        movies: The table of `read_movies`.
        rated: int64 (N, 2), indices of user and movie of every rating.
        rows: Transformed features of M of these ratings, as Transform made them; the reference predictions are of a
            sample of them. None: no reference and no warm-up are written.
        similar_shrinkage: See `components.models.hyperparameters`.
    """
    module = Serving(likes, retrieval, transform, movies, rated, similar_shrinkage)
    tf.saved_model.save(
        module,
        path,
        signatures={
            "serving_default": module.serving_default,
            "transform_features": module.transform_features,
            "predict": module.predict,
            "recommend": module.recommend,
            "score_catalogue": module.score_catalogue,
            "similar_movies": module.similar_movies,
        },
    )
    extra = Path(path) / EXTRA
    extra.mkdir()
    pq.write_table(movies, extra / MOVIES_FILE)
    stored = module.stored()
    if stored:
        names = {"users": USER_KEY, "movies": MOVIE_KEY}
        tables.write(
            Path(path), stored, {name: transform.vocabulary_by_name(key) for name, key in names.items()}
        )
    if rows is not None:
        expected = reference(module, likes, retrieval, transform, rows)
        np.savez_compressed(extra / REFERENCE_FILE, **expected)
        user, movie = str(expected["user_ids"][0]), str(expected["movie_ids"][0])
        with tf.io.TFRecordWriter(str(extra / WARMUP_FILE)) as writer:
            for request in requests(transform, user, movie):
                log = prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=request)
                )
                writer.write(log.SerializeToString())
