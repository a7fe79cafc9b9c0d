"""What a model learns by: the losses, and the batches of an epoch.

Losses, means over the rows of a batch; L2, times a strength, comes on top:

- `binary`, objective like: cross-entropy of the label.
- `binary`, objective interaction: cross-entropy of positives (1) and of `negatives` drawn ones a positive (0), drawn
  anew each epoch. He et al., "Neural collaborative filtering" (2017).
- `in_batch`: cross-entropy of the positive among the movies of the batch, their logits less the log of their share of
  the positives (logQ). Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations"
  (2019).
- `softmax`: the log-likelihood of all positives of a user under a softmax over the whole catalogue: what sampled
  softmax is an estimate of, cheaper than it as one matrix product serves all positives of a user. Liang et al.,
  "Variational autoencoders for collaborative filtering" (2018), eq. 2, with free vectors in place of the encoder. Its
  L2 is on whole tables, in proportion to count ** l2_exponent of each id: Rendle et al., "Revisiting the performance of
  iALS on item recommendation benchmarks" (2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from components.models import (
    USER_EMBEDDING,
    logits,
    pair_logits,
    pair_vectors,
)
from components.models.hyperparameters import ModelConfig
from components.models.layers import IdEmbedding
from components.trainer.negatives import Negatives
from components.trainer.rows import MOVIE, USER, Arrays, Rows

LABEL, ADDED = "label", "added"
# Of likes: steps of an epoch, where a step has that many rows at least.
_FEWEST_STEPS, _FEWEST_ROWS = 64, 32
# Of likes: steps of an epoch beyond which the rows of a step grow with the log. Each step has all of Adam to do.
_GROWING_STEPS = 128
# Of a softmax: steps of an epoch, where batches of at most so many times the configured size suffice for that.
_MOST_STEPS, _LARGER = 64, 8
_WIDTH = 1024


# A part of an epoch: arrays, the order in which their rows are taken, (steps, rows of a step).
Part = tuple[dict[str, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Task:
    """What an epoch is made of, and the loss of a batch of it.

    Attributes:
        parts: The parts of an epoch, drawn and shuffled anew.
        loss: Of a batch, rows of the arrays of a part; of the number of the step; and of what the penalties are times.
        examples: How many rows an epoch has, negatives included.
        steps: How many steps.
        lazy_users: Whether a batch has each user once at most, and so steps for the users' vectors of the batch alone.
    """

    parts: Callable[[np.random.Generator], Iterator[Part]]
    loss: Callable[[dict[str, tf.Tensor], tf.Tensor, tf.Tensor], tf.Tensor]
    examples: int
    steps: int
    lazy_users: bool = False


def _like(config: ModelConfig, model: keras.Model, rows: Rows) -> Task:
    core = logits(model)
    labels = rows.y.astype(np.float32)
    # A small log in steps of many rows would end before Adam has got anywhere.
    batch_size = min(config.batch_size, max(math.ceil(len(rows) / _FEWEST_STEPS), _FEWEST_ROWS))
    if config.max_batch_size:
        grown = batch_size * math.sqrt(len(rows) / (_GROWING_STEPS * batch_size))
        batch_size = max(batch_size, min(int(grown), config.max_batch_size))

    def parts(random: np.random.Generator) -> Iterator[Part]:
        for at in _in_memory(config, {**rows.x, LABEL: labels}, random):
            arrays = {key: np.asarray(values[at], np.int32) for key, values in rows.x.items()}
            yield {**arrays, LABEL: labels[at]}, _order(random, len(arrays[USER]), batch_size)

    def loss(batch: dict[str, tf.Tensor], step_number: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        x = {**batch, **rows.movie_inputs(batch[MOVIE])}
        return _cross_entropy(core, x, batch[LABEL], strength)

    return Task(parts, loss, len(rows), _steps(len(rows), batch_size))


def _against_negatives(config: ModelConfig, model: keras.Model, rows: Rows) -> Task:
    core = logits(model)
    users, movies = (ids.astype(np.int32) for ids in rows.positives)
    negatives = Negatives(
        users,
        movies,
        rows.sizes.user_id,
        rows.sizes.movie_id,
        config.negative_exponent,
        config.exclude_positives,
    )

    def parts(random: np.random.Generator) -> Iterator[Part]:
        drawn = negatives.draw(random, config.negatives)
        arrays = {USER: users, MOVIE: np.concatenate([movies[:, None], drawn], axis=1)}
        yield arrays, _order(random, len(users), config.batch_size)

    def loss(batch: dict[str, tf.Tensor], step_number: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        number = config.negatives + 1
        asked = tf.reshape(batch[MOVIE], [-1])
        labels = tf.reshape(tf.one_hot(tf.zeros_like(batch[USER]), number), [-1])
        x = {USER: tf.repeat(batch[USER], number), **rows.movie_inputs(asked)}
        return _cross_entropy(core, x, labels, strength)

    return Task(parts, loss, len(users) * (config.negatives + 1), _steps(len(users), config.batch_size))


def _in_batch(config: ModelConfig, model: keras.Model, rows: Rows) -> Task:
    users, movies = (ids.astype(np.int32) for ids in rows.positives)
    counts = np.bincount(movies, minlength=rows.sizes.movie_id)
    log_q = tf.constant(np.log(np.maximum(counts, 1) / max(len(movies), 1)), tf.float32)

    def parts(random: np.random.Generator) -> Iterator[Part]:
        yield {USER: users, MOVIE: movies}, _order(random, len(users), config.batch_size)

    def loss(batch: dict[str, tf.Tensor], step_number: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        scores = pair_logits(model, {USER: batch[USER]}, rows.movie_inputs(batch[MOVIE]))
        scores -= tf.gather(log_q, batch[MOVIE])
        # The same movie in another row is no negative.
        same = tf.equal(batch[MOVIE][:, None], batch[MOVIE])
        itself = tf.eye(tf.shape(scores)[0], dtype=tf.bool)
        scores = tf.where(same & ~itself, -1e9, scores)
        likelihood = tf.linalg.diag_part(scores) - tf.reduce_logsumexp(scores, axis=1)
        return strength * _penalty(config, model, rows) - tf.reduce_mean(likelihood)

    return Task(parts, loss, len(users), _steps(len(users), config.batch_size))


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


def _softmax(config: ModelConfig, model: keras.Model, rows: Rows) -> Task:
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
    unseen = tf.constant(np.where(rated, 0.0, -1e9), tf.float32)
    of_step = _softmax_of_step(config, model, rows, baskets)

    def parts(random: np.random.Generator) -> Iterator[Part]:
        shuffled = random.permutation(active)
        for start in range(0, active, at_once):
            chosen = shuffled[start : start + at_once]
            targets = np.zeros((len(chosen), number), np.float32)
            place, movies, weights = baskets.rows(chosen)
            targets[place, movies] = weights
            arrays = {USER: baskets.users[chosen].astype(np.int32), LABEL: targets}
            yield arrays, _order(random, len(chosen), batch_size)

    def loss(batch: dict[str, tf.Tensor], step_number: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        return of_step(batch[USER], catalogue, batch[LABEL], unseen, step_number, strength)

    return Task(parts, loss, len(baskets.movies), _steps(active, batch_size), lazy_users=True)


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
    steps = _steps(active, batch_size)
    of_step = _softmax_of_step(config, model, rows, baskets)

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
        order = _order(random, active, batch_size)
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
            yield {USER: users, MOVIE: movies, ADDED: added, LABEL: targets}, np.arange(len(found))[:, None]

    def loss(batch: dict[str, tf.Tensor], step_number: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        one = {key: values[0] for key, values in batch.items()}
        movies = rows.movie_inputs(one[MOVIE])
        return of_step(one[USER], movies, one[LABEL], one[ADDED], step_number, strength)

    return Task(parts, loss, len(baskets.movies), steps, lazy_users=True)


def _softmax_of_step(
    config: ModelConfig, model: keras.Model, rows: Rows, baskets: _Baskets
) -> Callable[..., tf.Tensor]:
    """Of users (B,), inputs of movies, targets (B, K), what is added to logits, the number of the step, a strength."""
    a_user = float(baskets.weights.sum()) / max(len(baskets.users), 1)

    def loss(
        users: tf.Tensor,
        movies: dict[str, tf.Tensor],
        targets: tf.Tensor,
        added: tf.Tensor,
        step_number: tf.Tensor,
        strength: tf.Tensor,
    ) -> tf.Tensor:
        user, movie, bias = pair_vectors(model, {USER: users}, movies)
        if config.vector_dropout:
            seed = tf.stack([tf.constant(config.seed, tf.int64), tf.cast(step_number, tf.int64)])
            user = tf.nn.experimental.stateless_dropout(user, config.vector_dropout, seed)
        scores = tf.matmul(user, movie, transpose_b=True) + bias + added
        likelihood = tf.reduce_sum(targets * tf.nn.log_softmax(scores), axis=1)
        # Of an average user's positives, so that users weigh as their positives in every batch alike.
        penalty = strength * _penalty(config, model, rows, users)
        return penalty - tf.reduce_mean(likelihood) / a_user

    return loss


TASKS: dict[tuple[str, str], Callable[[ModelConfig, keras.Model, Rows], Task]] = {
    ("like", "binary"): _like,
    ("interaction", "binary"): _against_negatives,
    ("interaction", "in_batch"): _in_batch,
    ("interaction", "softmax"): _softmax,
}


def _cross_entropy(
    core: keras.Model, x: dict[str, tf.Tensor], labels: tf.Tensor, strength: tf.Tensor
) -> tf.Tensor:
    """Mean cross-entropy, and the penalties of the layers."""
    inputs = {tensor.name: x[tensor.name] for tensor in core.inputs}
    scores = tf.reshape(core(inputs, training=True), [-1])
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, scores)
    return tf.reduce_mean(losses) + strength * tf.add_n([*core.losses, tf.zeros([])])


def _penalty(
    config: ModelConfig, model: keras.Model, rows: Rows, users: tf.Tensor | None = None
) -> tf.Tensor:
    """Half the sum of l2 * c * |vector|^2 over whole tables, by positive; c is (count / mean count) ** l2_exponent.

    Of the users' vectors those of `users` alone, in place of all as often as they come.
    """
    total = tf.zeros([])
    for layer in model.layers:
        if getattr(layer, "l2", 0):
            table, weights = tf.convert_to_tensor(layer.embeddings), tf.ones([])
            if isinstance(layer, IdEmbedding):
                weights = tf.constant(layer.frequencies**config.l2_exponent, tf.float32)
            if users is not None and layer.name == USER_EMBEDDING:
                share = tf.cast(tf.shape(table)[0] / tf.shape(users)[0], tf.float32)
                table, weights = tf.gather(table, users), tf.gather(weights, users) * share
            total += layer.l2 / 2 * tf.reduce_sum(weights * tf.reduce_sum(tf.square(table), axis=1))
    return total / max(float((rows.y > 0.5).sum()), 1.0)


def _in_memory(config: ModelConfig, arrays: Arrays, random: np.random.Generator) -> Iterator[slice]:
    """The rows in parts that fit the memory, in random order: one part where all fit."""
    number = len(arrays[LABEL])
    of_row = sum(values.nbytes for values in arrays.values()) / max(number, 1)
    step = max(min(int(config.memory_mb * 2**20 / max(of_row, 1)), number), 1)
    for start in random.permutation(np.arange(0, number, step)):
        yield slice(start, start + step)


def _steps(rows: int, batch_size: int) -> int:
    return max(math.ceil(rows / batch_size), 1)


def _order(random: np.random.Generator, rows: int, batch_size: int) -> np.ndarray:
    """A shuffled order in batches of one size, (steps, rows of a step): fewer rows than there are steps come twice."""
    steps = _steps(rows, batch_size)
    return np.resize(random.permutation(rows), (steps, math.ceil(rows / steps)))
