"""Trains a model on arrays: the one loop that the Trainer, the Tuner, the benchmarks and the tests share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from components.models import (
    CALIBRATION,
    MOVIE_BIAS,
    VocabularySizes,
    build_model,
    logits,
)
from components.models.hyperparameters import ModelConfig
from components.models.layers import IdEmbedding
from components.trainer.joining import Joined, choose, join, joins
from components.trainer.losses import TASKS
from components.trainer.rows import MOVIE, Arrays, Rows
from components.trainer.steps import Program, compiled, given
from components.trainer.tasks import Task
from components.trainer.validation import NDCG, RankingValidation, adjust, calibrate, like_validation, predict
from components.trainer.warm_start import layer_weights

# Called after each epoch with its number, from 1, and its metrics.
_FEWEST_EPOCHS = 10  # of a training that `max_steps` shortens

Observer = Callable[[int, Mapping[str, float]], None]


# Gives an initialised model other weights to start from.
Start = Callable[[keras.Model], None]


@dataclass(frozen=True)
class _Plan:
    """What is trained, from the same start each time.

    Attributes:
        config: How.
        model: What.
        task: On which rows.
        program: By which steps.
        epochs: For how many epochs.
        built: The variables of the model, before it knew of any rows.
        first: What they start from.
    """

    config: ModelConfig
    model: keras.Model
    task: Task
    program: Program
    epochs: int
    built: list[np.ndarray]
    first: list[np.ndarray]


@dataclass(frozen=True)
class _Trained:
    """Metrics by epoch, the weights, the CPU seconds of the epochs, and the rows they had."""

    metrics: dict[str, list[float]]
    weights: list[np.ndarray]
    seconds: float
    examples: int


@dataclass(frozen=True)
class History:
    """What happened in training.

    Attributes:
        metrics: One number an epoch each. `loss` is what was minimised, penalties included. Like: `train_loss`,
            `train_auc` (plain ones, of a sample), `val_loss` and `val_auc`. Interaction: `val_ndcg@10` and
            `val_recall@10` over the whole catalogue. Without validation rows `loss` alone.
        monitor: Which of them decided.
        best_epoch: Number, from 1, of the epoch with the best of it, whose weights were kept or for which the model was
            trained afresh.
        refitted: Whether the weights come from training on train and eval together.
        seconds: Wall-clock time of it all.
        training_cpu_seconds: CPU time of the epochs and of compiling them, without validation.
        examples: Rows trained on: positives and negatives of all epochs.
        weights: Arrays of each trained layer at the best epoch, before the model was trained afresh.
        joined: The regression of each movie on the others that has joined a dot product, see `joining`.
        alone: The model, without that regression.
        held_logits: Of the validation rows, float32 (N,), by `alone` before it was trained afresh; none without rows.
        embedding_l2: The configured strength times the factor that was chosen, which all other penalties have, too.
    """

    metrics: dict[str, list[float]]
    monitor: str
    best_epoch: int
    refitted: bool
    seconds: float
    training_cpu_seconds: float
    examples: int
    alone: keras.Model
    held_logits: np.ndarray
    weights: Mapping[str, list[np.ndarray]] = field(default_factory=dict)
    joined: Joined | None = None
    embedding_l2: float = 0.0

    @property
    def best(self) -> dict[str, float]:
        """The metrics of the best epoch; of the model with the regression that has joined it, where one has."""
        found = {name: values[self.best_epoch - 1] for name, values in self.metrics.items()}
        return found | ((self.joined.metrics or {}) if self.joined else {})


def fit(
    config: ModelConfig,
    sizes: VocabularySizes,
    x: Arrays,
    y: np.ndarray,
    x_eval: Arrays,
    y_eval: np.ndarray,
    catalogue: Arrays | None = None,
    on_epoch: Observer | None = None,
    start: Start | None = None,
) -> tuple[keras.Model, History]:
    """Trains with early stopping on the validation metric and keeps the best weights.

    Args:
        config: Which model, and how to train it; `config.seed` makes the result repeatable.
        sizes: Sizes of the vocabularies.
        x: Training rows, by name of transformed feature, integers (N,): user, movie, and any other input of the model
            that `catalogue` does not have.
        y: Labels, 0 or 1, (N,) or (N, 1); with objective interaction which rows are positives.
        x_eval: Validation rows. With none, training takes all epochs and nothing is refitted.
        y_eval: Their labels.
        catalogue: Inputs that depend on the movie alone, a row for each index of it.
        on_epoch: Told of each epoch; what it raises ends the training.
        start: Called with the initialised model, before the first epoch; there are at most `config.warm_epochs` then.
    """
    started = time.perf_counter()
    train, held = (Rows.of(config, sizes, *part, catalogue) for part in ((x, y), (x_eval, y_eval)))
    epochs = min(config.epochs, (start and config.warm_epochs) or config.epochs)
    if not len(held):
        plan = _plan(config, sizes, train, epochs, start)
        model, found = plan.model, _train(plan, 1.0, None, on_epoch)
        recorded = found.metrics
        adjust(config, model)
        weights = layer_weights(model)
        joined, alone = Joined() if joins(config) else None, model
        model = join(config, model, train, joined) if joined else model
        calibrate(config, model, train, None)
        best = len(recorded["loss"])
        seconds = time.perf_counter() - started
        none = np.zeros(0, np.float32)
        return model, History(
            recorded,
            "loss",
            best,
            False,
            seconds,
            found.seconds,
            found.examples,
            alone,
            none,
            weights,
            joined,
        )
    monitor, sign = ("val_loss", 1) if config.objective == "like" else (NDCG, -1)
    ranking = RankingValidation(train, held) if config.objective == "interaction" else None
    validate = ranking or like_validation(train, held)
    tried: list[tuple[float, int, float, _Trained]] = []
    plan = _plan(config, sizes, train, epochs, start, len(train) + len(held) if config.refit else 0)
    for factor in config.l2_factors:
        before = sum(len(found.metrics["loss"]) for *_, found in tried)
        found = _train(plan, factor, (validate, monitor, sign), _after(before, on_epoch))
        best = len(found.metrics["loss"])
        if config.schedule == "constant":
            best = int(np.argmin(sign * np.array(found.metrics[monitor]))) + 1
        tried.append((sign * found.metrics[monitor][best - 1], best, factor, found))
        if len(tried) > 1 and tried[-1][0] >= tried[-2][0]:
            break
    spent, seen = sum(found.seconds for *_, found in tried), sum(found.examples for *_, found in tried)
    _, best, factor, found = min(tried, key=lambda one: one[0])
    model, recorded = plan.model, found.metrics
    model.set_weights(found.weights)
    weights = layer_weights(model)
    adjust(config, model)
    held_logits, alone = predict(logits(model), held), model
    joined = choose(config, model, train, ranking) if ranking and joins(config) else None
    if config.refit:
        # Fitted on rows that are not trained on yet; a joined model is calibrated as a whole instead.
        calibration = None if joined else calibrate(config, model, train, held)
        plan = _begun(config, model, plan.built, train + held, best, start, plan)
        model, again = plan.model, _train(plan, factor, None, None)
        spent, seen = spent + again.seconds, seen + again.examples
        adjust(config, model)
        alone = model
        if calibration:
            model.get_layer(CALIBRATION).calibrate(*calibration)
        elif joined:
            model = join(config, model, train + held, joined)
            calibrate(config, model, train + held, None)
    else:
        if joined:
            model = join(config, model, train, joined)
        calibrate(config, model, train, held)
    seconds = time.perf_counter() - started
    return model, History(
        recorded,
        monitor,
        best,
        config.refit,
        seconds,
        spent,
        seen,
        alone,
        held_logits,
        weights,
        joined,
        config.embedding_l2 * factor,
    )


def _after(epochs: int, observer: Observer | None) -> Observer | None:
    """Tells an observer of epochs as coming after so many others."""
    if observer is None or not epochs:
        return observer
    return lambda epoch, metrics: observer(epochs + epoch, metrics)


def _plan(
    config: ModelConfig, sizes: VocabularySizes, rows: Rows, epochs: int, start: Start | None, others: int = 0
) -> _Plan:
    """With a program that may serve another training, on so many rows, too."""
    keras.utils.set_random_seed(config.seed)
    model = build_model(config, sizes)
    return _begun(config, model, _values(model), rows, epochs, start, others=others)


def _begun(
    config: ModelConfig,
    model: keras.Model,
    built: list[np.ndarray],
    rows: Rows,
    epochs: int,
    start: Start | None,
    before: _Plan | None = None,
    others: int = 0,
) -> _Plan:
    """A model as it was built, with what it knows of rows before training; by the program of the plan before."""
    _set(model, built)
    adapt(model, config, rows)
    if start:
        start(model)
    others = before.task.examples if before else others
    task = TASKS[config.objective, config.loss](config, model, rows, others)
    if config.max_steps:
        epochs = min(epochs, max(config.max_steps // task.steps, _FEWEST_EPOCHS))
    # A softmax over the whole catalogue of train may be one over a sample of that of train and eval.
    same = before and before.task.given.keys() == task.given.keys()
    program = before.program if before and same else compiled(model, config, task)
    return _Plan(config, model, task, program, epochs, built, _values(model))


def _values(model: keras.Model) -> list[np.ndarray]:
    return [variable.value.numpy() for variable in model.variables]


def _set(model: keras.Model, values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(model.variables, values, strict=True):
        variable.value.assign(value)


def _train(
    plan: _Plan,
    factor: float,
    validation: tuple[Callable[[keras.Model], dict[str, float]], str, int] | None,
    on_epoch: Observer | None,
) -> _Trained:
    """Trains the plan's model from its start, with its penalties times a factor."""
    config, model, task = plan.config, plan.model, plan.task
    plan.program.restart()
    _set(model, plan.first)
    asked = given(task, plan.epochs)
    random, strength = np.random.default_rng(config.seed), tf.constant(factor, tf.float32)
    recorded: dict[str, list[float]] = {}
    best, best_epoch, weights, spent = math.inf, 0, None, 0.0
    for epoch in range(1, plan.epochs + 1):
        began = time.process_time()
        losses = []
        for arrays, order, steps in task.parts(random):
            data = {key: tf.constant(values) for key, values in arrays.items()}
            taken = tf.constant(order, tf.int32), tf.constant(steps)
            losses.append((float(plan.program.run(data, *taken, strength, asked)), steps))
        spent += time.process_time() - began
        found = {"loss": sum(loss * steps for loss, steps in losses) / sum(steps for _, steps in losses)}
        if validation:
            validate, monitor, sign = validation
            found |= validate(model)
            # A schedule that falls to nothing is followed to its end: the metric half way says little of it.
            if sign * found[monitor] < best or config.schedule != "constant":
                best, best_epoch, weights = sign * found[monitor], epoch, model.get_weights()
        for name, value in found.items():
            recorded.setdefault(name, []).append(value)
        if on_epoch:
            on_epoch(epoch, found)
        if validation and epoch - best_epoch >= config.patience:
            break
    if weights is not None:
        model.set_weights(weights)
    return _Trained(recorded, model.get_weights(), spent, task.examples * len(recorded["loss"]))


def adapt(model: keras.Model, config: ModelConfig, rows: Rows) -> None:
    """Tells the embeddings how often each id occurs; a softmax starts from popularity."""
    at = rows.y > 0.5 if config.objective == "interaction" else slice(None)
    movies = rows.x[MOVIE][at]
    for layer in model.layers:
        if isinstance(layer, IdEmbedding):
            name = layer.input.name
            layer.adapt(
                rows.x[name][at] if name in rows.x else rows.catalogue[name][movies], config.l2_exponent
            )
    if config.loss == "softmax" and any(layer.name == MOVIE_BIAS for layer in model.layers):
        bias = model.get_layer(MOVIE_BIAS).embeddings
        counts = np.bincount(movies, minlength=bias.shape[0])
        logs = np.log((counts + 1) / (counts.sum() + len(counts)))
        bias.assign(np.where(counts > 0, logs - logs.mean(), 0)[:, None])
