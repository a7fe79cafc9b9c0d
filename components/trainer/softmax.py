"""The softmax over the whole catalogue, or over a sample of a large one; `losses` has the sources."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from components.models import pair_vectors
from components.models.hyperparameters import ModelConfig
from components.trainer.rows import MOVIE, USER, Rows
from components.trainer.tasks import (
    ADDED,
    LABEL,
    Given,
    Part,
    Task,
    frequencies,
    number_of_steps,
    penalty_of_tables,
    shuffled,
    whole_part,
)

_A_USER = "a_user"
# Steps of an epoch, where batches of at most so many times the configured size suffice for that.
_MOST_STEPS, _LARGER = 64, 8
_WIDTH = 1024


@dataclass(frozen=True)
class _Baskets:
    """What each user has rated: of the users (A,) the rows from offset to offset, with movies and weights (N,)."""

    users: np.ndarray
    offsets: np.ndarray
    movies: np.ndarray
    weights: np.ndarray

    @staticmethod
    def of(config: ModelConfig, rows: Rows) -> _Baskets:
        weights = np.where(rows.y > 0.5, 1.0, config.rest_weight).astype(np.float32)
        at = np.flatnonzero(weights)
        at = at[np.argsort(rows.x[USER][at], kind="stable")]
        users, first = np.unique(rows.x[USER][at], return_index=True)
        return _Baskets(users, np.append(first, len(at)), rows.x[MOVIE][at], weights[at])

    def rows(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of some users' rows: which of the users it is, the movie, the weight."""
        lengths = self.offsets[chosen + 1] - self.offsets[chosen]
        first = np.repeat(self.offsets[chosen] - np.append(0, np.cumsum(lengths)[:-1]), lengths)
        at = first + np.arange(len(first))
        return np.repeat(np.arange(len(chosen)), lengths), self.movies[at], self.weights[at]


def softmax(config: ModelConfig, model: keras.Model, rows: Rows, others: int) -> Task:
    baskets, number = _Baskets.of(config, rows), rows.sizes.movie_id
    active, rated = len(baskets.users), np.bincount(baskets.movies, minlength=number) > 0
    batch_size = config.batch_size
    if config.max_steps:
        batch_size = min(max(math.ceil(active / _MOST_STEPS), batch_size), _LARGER * batch_size)
    if rated.sum() > 2 * config.softmax_sample:
        return _sampled_softmax(config, model, rows, baskets, np.flatnonzero(rated), batch_size)
    at_once = max(min(config.memory_mb * 2**20 // (4 * number), active), 1)
    catalogue = rows.movie_inputs(tf.range(number))
    # An index that no row has, such as the out-of-vocabulary one, is no candidate.
    unseen = np.where(rated, 0.0, -1e9)
    of_step = _softmax_of_step(config, model)

    def parts(random: np.random.Generator) -> Iterator[Part]:
        everybody = random.permutation(active)
        for start in range(0, active, at_once):
            chosen = everybody[start : start + at_once]
            targets = np.zeros((len(chosen), number), np.float32)
            place, movies, weights = baskets.rows(chosen)
            targets[place, movies] = weights
            arrays = {USER: baskets.users[chosen].astype(np.int32), LABEL: targets}
            yield whole_part(arrays, shuffled(random, len(chosen), batch_size))

    def loss(batch: dict[str, tf.Tensor], step: tf.Tensor, strength: tf.Tensor, given: Given) -> tf.Tensor:
        return of_step(batch[USER], catalogue, batch[LABEL], given[ADDED], step, strength, given)

    asked = {ADDED: unseen, **_of_baskets(config, model, rows, baskets)}
    return Task(parts, loss, len(baskets.movies), number_of_steps(active, batch_size), asked, lazy_users=True)


def _sampled_softmax(
    config: ModelConfig,
    model: keras.Model,
    rows: Rows,
    baskets: _Baskets,
    catalogue: np.ndarray,
    batch_size: int,
) -> Task:
    """The softmax of a step over what its users have rated, and some of the other movies.

    Those are drawn without replacement, and the logit of each gains the log of how many it stands for, so that the
    denominator is that of the whole catalogue on average. A row of a part is a step.
    """
    active = len(baskets.users)
    steps = number_of_steps(active, batch_size)
    of_step = _softmax_of_step(config, model)

    def made(random: np.random.Generator, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place, movies, weights = baskets.rows(chosen)
        own = np.unique(movies)
        others = np.setdiff1d(catalogue, own, assume_unique=True)
        drawn = random.choice(others, min(config.softmax_sample, len(others)), replace=False)
        targets = np.zeros((len(chosen), len(own) + len(drawn)), np.float32)
        targets[place, np.searchsorted(own, movies)] = weights
        stands_for = np.repeat([1.0, len(others) / max(len(drawn), 1)], [len(own), len(drawn)])
        return np.concatenate([own, drawn]), np.log(stands_for), targets

    def parts(random: np.random.Generator) -> Iterator[Part]:
        order = shuffled(random, active, batch_size)
        of_a_step = 4 * order.shape[1] * min(2 * config.softmax_sample, len(catalogue))
        at_once = max(config.memory_mb * 2**20 // of_a_step, 1)
        for start in range(0, len(order), at_once):
            chosen = order[start : start + at_once]
            found = [made(random, users) for users in chosen]
            # Of few widths, as each is compiled for.
            width = math.ceil(max(len(movies) for movies, _, _ in found) / _WIDTH) * _WIDTH
            movies = np.zeros((len(found), width), np.int32)
            added = np.full((len(found), width), -1e9, np.float32)
            targets = np.zeros((len(found), order.shape[1], width), np.float32)
            for step, (of_movies, of_added, of_targets) in enumerate(found):
                movies[step, : len(of_movies)], added[step, : len(of_movies)] = of_movies, of_added
                targets[step, :, : len(of_movies)] = of_targets
            users = baskets.users[chosen].astype(np.int32)
            arrays = {USER: users, MOVIE: movies, ADDED: added, LABEL: targets}
            yield whole_part(arrays, np.arange(len(found))[:, None])

    def loss(batch: dict[str, tf.Tensor], step: tf.Tensor, strength: tf.Tensor, given: Given) -> tf.Tensor:
        one = {key: values[0] for key, values in batch.items()}
        movies = rows.movie_inputs(one[MOVIE])
        return of_step(one[USER], movies, one[LABEL], one[ADDED], step, strength, given)

    asked = _of_baskets(config, model, rows, baskets)
    return Task(parts, loss, len(baskets.movies), steps, asked, lazy_users=True)


def _of_baskets(
    config: ModelConfig, model: keras.Model, rows: Rows, baskets: _Baskets
) -> dict[str, np.ndarray]:
    """What `_softmax_of_step` asks of all rows."""
    a_user = float(baskets.weights.sum()) / max(len(baskets.users), 1)
    return {_A_USER: np.array(a_user), **frequencies(config, model, rows)}


def _softmax_of_step(config: ModelConfig, model: keras.Model) -> Callable[..., tf.Tensor]:
    """Of users (B,), inputs of movies, targets (B, K), what is added to logits, number of a step, strength, `given`."""

    def loss(
        users: tf.Tensor,
        movies: dict[str, tf.Tensor],
        targets: tf.Tensor,
        added: tf.Tensor,
        step: tf.Tensor,
        strength: tf.Tensor,
        given: Given,
    ) -> tf.Tensor:
        user, movie, bias = pair_vectors(model, {USER: users}, movies)
        if config.vector_dropout:
            seed = tf.stack([tf.constant(config.seed, tf.int64), tf.cast(step, tf.int64)])
            user = tf.nn.experimental.stateless_dropout(user, config.vector_dropout, seed)
        scores = tf.matmul(user, movie, transpose_b=True) + bias + added
        likelihood = tf.reduce_sum(targets * tf.nn.log_softmax(scores), axis=1)
        # Of an average user's positives, so that users weigh as their positives in every batch alike.
        penalty = strength * penalty_of_tables(model, given, users)
        return penalty - tf.reduce_mean(likelihood) / given[_A_USER]

    return loss
