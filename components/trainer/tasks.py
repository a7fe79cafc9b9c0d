"""What the losses have in common: what an epoch is made of, and penalties on whole tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from components.models import USER_EMBEDDING
from components.models.hyperparameters import ModelConfig
from components.models.layers import IdEmbedding
from components.trainer.rows import Rows

LABEL, ADDED = "label", "added"
_POSITIVES = "positives"

# A part of an epoch: arrays, the order in which their rows are taken, (steps or more, rows of a step), and the steps.
Part = tuple[dict[str, np.ndarray], np.ndarray, int]
Given = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Task:
    """What an epoch is made of, and the loss of a batch of it.

    Attributes:
        parts: The parts of an epoch, drawn and shuffled anew.
        loss: Of a batch, rows of the arrays of a part; of the number of the step; of what the penalties are times; and
            of what is `given`.
        examples: How many rows an epoch has, negatives included.
        steps: How many steps.
        given: What the loss asks of the rows as a whole; arguments, so that a program compiled for some rows serves
            others.
        lazy_users: Whether a batch has each user once at most, and so steps for the users' vectors of the batch alone.
    """

    parts: Callable[[np.random.Generator], Iterator[Part]]
    loss: Callable[[dict[str, tf.Tensor], tf.Tensor, tf.Tensor, Given], tf.Tensor]
    examples: int
    steps: int
    given: dict[str, np.ndarray]
    lazy_users: bool = False


def whole_part(arrays: dict[str, np.ndarray], order: np.ndarray) -> Part:
    """A part of which all steps are taken."""
    return arrays, order, len(order)


def number_of_steps(rows: int, batch_size: int) -> int:
    """Of an epoch."""
    return max(math.ceil(rows / batch_size), 1)


def shuffled(random: np.random.Generator, rows: int, batch_size: int) -> np.ndarray:
    """A shuffled order in batches of one size, (steps, rows of a step): fewer rows than there are steps come twice."""
    steps = number_of_steps(rows, batch_size)
    return np.resize(random.permutation(rows), (steps, math.ceil(rows / steps)))


def frequencies(config: ModelConfig, model: keras.Model, rows: Rows) -> dict[str, np.ndarray]:
    """What `penalty_of_tables` asks of all rows: of ids the counts to the power, by layer, and how many positives."""
    found = {
        layer.name: layer.frequencies**config.l2_exponent
        for layer in model.layers
        if isinstance(layer, IdEmbedding)
    }
    return {**found, _POSITIVES: np.array(max(float((rows.y > 0.5).sum()), 1.0))}


def penalty_of_tables(model: keras.Model, given: Given, users: tf.Tensor | None = None) -> tf.Tensor:
    """Half the sum of l2 * c * |vector|^2 over whole tables, by positive; c is (count / mean count) ** l2_exponent.

    Of the users' vectors those of `users` alone, in place of all as often as they come.
    """
    total = tf.zeros([])
    for layer in model.layers:
        if getattr(layer, "l2", 0):
            table, weights = tf.convert_to_tensor(layer.embeddings), given.get(layer.name, tf.ones([]))
            if users is not None and layer.name == USER_EMBEDDING:
                share = tf.cast(tf.shape(table)[0] / tf.shape(users)[0], tf.float32)
                table, weights = tf.gather(table, users), tf.gather(weights, users) * share
            total += layer.l2 / 2 * tf.reduce_sum(weights * tf.reduce_sum(tf.square(table), axis=1))
    return total / given[_POSITIVES]
