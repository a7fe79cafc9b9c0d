"""An epoch as one compiled program (XLA): batches are gathered by a shuffled order, and Adam steps inside it.

So the input is never waited for; see tests/benchmarks/bench_train.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from components.models import USER_EMBEDDING
from components.models.hyperparameters import ModelConfig
from components.trainer.losses import Task
from components.trainer.rows import USER


@dataclass(frozen=True)
class Program:
    """A model's training, compiled once however often it is trained.

    Attributes:
        run: Takes a part of an epoch, data and order, and what the penalties are times, and returns the mean loss.
        restart: Sets weights, optimizer and random numbers to what they were at first.
    """

    run: Callable[[dict[str, tf.Tensor], tf.Tensor, tf.Tensor], tf.Tensor]
    restart: Callable[[], None]


def compiled(model: keras.Model, config: ModelConfig, task: Task, epochs: int) -> Program:
    """Compiles the steps; a schedule of the learning rate is of so many epochs."""
    optimizer = _optimizer(config, task.steps * epochs)
    variables, others, update = model.trainable_variables, model.trainable_variables, None
    if task.lazy_users:
        users = model.get_layer(USER_EMBEDDING).embeddings
        others = [variable for variable in variables if variable is not users]
        variables, update = [*others, users], _LazyAdam(users.value, config, task.steps)
    optimizer.build(others)
    states = [variable.value for variable in (*model.variables, *optimizer.variables)]
    states += update.states if update else []
    first = [state.numpy() for state in states]

    def restart() -> None:
        for state, value in zip(states, first, strict=True):
            state.assign(value)

    # AutoGraph is for the loop alone: to convert all that a loss calls takes a CPU second. Keras does without, too.
    loss_of = tf.autograph.experimental.do_not_convert(task.loss)

    @tf.function(jit_compile=True)
    def run(data: dict[str, tf.Tensor], order: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([])
        for step in tf.range(tf.shape(order)[0]):
            at = order[step]
            batch = {key: tf.gather(values, at) for key, values in data.items()}
            with tf.GradientTape() as tape:
                loss = loss_of(batch, optimizer.iterations, strength)
            gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
            # XLA has no sparse gradients.
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
            if update:
                rows = tf.reshape(batch[USER], [-1])
                update(rows, tf.gather(gradients[-1], rows), optimizer.iterations, optimizer.learning_rate)
            optimizer.apply(gradients[: len(others)], others)
            total += loss
        return total / tf.cast(tf.shape(order)[0], tf.float32)

    return Program(run, restart)


class _LazyAdam:
    """Adam that steps for some rows of a table and leaves the others as they are, moments and all; Keras has none.

    A user is in one batch of an epoch: with the plain one the vector would go on by its momentum in all the others.
    """

    def __init__(self, table: tf.Variable, config: ModelConfig, steps: int) -> None:
        self._table, self._steps, self._factor = table, steps, config.user_learning_rate
        self._m, self._v = (tf.Variable(tf.zeros_like(table)) for _ in range(2))
        self.states = [self._m, self._v]

    def __call__(self, rows: tf.Tensor, gradient: tf.Tensor, step: tf.Tensor, rate: tf.Tensor) -> None:
        times = tf.cast(step // self._steps + 1, tf.float32)  # that a row has been stepped for
        m = 0.9 * tf.gather(self._m, rows) + 0.1 * gradient
        v = 0.999 * tf.gather(self._v, rows) + 0.001 * tf.square(gradient)
        change = m / (1 - 0.9**times) / (tf.sqrt(v / (1 - 0.999**times)) + 1e-7)
        at = rows[:, None]
        self._m.assign(tf.tensor_scatter_nd_update(self._m, at, m))
        self._v.assign(tf.tensor_scatter_nd_update(self._v, at, v))
        change *= tf.cast(rate, tf.float32) * self._factor
        self._table.assign(tf.tensor_scatter_nd_sub(self._table, at, change))


def _optimizer(config: ModelConfig, total: int) -> keras.optimizers.Optimizer:
    rate: float | keras.optimizers.schedules.LearningRateSchedule = config.learning_rate
    if config.schedule == "linear":
        rate = keras.optimizers.schedules.PolynomialDecay(rate, total, end_learning_rate=rate / 50)
    elif config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, total, alpha=0.02)
    return keras.optimizers.Adam(rate)
