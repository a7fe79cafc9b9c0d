"""An epoch as one compiled program (XLA): batches are gathered by a shuffled order, and Adam steps inside it.

So the input is never waited for; see tests/benchmarks/bench_train.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import keras
import numpy as np
import tensorflow as tf

from components.models import GLOBAL_BIAS, USER_BIAS, USER_EMBEDDING
from components.models.hyperparameters import ModelConfig
from components.trainer.rows import USER
from components.trainer.tasks import Task

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7  # as Keras has them
# Layers that add the same to all logits of a row. A softmax does not see it: their gradients are rounding errors, of
# which Adam, whose steps do not depend on the size of a gradient, makes a random walk.
_CONSTANT = (USER_BIAS, GLOBAL_BIAS)
_LARGE = 1 << 18  # numbers of a variable that has Adam's moments to itself
_LAST = 0.02  # of a learning rate that falls, what is left at the end
STEPS, TOTAL = "steps", "total"  # of an epoch, and of all of them


# Data and order of a part, how many of the steps are to be taken, what the penalties are times, and what is `given`.
Run = Callable[[dict[str, tf.Tensor], tf.Tensor, tf.Tensor, tf.Tensor, dict[str, tf.Tensor]], tf.Tensor]


@dataclass(frozen=True)
class Program:
    """A model's training, compiled once for as many trainings as have arrays of the same shapes.

    Attributes:
        run: Takes steps, and returns their mean loss.
        restart: Sets the optimizer to what it was at first.
    """

    run: Run
    restart: Callable[[], None]


def given(task: Task, epochs: int) -> dict[str, tf.Tensor]:
    """What differs between trainings of one program: of the task, and of a schedule over so many epochs."""
    steps = {STEPS: np.float32(task.steps), TOTAL: np.float32(task.steps * epochs)}
    return {key: tf.constant(value, tf.float32) for key, value in {**task.given, **steps}.items()}


def compiled(model: keras.Model, config: ModelConfig, task: Task) -> Program:
    """Compiles the steps."""
    constant = _CONSTANT if config.loss in ("softmax", "in_batch") else ()
    others = [
        variable
        for layer in model.layers
        if layer.name not in constant
        for variable in layer.trainable_variables
    ]
    variables, lazy = others, None
    if task.lazy_users:
        users = model.get_layer(USER_EMBEDDING).embeddings
        others = [variable for variable in others if variable is not users]
        variables, lazy = [*others, users], _LazyAdam(users.value, config)
    adam = _Adam([variable.value for variable in others], config)
    states = [*adam.states, *(lazy.states if lazy else [])]

    def restart() -> None:
        for state in states:
            state.assign(tf.zeros_like(state))

    # Without AutoGraph: to convert all that a loss calls takes a CPU second. Keras does without, too.
    @tf.function(jit_compile=True, autograph=False)
    def run(
        data: dict[str, tf.Tensor],
        order: tf.Tensor,
        steps: tf.Tensor,
        strength: tf.Tensor,
        given: dict[str, tf.Tensor],
    ) -> tf.Tensor:
        def taken(step: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            at = order[step]
            batch = {key: tf.gather(values, at) for key, values in data.items()}
            with tf.GradientTape() as tape:
                loss = task.loss(batch, adam.step, strength, given)
            gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
            # XLA has no sparse gradients.
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
            rate = adam.rate(given[TOTAL])
            if lazy:
                rows = tf.reshape(batch[USER], [-1])
                lazy(rows, tf.gather(gradients[-1], rows), adam.step, given[STEPS], rate)
            adam(gradients[: len(others)], rate)
            return step + 1, total + loss

        # Not a range: XLA would compile for each number of steps.
        _, total = tf.while_loop(lambda step, _: step < steps, taken, (0, 0.0))
        return total / tf.cast(steps, tf.float32)

    return Program(run, restart)


class _Adam:
    """Adam, with the moments of all small variables end to end in one vector each.

    Keras keeps a pair for each variable, and steps by nine operations on each of them. XLA compiles these for longer,
    and does not vectorise an operation whose result takes the place of what it reads. A large variable has a pair of
    its own: what is put end to end is copied.

    Attributes:
        step: How many steps were taken, int64.
        states: This and the moments.
    """

    def __init__(self, variables: Sequence[tf.Variable], config: ModelConfig) -> None:
        self._config = config
        sizes = [variable.shape.num_elements() for variable in variables]
        self._large = [(place, of) for place, of in enumerate(variables) if sizes[place] >= _LARGE]
        self._small = [(place, of) for place, of in enumerate(variables) if sizes[place] < _LARGE]
        self._sizes = [sizes[place] for place, _ in self._small]
        shapes = [*(of.shape for _, of in self._large), [sum(self._sizes)]]
        self._moments = [[tf.Variable(tf.zeros(shape)) for _ in range(2)] for shape in shapes]
        self.step = tf.Variable(0, dtype=tf.int64)
        self.states = [self.step, *chain.from_iterable(self._moments)]

    def rate(self, total: tf.Tensor) -> tf.Tensor:
        """The learning rate of the next step, which falls over so many."""
        done = tf.minimum(tf.cast(self.step, tf.float32) / total, 1.0)
        left = {"linear": 1 - done, "cosine": (1 + tf.cos(math.pi * done)) / 2}.get(
            self._config.schedule, 1.0
        )
        return self._config.learning_rate * (_LAST + (1 - _LAST) * left)

    def __call__(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        times = tf.cast(self.step + 1, tf.float32)
        rate *= tf.sqrt(1 - _BETA_2**times) / (1 - _BETA_1**times)

        def change(gradient: tf.Tensor, m: tf.Variable, v: tf.Variable) -> tf.Tensor:
            m.assign_add((gradient - m) * (1 - _BETA_1))
            v.assign_add((tf.square(gradient) - v) * (1 - _BETA_2))
            return m * rate / (tf.sqrt(v) + _EPSILON)

        *of_large, of_small = self._moments
        for (place, variable), moments in zip(self._large, of_large, strict=True):
            variable.assign_sub(change(gradients[place], *moments))
        if self._small:
            gradient = tf.concat([tf.reshape(gradients[place], [-1]) for place, _ in self._small], axis=0)
            changes = tf.split(change(gradient, *of_small), self._sizes)
            for (_, variable), of in zip(self._small, changes, strict=True):
                variable.assign_sub(tf.reshape(of, variable.shape))
        self.step.assign_add(1)


class _LazyAdam:
    """Adam that steps for some rows of a table and leaves the others as they are, moments and all.

    A user is in one batch of an epoch: with the plain one the vector would go on by its momentum in all the others.
    """

    def __init__(self, table: tf.Variable, config: ModelConfig) -> None:
        self._table, self._factor = table, config.user_learning_rate
        self._m, self._v = (tf.Variable(tf.zeros_like(table)) for _ in range(2))
        self.states = [self._m, self._v]

    def __call__(
        self, rows: tf.Tensor, gradient: tf.Tensor, step: tf.Tensor, steps: tf.Tensor, rate: tf.Tensor
    ) -> None:
        """A step of a number, of so many an epoch, for some rows of the gradient."""
        times = tf.cast(step // tf.cast(steps, tf.int64) + 1, tf.float32)  # that a row has been stepped for
        m = _BETA_1 * tf.gather(self._m, rows) + (1 - _BETA_1) * gradient
        v = _BETA_2 * tf.gather(self._v, rows) + (1 - _BETA_2) * tf.square(gradient)
        change = m / (1 - _BETA_1**times) / (tf.sqrt(v / (1 - _BETA_2**times)) + _EPSILON)
        at = rows[:, None]
        self._m.assign(tf.tensor_scatter_nd_update(self._m, at, m))
        self._v.assign(tf.tensor_scatter_nd_update(self._v, at, v))
        change *= rate * self._factor
        self._table.assign(tf.tensor_scatter_nd_sub(self._table, at, change))
