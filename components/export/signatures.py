"""The signatures of an export, as one module of TensorFlow.

Signatures (B: batch, K: results a row):

- `serving_default(examples)`: serialized tf.Examples, string (B,) -> `probability` float32 (B,), `known_user` and
  `known_movie` bool (B,)
- `transform_features(examples)`: the same, with the rating -> transformed features, label included
- `predict(user_ids, movie_ids)`: string (B,) each -> the same
- `recommend(user_ids, k, exclude_rated)`: string (B,), int32, bool -> `movie_ids` string (B, K), `scores` float32
  (B, K), best first, `probability` float32 (B, K), what `predict` says of these movies, and `known` bool (B,)
- `score_catalogue(user_ids)`: string (B,) -> `scores` float32 (B, M) of the whole catalogue, `movie_ids` string (M,) in
  the order of the columns, and `known` bool (B,); for evaluation
- `similar_movies(movie_ids, k)`: string (B,), int32 -> the same, the scores being cosines of the vectors of
  `components.export.similarity`, less for movies with few ratings (`model.similar_shrinkage`)

Two models may be behind them, or one for all: one says how likely a user likes a movie (`serving_default`, `predict`,
`probability`), the other which movies a user watches (`recommend`, `score_catalogue`, `similar_movies`). Its scores are
probabilities of that.

The catalogue is the movies of the train split; K is the smaller of k and its size (for `similar_movies` less one).
Where fewer than K movies are left, a row ends in movie id "", score 0 and probability 0. Every probability comes
through the one transform graph, so that serving cannot differ from training.

An id that training has not seen is no error, and has `known` false (`components.export.cold_start` has the formulas):

- An unknown user is recommended what everybody likes, by a blend of popularity and quality; their probability of a
  movie is its smoothed mean.
- An unknown movie of the movies table has a row and a vector made of its genres and year. It is not in the catalogue.
- Any other movie is scored as an out-of-vocabulary one, with the genres of the request, where the model takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft

from components.export import cold_start, similarity
from components.export.blending import Blend, blended, product_of
from components.export.cold_start import Crowd
from components.export.products import product
from components.export.tables import by_user
from components.models import all_pairs, movie_vectors
from components.shared import features
from components.shared.transform_graph import TransformGraph

USER, MOVIE, GENRES, YEAR = (
    features.transformed_name(key)
    for key in (features.USER_KEY, features.MOVIE_KEY, features.GENRES_KEY, features.YEAR_KEY)
)

# Between the genres of one movie inside the graph; no genre's name holds it.
_SEPARATOR = "\x1f"
# Of the tables: the model that recommends, and the one that says how likely a like is, where that is another.
RETRIEVES, LIKES = "retrieval", "likes"

# `recommend` asks the model of likes for more pairs than these user by user.
_PAIRS = 1 << 19


@dataclass(frozen=True)
class Answering:
    """A model, and what stands in for it where a user is unknown.

    Attributes:
        model: Inputs named after transformed features, output (B, 1).
        crowd: What unknown users are told, from the rows that the model was trained on.
        own_dim: How many dimensions of its movies' vectors are its own, before those of a regression that has joined
            it; None: all.
        other: A model that recommends, whose logits have a part in the probability of a like, by `blend`.
        blend: Which part.
    """

    model: keras.Model
    crowd: Crowd
    own_dim: int | None = None
    other: keras.Model | None = None
    blend: Blend | None = None

    @property
    def whole(self) -> keras.Model:
        """The model, and what has a part in what it says."""
        return blended(self.model, self.other, self.blend) if self.blend else self.model

    def vectors(self, movies: Mapping[str, Any]) -> np.ndarray:
        """Its own vectors, float32 (M, D), of the inputs of M movies by name."""
        return np.asarray(movie_vectors(self.model, movies))[:, : self.own_dim]


class Serving(tf.Module):
    """Models, transform graph and catalogue. Everything it holds is saved with it."""

    def __init__(
        self,
        likes: Answering,
        retrieval: Answering,
        transform: tft.TFTransformOutput,
        movies: pa.Table,
        rated: np.ndarray,
        similar_shrinkage: float = 0.0,
    ) -> None:
        super().__init__(name="marquee")
        model, crowd = retrieval.model, retrieval.crowd
        self.transform_graph = TransformGraph(transform)
        self._label_spec = transform.raw_feature_spec()
        self._request_spec = {
            key: spec
            for key, spec in self._label_spec.items()
            if key in (features.USER_KEY, features.MOVIE_KEY, features.GENRES_KEY)
        }
        self._genres = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(movies["movie_id"].to_pylist(), tf.string),
                tf.constant([_SEPARATOR.join(genres) for genres in movies["genres"].to_pylist()], tf.string),
            ),
            default_value="",
        )
        self._years = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(movies["movie_id"].to_pylist(), tf.string),
                tf.constant([features.year_bucket(year) for year in movies["year"].to_pylist()], tf.int64),
            ),
            default_value=0,
        )
        catalogue = transform.vocabulary_by_name(features.MOVIE_KEY)
        users = transform.vocabulary_by_name(features.USER_KEY)
        self._num_users = len(users)
        # A row of each known user, as the transform graph gives it, and that of all others. The graph itself looks up
        # movies and genres as well.
        self._users = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                transform.vocabulary_file_by_name(features.USER_KEY),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            default_value=self._num_users,
        )
        self._num_movies = len(catalogue)
        # The order of the rows of a movie: vocabulary, out-of-vocabulary buckets, cold movies.
        buckets = transform.num_buckets_for_transformed_feature(MOVIE) - len(catalogue)
        self.cold_ids = sorted({id_.encode() for id_ in movies["movie_id"].to_pylist()} - {*catalogue})
        # A table without entries cannot be loaded; no movie has an empty id.
        cold_rows = {id_: row for row, id_ in enumerate(self.cold_ids, len(catalogue) + buckets)} or {b"": -1}
        self._cold = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(list(cold_rows), tf.string), tf.constant(list(cold_rows.values()), tf.int64)
            ),
            default_value=-1,
        )
        ids = tf.constant([*catalogue, *self.cold_ids], tf.string)
        rows = self.transformed(tf.fill(tf.shape(ids), ""), ids)
        size = transform.num_buckets_for_transformed_feature(GENRES)
        columns = cold_start.design(rows[GENRES].numpy(), rows[YEAR].numpy(), size)
        known, cold = columns[: len(catalogue)], columns[len(catalogue) :]
        asked = cold_start.with_cold_movies(likes.model, known, likes.crowd.counts, cold)
        if likes.blend:
            other = cold_start.with_cold_movies(likes.other, known, crowd.counts, cold)
            asked = blended(asked, other, likes.blend)
        self._inputs = [tensor.name for tensor in asked.inputs]
        of_cold = cold_start.cold_probability(likes.crowd, known, cold)
        # Variables, not constants: a graph is limited to 2 GB.
        self._means = tf.Variable(np.append(likes.crowd.probability, of_cold), trainable=False, name="means")
        self._blend = tf.Variable(crowd.blend, trainable=False, name="blend")
        self._movie_ids = tf.Variable([*catalogue, b""], trainable=False, name="catalogue")
        self.catalogue = {
            key: tf.Variable(rows[key][: len(catalogue)], trainable=False, name=f"catalogue_{key}")
            for key in (MOVIE, GENRES, YEAR)
        }
        of_catalogue = {key: values.numpy() for key, values in self.catalogue.items()}
        self._same = likes is retrieval
        told = {RETRIEVES: (model, crowd.blend)}
        if not self._same:
            told[LIKES] = likes.model, likes.crowd.probability[: self._num_movies]
        self.products = {
            name: product(of, self._num_users, of_catalogue, by_crowd)
            for name, (of, by_crowd) in told.items()
        }
        if likes.blend:
            other = product(likes.other, self._num_users, of_catalogue, crowd.blend)
            own = self.products[LIKES]
            self.products[LIKES] = product_of(own, other, likes.blend) if own and other else None
        self._tables = {
            name: [
                tf.Variable(values, trainable=False, name=f"{name}_{key}") for key, values in vars(of).items()
            ]
            for name, of in self.products.items()
            if of
        }
        # The model itself, where there is no table of it. A namespace is not saved: of Keras a graph needs variables
        # alone, and to save all else takes a third of a CPU second.
        retrieves = None if RETRIEVES in self._tables else asked if self._same else model
        self.models = SimpleNamespace(likes=asked, retrieval=retrieves)
        self._variables = [variable.value for of in (asked, retrieves) if of for variable in of.variables]

        # The out-of-vocabulary buckets have neither genres nor a year.
        nothing = {GENRES: -1, YEAR: 0}
        trained = {MOVIE: tf.range(len(catalogue) + buckets, dtype=tf.int64)}
        for key, none in nothing.items():
            of_buckets = tf.fill([buckets, *rows[key].shape[1:]], tf.constant(none, rows[key].dtype))
            trained[key] = tf.concat([self.catalogue[key], of_buckets], axis=0)
        vectors = similarity.comparable(retrieval.vectors(trained), crowd.counts, known, cold)
        self._directions = tf.Variable(
            tf.math.l2_normalize(tf.constant(vectors, tf.float32), axis=1), trainable=False, name="directions"
        )
        support = similarity.support(crowd.counts[: self._num_movies], similar_shrinkage)
        self.support = tf.Variable(support, trainable=False, name="support")
        offsets, movie_of_rating = by_user(
            rated, transform.num_buckets_for_transformed_feature(USER), self._num_users, self._num_movies
        )
        self._offsets = tf.Variable(offsets, trainable=False, name="rated_offsets")
        self._rated = tf.Variable(movie_of_rating, trainable=False, name="rated_movies")

    def stored(self) -> dict[str, np.ndarray]:
        """What `components.export.tables` answers by, of the names there; empty where a model has no table."""
        if len(self._tables) < len(self.products):
            return {}
        held = [self._means, self._directions, self.support, self._offsets, self._rated]
        held += [of for pair in self._tables.values() for of in pair]
        return {of.name.split(":")[0]: of.numpy() for of in held}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False)
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(examples, self._request_spec)
        rows = self.transformed(raw[features.USER_KEY], raw[features.MOVIE_KEY], raw[features.GENRES_KEY])
        return self._prediction(rows)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False)
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.transform_graph(tf.io.parse_example(examples, self._label_spec))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="user_ids"),
            tf.TensorSpec([None], tf.string, name="movie_ids"),
        ],
        autograph=False,
    )
    def predict(self, user_ids: tf.Tensor, movie_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        same = tf.debugging.assert_equal(
            tf.shape(user_ids), tf.shape(movie_ids), "user_ids and movie_ids must have the same length"
        )
        with tf.control_dependencies([same]):  # or another operation may fail first, and say less
            user_ids = tf.identity(user_ids)
        return self._prediction(self.transformed(user_ids, movie_ids))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="user_ids"),
            tf.TensorSpec([], tf.int32, name="k"),
            tf.TensorSpec([], tf.bool, name="exclude_rated"),
        ],
        autograph=False,
    )
    def recommend(self, user_ids: tf.Tensor, k: tf.Tensor, exclude_rated: tf.Tensor) -> dict[str, tf.Tensor]:
        users = self._users.lookup(user_ids)
        scores = self._without_rated(self._all_scores(users), users, exclude_rated)
        top, places = tf.math.top_k(scores, tf.clip_by_value(k, 0, self._num_movies))
        real = top > -np.inf
        if RETRIEVES in self._tables:
            # The sigmoids of logits that are nearly the same may differ the other way, in the last bit.
            top = tf.sort(tf.sigmoid(top), direction="DESCENDING")
        if self._same:
            liked = tf.where((users < self._num_users)[:, None], top, tf.gather(self._means, places))
        else:
            few = tf.size(places) <= _PAIRS
            liked = tf.cond(
                few, lambda: self._liked(users, places), lambda: self._liked_by_user(users, places)
            )
        return {
            "movie_ids": tf.gather(self._movie_ids, tf.where(real, places, self._num_movies)),
            "scores": tf.where(real, top, 0.0),
            "probability": tf.where(real, liked, 0.0),
            "known": users < self._num_users,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="user_ids")], autograph=False)
    def score_catalogue(self, user_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        users = self._users.lookup(user_ids)
        scores = self._all_scores(users)
        return {
            "scores": tf.sigmoid(scores) if RETRIEVES in self._tables else scores,
            "movie_ids": self._movie_ids[: self._num_movies],
            "known": users < self._num_users,
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="movie_ids"),
            tf.TensorSpec([], tf.int32, name="k"),
        ],
        autograph=False,
    )
    def similar_movies(self, movie_ids: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        movies = self.transformed(tf.fill(tf.shape(movie_ids), ""), movie_ids)[MOVIE]
        cosines = tf.matmul(
            tf.gather(self._directions, movies), self._directions[: self._num_movies], transpose_b=True
        )
        itself = tf.one_hot(movies, self._num_movies, on_value=True, off_value=False)
        scores = tf.where(itself, -np.inf, cosines * self.support)
        top, places = tf.math.top_k(scores, tf.clip_by_value(k, 0, self._num_movies - 1))
        return {
            "movie_ids": tf.gather(self._movie_ids, places),
            "scores": top,
            "known": movies < self._num_movies,
        }

    def transformed(
        self, user_ids: tf.Tensor, movie_ids: tf.Tensor, genres: tf.SparseTensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Transformed features; the movies table fills in for a row whose genres are not given."""
        joined = self._genres.lookup(movie_ids)
        if genres is not None:
            ragged = tf.RaggedTensor.from_sparse(genres)
            given = tf.strings.reduce_join(ragged, axis=1, separator=_SEPARATOR)
            joined = tf.where(ragged.row_lengths() > 0, given, joined)
        # split() makes one empty string of an empty one, which is not a genre.
        split = tf.strings.split(joined, _SEPARATOR)
        split = tf.ragged.boolean_mask(split, split != "")
        rows = self.transform_graph(
            {
                features.USER_KEY: user_ids,
                features.MOVIE_KEY: movie_ids,
                features.GENRES_KEY: split.to_sparse(),
            }
        )
        cold = self._cold.lookup(movie_ids)
        return {
            USER: rows[USER],
            MOVIE: tf.where(cold >= 0, cold, rows[MOVIE]),
            GENRES: tf.sparse.to_dense(rows[GENRES], -1),
            YEAR: self._years.lookup(movie_ids),
        }

    def _prediction(self, rows: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What `predict` answers, for transformed features."""
        known_user = rows[USER] < self._num_users
        own = tf.reshape(self.models.likes({key: rows[key] for key in self._inputs}, training=False), [-1])
        return {
            "probability": tf.where(known_user, own, tf.gather(self._means, rows[MOVIE])),
            "known_user": known_user,
            "known_movie": rows[MOVIE] < self._num_movies,
        }

    def _all_scores(self, users: tf.Tensor) -> tf.Tensor:
        """Scores of the whole catalogue, (B, M), for users (B,): logits where there are tables, else probabilities."""
        if RETRIEVES in self._tables:
            of_users, of_movies = self._tables[RETRIEVES]
            return tf.matmul(tf.gather(of_users, users), of_movies, transpose_b=True)
        movies = {key: tf.identity(values) for key, values in self.catalogue.items()}
        # User by user, as all rows of a batch at once may not fit the memory.
        scores = tf.map_fn(
            lambda user: all_pairs(self.models.retrieval, {USER: user[None]}, movies),
            users,
            fn_output_signature=tf.float32,
        )
        scores = tf.reshape(scores, [-1, self._num_movies])
        return tf.where((users < self._num_users)[:, None], scores, self._blend)

    def _liked(self, users: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """What `predict` answers for users (B,) and K movies of the catalogue each, (B, K)."""
        if LIKES in self._tables:
            of_users, of_movies = self._tables[LIKES]
            products = tf.gather(of_users, users)[:, None] * tf.gather(of_movies, places)
            return tf.sigmoid(tf.reduce_sum(products, axis=2))
        flat = tf.reshape(places, [-1])
        rows = {key: tf.gather(values, flat) for key, values in self.catalogue.items()}
        rows[USER] = tf.repeat(users, tf.shape(places)[1])
        return tf.reshape(self._prediction(rows)["probability"], tf.shape(places))

    def _liked_by_user(self, users: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """The same, as all rows of a batch at once may not fit the memory."""
        return tf.map_fn(
            lambda one: self._liked(one[0][None], one[1][None])[0],
            (users, places),
            fn_output_signature=tf.float32,
        )

    def _without_rated(self, scores: tf.Tensor, users: tf.Tensor, exclude: tf.Tensor) -> tf.Tensor:
        """The scores with those of rated movies at minus infinity, where they are to be excluded."""
        rated = tf.RaggedTensor.from_row_splits(self._rated, self._offsets, validate=False)
        movies = tf.gather(rated, tf.where(exclude, users, self._num_users)).to_sparse()  # unknown: none
        places = movies.indices[:, 0] * self._num_movies + tf.cast(movies.values, tf.int64)
        # tensor_scatter_nd_update takes longer. The check would refuse what was rated twice.
        added = tf.raw_ops.SparseToDense(
            sparse_indices=places,
            output_shape=tf.size(scores, tf.int64)[None],
            sparse_values=-np.inf,
            default_value=0.0,
            validate_indices=False,
        )
        return scores + tf.reshape(added, tf.shape(scores))
