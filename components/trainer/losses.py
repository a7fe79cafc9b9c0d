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

import keras
import numpy as np
import tensorflow as tf

from components.models import logits, pair_logits
from components.models.hyperparameters import ModelConfig
from components.models.layers import IdEmbedding
from components.trainer.negatives import Negatives
from components.trainer.rows import MOVIE, USER, Arrays, Rows
from components.trainer.softmax import softmax
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

# Of likes: steps of an epoch, where a step has that many rows at least.
_FEWEST_STEPS, _FEWEST_ROWS = 64, 32
# Of likes: steps of an epoch beyond which the rows of a step grow with the log. Each step has all of Adam to do.
_GROWING_STEPS = 128
# Of likes: rows of all epochs up to which one program serves two trainings. Beyond, what a step has too many rows takes
# longer than to compile another one, a CPU second.
_PADDED_ROWS = 20_000_000


def _like(config: ModelConfig, model: keras.Model, rows: Rows, others: int) -> Task:
    core = logits(model)
    labels = rows.y.astype(np.float32)
    batch_size = _batch_of_likes(config, len(rows))
    # The shapes of the longer one of two short logs: to compile for each of them would take longer.
    padded = others > 0 and max(others, len(rows)) * config.epochs <= _PADDED_ROWS
    most, *shape = np.max([_shape_of_likes(config, number) for number in (len(rows), others)], axis=0)

    def parts(random: np.random.Generator) -> Iterator[Part]:
        for at in _in_memory(config, {**rows.x, LABEL: labels}, random):
            arrays: dict[str, np.ndarray]
            arrays = {key: np.asarray(values[at], np.int32) for key, values in rows.x.items()}
            arrays[LABEL] = labels[at]
            order = shuffled(random, len(arrays[LABEL]), batch_size)
            taken = len(order)
            if padded and len(arrays[LABEL]) == len(rows):
                # A row behind the others is one of nothing.
                arrays = {key: _longer(values, most + 1) for key, values in arrays.items()}
                order = np.pad(
                    order,
                    [(0, n - have) for n, have in zip(shape, order.shape, strict=True)],
                    constant_values=most,
                )
            yield arrays, order, taken

    def loss(batch: dict[str, tf.Tensor], step: tf.Tensor, strength: tf.Tensor, given: Given) -> tf.Tensor:
        real = batch[USER] >= 0
        x = {**batch, **rows.movie_inputs(tf.maximum(batch[MOVIE], 0))}
        x = {key: tf.where(_beside(real, of), of, tf.constant(-1, of.dtype)) for key, of in x.items()}
        return _cross_entropy(core, x, batch[LABEL], strength, given, real)

    return Task(parts, loss, len(rows), number_of_steps(len(rows), batch_size), _weights(model))


def _against_negatives(config: ModelConfig, model: keras.Model, rows: Rows, others: int) -> Task:
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
        yield whole_part(arrays, shuffled(random, len(users), config.batch_size))

    def loss(batch: dict[str, tf.Tensor], step: tf.Tensor, strength: tf.Tensor, given: Given) -> tf.Tensor:
        number = config.negatives + 1
        asked = tf.reshape(batch[MOVIE], [-1])
        labels = tf.reshape(tf.one_hot(tf.zeros_like(batch[USER]), number), [-1])
        x = {USER: tf.repeat(batch[USER], number), **rows.movie_inputs(asked)}
        return _cross_entropy(core, x, labels, strength, given)

    examples = len(users) * (config.negatives + 1)
    return Task(parts, loss, examples, number_of_steps(len(users), config.batch_size), _weights(model))


def _in_batch(config: ModelConfig, model: keras.Model, rows: Rows, others: int) -> Task:
    users, movies = (ids.astype(np.int32) for ids in rows.positives)
    counts = np.bincount(movies, minlength=rows.sizes.movie_id)
    log_q = np.log(np.maximum(counts, 1) / max(len(movies), 1))

    def parts(random: np.random.Generator) -> Iterator[Part]:
        yield whole_part({USER: users, MOVIE: movies}, shuffled(random, len(users), config.batch_size))

    def loss(batch: dict[str, tf.Tensor], step: tf.Tensor, strength: tf.Tensor, given: Given) -> tf.Tensor:
        scores = pair_logits(model, {USER: batch[USER]}, rows.movie_inputs(batch[MOVIE]))
        scores -= tf.gather(given[ADDED], batch[MOVIE])
        # The same movie in another row is no negative.
        same = tf.equal(batch[MOVIE][:, None], batch[MOVIE])
        itself = tf.eye(tf.shape(scores)[0], dtype=tf.bool)
        scores = tf.where(same & ~itself, -1e9, scores)
        likelihood = tf.linalg.diag_part(scores) - tf.reduce_logsumexp(scores, axis=1)
        return strength * penalty_of_tables(model, given) - tf.reduce_mean(likelihood)

    asked = {ADDED: log_q, **frequencies(config, model, rows)}
    return Task(parts, loss, len(users), number_of_steps(len(users), config.batch_size), asked)


# The last argument is how many rows another training by the same program has, 0 where there is none.
TASKS: dict[tuple[str, str], Callable[[ModelConfig, keras.Model, Rows, int], Task]] = {
    ("like", "binary"): _like,
    ("interaction", "binary"): _against_negatives,
    ("interaction", "in_batch"): _in_batch,
    ("interaction", "softmax"): softmax,
}


def _cross_entropy(
    core: keras.Model,
    x: dict[str, tf.Tensor],
    labels: tf.Tensor,
    strength: tf.Tensor,
    given: Given,
    real: tf.Tensor | None = None,
) -> tf.Tensor:
    """Mean cross-entropy, and the penalties of the layers; of those rows that are `real`, bool (B,)."""
    inputs = {tensor.name: x[tensor.name] for tensor in core.inputs}
    layers = [layer for layer in core.layers if isinstance(layer, IdEmbedding)]
    own = [layer.penalty_weights for layer in layers]
    try:
        for layer in layers:
            layer.penalty_weights = given[layer.name]
        scores = tf.reshape(core(inputs, training=True), [-1])
    finally:
        for layer, weights in zip(layers, own, strict=True):
            layer.penalty_weights = weights
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, scores)
    penalties = strength * tf.add_n([*core.losses, tf.zeros([])])
    if real is None:
        return tf.reduce_mean(losses) + penalties
    # The layers have counted all rows, those of nothing as zero.
    number = tf.reduce_sum(tf.cast(real, tf.float32))
    penalties *= tf.cast(tf.size(real), tf.float32) / number
    return tf.reduce_sum(tf.where(real, losses, 0.0)) / number + penalties


def _weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Of penalties, by the layer and the id."""
    return {layer.name: layer.penalty_weights for layer in model.layers if isinstance(layer, IdEmbedding)}


def _in_memory(config: ModelConfig, arrays: Arrays, random: np.random.Generator) -> Iterator[slice]:
    """The rows in parts that fit the memory, in random order: one part where all fit."""
    number = len(arrays[LABEL])
    of_row = sum(values.nbytes for values in arrays.values()) / max(number, 1)
    step = max(min(int(config.memory_mb * 2**20 / max(of_row, 1)), number), 1)
    for start in random.permutation(np.arange(0, number, step)):
        yield slice(start, start + step)


def _batch_of_likes(config: ModelConfig, rows: int) -> int:
    # A small log in steps of many rows would end before Adam has got anywhere.
    batch_size = min(config.batch_size, max(math.ceil(rows / _FEWEST_STEPS), _FEWEST_ROWS))
    if config.max_batch_size:
        grown = batch_size * math.sqrt(rows / (_GROWING_STEPS * batch_size))
        batch_size = max(batch_size, min(int(grown), config.max_batch_size))
    return batch_size


def _shape_of_likes(config: ModelConfig, rows: int) -> tuple[int, int, int]:
    """Rows, steps of an epoch, and rows of a step."""
    steps = number_of_steps(rows, _batch_of_likes(config, rows))
    return rows, steps, math.ceil(rows / steps)


def _longer(values: np.ndarray, rows: int) -> np.ndarray:
    """With rows of -1 at the end."""
    return np.pad(values, [(0, rows - len(values))] + [(0, 0)] * (values.ndim - 1), constant_values=-1)


def _beside(real: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Of a shape by which `real` (B,) goes with values (B, ...)."""
    return tf.reshape(real, [-1] + [1] * (values.shape.rank - 1))
