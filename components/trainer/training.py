"""Trains a model on arrays: the one loop that the Trainer, the Tuner, the benchmarks and the tests share.

An epoch is one compiled program (XLA): batches are gathered from arrays in memory by a shuffled order, and Keras'
Adam steps inside it. So the input is never waited for; see tests/benchmarks/bench_train.py.

Losses, means over the rows of a batch; L2 comes on top:

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
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

from components.models import (
    VocabularySizes,
    all_pairs,
    build_model,
    is_dot_product,
    logits,
    pair_logits,
    pair_vectors,
)
from components.models.hyperparameters import ModelConfig
from components.models.layers import IdEmbedding
from components.ranking import metrics
from components.shared.features import MOVIE_KEY, USER_KEY, transformed_name
from components.trainer.negatives import Negatives
from components.trainer.warm_start import layer_weights

Arrays = Mapping[str, np.ndarray]
# Called after each epoch with its number, from 1, and its metrics.
Observer = Callable[[int, Mapping[str, float]], None]
# Gives an initialised model other weights to start from.
Start = Callable[[keras.Model], None]

USER, MOVIE = transformed_name(USER_KEY), transformed_name(MOVIE_KEY)
LABEL = "label"
K = 10  # of the ranking metrics of validation
NDCG, RECALL = f"val_ndcg@{K}", f"val_recall@{K}"
_PREDICTED_ROWS = 65_536  # at a time
_PREDICTED_PAIRS = 1 << 20
_TRAIN_SAMPLE = 50_000  # rows that the training loss is measured on
_VALIDATION_USERS = 2_000


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
    """

    metrics: dict[str, list[float]]
    monitor: str
    best_epoch: int
    refitted: bool
    seconds: float
    training_cpu_seconds: float
    examples: int
    weights: Mapping[str, list[np.ndarray]] = field(default_factory=dict)

    @property
    def best(self) -> dict[str, float]:
        """The metrics of the best epoch."""
        return {name: values[self.best_epoch - 1] for name, values in self.metrics.items()}


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
        start: Called with the initialised model, before the first epoch.
    """
    started = time.perf_counter()
    train, held = (_Rows.of(config, sizes, *part, catalogue) for part in ((x, y), (x_eval, y_eval)))
    if not len(held):
        model, recorded, spent, seen = _train(config, sizes, train, config.epochs, None, on_epoch, start)
        _adjust(config, model)
        _calibrate(config, model, train, None)
        best = len(recorded["loss"])
        seconds = time.perf_counter() - started
        return model, History(recorded, "loss", best, False, seconds, spent, seen, layer_weights(model))
    monitor, sign = ("val_loss", 1) if config.objective == "like" else (NDCG, -1)
    validate = _like_validation if config.objective == "like" else _ranking_validation
    model, recorded, spent, seen = _train(
        config, sizes, train, config.epochs, (validate(train, held), monitor, sign), on_epoch, start
    )
    best = len(recorded["loss"])
    if config.schedule == "constant":
        best = int(np.argmin(sign * np.array(recorded[monitor]))) + 1
    weights = layer_weights(model)
    _adjust(config, model)
    calibration = _calibrate(config, model, train, held)
    if config.refit:
        model, _, more, rows = _train(config, sizes, train + held, best, None, None, start)
        spent, seen = spent + more, seen + rows
        _adjust(config, model)
        model.get_layer("calibration").calibrate(*calibration)
    seconds = time.perf_counter() - started
    return model, History(recorded, monitor, best, config.refit, seconds, spent, seen, weights)


def log_loss(y: np.ndarray, p: np.ndarray) -> float:
    """Mean binary cross-entropy of probabilities, as Keras clips them. Any equal shapes."""
    return float(metrics.log_losses(np.asarray(y) > 0.5, p).mean())


def auc(y: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN if only one class is there. Shapes: (N,), (N,)."""
    liked = np.asarray(y).reshape(-1) > 0.5
    placed = metrics.placements(liked, np.asarray(scores).reshape(-1))
    return float(placed[liked].mean()) if liked.any() else float("nan")


@dataclass(frozen=True)
class _Rows:
    """Rows of one or two splits: inputs of the model but for those of the catalogue, and labels."""

    x: Arrays
    y: np.ndarray
    catalogue: Arrays
    sizes: VocabularySizes

    @staticmethod
    def of(
        config: ModelConfig, sizes: VocabularySizes, x: Arrays, y: np.ndarray, catalogue: Arrays | None
    ) -> _Rows:
        catalogue = catalogue or {}
        wanted = [tensor.name for tensor in build_model(config, VocabularySizes(1, 1, 1)).inputs]
        inputs = {name: x[name] for name in wanted if name in (USER, MOVIE) or name not in catalogue}
        of_movie = {
            name: np.asarray(values, np.int32) for name, values in catalogue.items() if name in wanted
        }
        return _Rows(inputs, np.asarray(y).reshape(-1), of_movie, sizes)

    def __len__(self) -> int:
        return len(self.y)

    def __add__(self, other: _Rows) -> _Rows:
        x = {name: _stack(values, other.x[name]) for name, values in self.x.items()}
        return _Rows(x, np.concatenate([self.y, other.y]), self.catalogue, self.sizes)

    @property
    def positives(self) -> tuple[np.ndarray, np.ndarray]:
        """Users and movies of the rows with label 1."""
        at = self.y > 0.5
        return self.x[USER][at], self.x[MOVIE][at]

    def movie_inputs(self, movies: tf.Tensor) -> dict[str, tf.Tensor]:
        """The inputs of movies, given their indices."""
        return {MOVIE: movies, **{key: tf.gather(table, movies) for key, table in self.catalogue.items()}}


# A part of an epoch: arrays, the order in which their rows are taken, (steps, rows of a step).
_Part = tuple[dict[str, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Task:
    """What an epoch is made of, and the loss of a batch of it.

    Attributes:
        parts: The parts of an epoch, drawn and shuffled anew.
        loss: Of a batch, rows of the arrays of a part, and of the number of the step.
        examples: How many rows an epoch has, negatives included.
        steps: How many steps.
        lazy_users: Whether a batch has each user once at most, and so steps for the users' vectors of the batch alone.
    """

    parts: Callable[[np.random.Generator], Iterator[_Part]]
    loss: Callable[[dict[str, tf.Tensor], tf.Tensor], tf.Tensor]
    examples: int
    steps: int
    lazy_users: bool = False


def _train(
    config: ModelConfig,
    sizes: VocabularySizes,
    rows: _Rows,
    epochs: int,
    validation: tuple[Callable[[keras.Model], dict[str, float]], str, int] | None,
    on_epoch: Observer | None,
    start: Start | None,
) -> tuple[keras.Model, dict[str, list[float]], float, int]:
    """The model, its metrics by epoch, the CPU seconds of its epochs, and the rows they had."""
    keras.utils.set_random_seed(config.seed)
    model = build_model(config, sizes)
    _adapt(model, config, rows)
    if start:
        start(model)
    random = np.random.default_rng(config.seed)
    task = _TASKS[config.objective, config.loss](config, model, rows)
    run = _compiled(model, config, task, epochs)
    recorded: dict[str, list[float]] = {}
    best, best_epoch, weights, spent = math.inf, 0, None, 0.0
    for epoch in range(1, epochs + 1):
        began = time.process_time()
        losses = []
        for arrays, order in task.parts(random):
            data = {key: tf.constant(values) for key, values in arrays.items()}
            losses.append((float(run(data, tf.constant(order, tf.int32))), len(order)))
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
    return model, recorded, spent, task.examples * len(recorded["loss"])


def _compiled(
    model: keras.Model, config: ModelConfig, task: _Task, epochs: int
) -> Callable[[dict[str, tf.Tensor], tf.Tensor], tf.Tensor]:
    """Takes a part of an epoch, data and order, and returns the mean loss."""
    optimizer = _optimizer(config, task.steps * epochs)
    variables, others, update = model.trainable_variables, model.trainable_variables, None
    if task.lazy_users:
        users = model.get_layer("user_embedding").embeddings
        others = [variable for variable in variables if variable is not users]
        variables, update = [*others, users], _LazyAdam(users.value, config, task.steps)
    optimizer.build(others)

    @tf.function(jit_compile=True)
    def run(data: dict[str, tf.Tensor], order: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([])
        for step in tf.range(tf.shape(order)[0]):
            at = order[step]
            batch = {key: tf.gather(values, at) for key, values in data.items()}
            with tf.GradientTape() as tape:
                loss = task.loss(batch, optimizer.iterations)
            gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
            # XLA has no sparse gradients.
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
            if update:
                rows = batch[USER]
                update(rows, tf.gather(gradients[-1], rows), optimizer.iterations, optimizer.learning_rate)
            optimizer.apply(gradients[: len(others)], others)
            total += loss
        return total / tf.cast(tf.shape(order)[0], tf.float32)

    return run


class _LazyAdam:
    """Adam that steps for some rows of a table and leaves the others as they are, moments and all; Keras has none.

    A user is in one batch of an epoch: with the plain one the vector would go on by its momentum in all the others.
    """

    def __init__(self, table: tf.Variable, config: ModelConfig, steps: int) -> None:
        self._table, self._steps, self._factor = table, steps, config.user_learning_rate
        self._m, self._v = (tf.Variable(tf.zeros_like(table)) for _ in range(2))

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


def _like(config: ModelConfig, model: keras.Model, rows: _Rows) -> _Task:
    core = logits(model)
    labels = rows.y.astype(np.float32)

    def parts(random: np.random.Generator) -> Iterator[_Part]:
        for at in _in_memory(config, {**rows.x, LABEL: labels}, random):
            arrays = {key: np.asarray(values[at], np.int32) for key, values in rows.x.items()}
            yield {**arrays, LABEL: labels[at]}, _order(random, len(arrays[USER]), config.batch_size)

    def loss(batch: dict[str, tf.Tensor], step_number: tf.Tensor) -> tf.Tensor:
        x = {**batch, **rows.movie_inputs(batch[MOVIE])}
        return _cross_entropy(core, x, batch[LABEL])

    return _Task(parts, loss, len(rows), _steps(len(rows), config.batch_size))


def _against_negatives(config: ModelConfig, model: keras.Model, rows: _Rows) -> _Task:
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

    def parts(random: np.random.Generator) -> Iterator[_Part]:
        drawn = negatives.draw(random, config.negatives)
        arrays = {USER: users, MOVIE: np.concatenate([movies[:, None], drawn], axis=1)}
        yield arrays, _order(random, len(users), config.batch_size)

    def loss(batch: dict[str, tf.Tensor], step_number: tf.Tensor) -> tf.Tensor:
        number = config.negatives + 1
        asked = tf.reshape(batch[MOVIE], [-1])
        labels = tf.reshape(tf.one_hot(tf.zeros_like(batch[USER]), number), [-1])
        return _cross_entropy(
            core, {USER: tf.repeat(batch[USER], number), **rows.movie_inputs(asked)}, labels
        )

    return _Task(parts, loss, len(users) * (config.negatives + 1), _steps(len(users), config.batch_size))


def _in_batch(config: ModelConfig, model: keras.Model, rows: _Rows) -> _Task:
    users, movies = (ids.astype(np.int32) for ids in rows.positives)
    counts = np.bincount(movies, minlength=rows.sizes.movie_id)
    log_q = tf.constant(np.log(np.maximum(counts, 1) / max(len(movies), 1)), tf.float32)

    def parts(random: np.random.Generator) -> Iterator[_Part]:
        yield {USER: users, MOVIE: movies}, _order(random, len(users), config.batch_size)

    def loss(batch: dict[str, tf.Tensor], step_number: tf.Tensor) -> tf.Tensor:
        scores = pair_logits(model, {USER: batch[USER]}, rows.movie_inputs(batch[MOVIE]))
        scores -= tf.gather(log_q, batch[MOVIE])
        # The same movie in another row is no negative.
        same = tf.equal(batch[MOVIE][:, None], batch[MOVIE])
        itself = tf.eye(tf.shape(scores)[0], dtype=tf.bool)
        scores = tf.where(same & ~itself, -1e9, scores)
        likelihood = tf.linalg.diag_part(scores) - tf.reduce_logsumexp(scores, axis=1)
        return _penalty(config, model, rows) - tf.reduce_mean(likelihood)

    return _Task(parts, loss, len(users), _steps(len(users), config.batch_size))


def _softmax(config: ModelConfig, model: keras.Model, rows: _Rows) -> _Task:
    weights = np.where(rows.y > 0.5, 1.0, config.rest_weight).astype(np.float32)
    at = np.flatnonzero(weights)
    at = at[np.argsort(rows.x[USER][at], kind="stable")]
    users, movies, weights = rows.x[USER][at], rows.x[MOVIE][at], weights[at]
    number = rows.sizes.movie_id
    active, offsets = np.unique(users, return_index=True)
    offsets = np.append(offsets, len(users))
    step = max(min(config.memory_mb * 2**20 // (4 * number), len(active)), 1)
    catalogue = rows.movie_inputs(tf.range(number))
    # An index that no row has, such as the out-of-vocabulary one, is no candidate.
    unseen = tf.constant(np.where(np.bincount(movies, minlength=number) > 0, 0.0, -1e9), tf.float32)
    a_user = float(weights.sum()) / max(len(active), 1)

    def parts(random: np.random.Generator) -> Iterator[_Part]:
        shuffled = random.permutation(len(active))
        for start in range(0, len(active), step):
            chosen = shuffled[start : start + step]
            targets = np.zeros((len(chosen), number), np.float32)
            lengths = offsets[chosen + 1] - offsets[chosen]
            first = np.repeat(offsets[chosen] - np.append(0, np.cumsum(lengths)[:-1]), lengths)
            at = first + np.arange(len(first))
            targets[np.repeat(np.arange(len(chosen)), lengths), movies[at]] = weights[at]
            arrays = {USER: active[chosen].astype(np.int32), LABEL: targets}
            yield arrays, _order(random, len(chosen), config.batch_size)

    def loss(batch: dict[str, tf.Tensor], step_number: tf.Tensor) -> tf.Tensor:
        user, movie, bias = pair_vectors(model, {USER: batch[USER]}, catalogue)
        if config.vector_dropout:
            seed = tf.stack([tf.constant(config.seed, tf.int64), tf.cast(step_number, tf.int64)])
            user = tf.nn.experimental.stateless_dropout(user, config.vector_dropout, seed)
        scores = tf.matmul(user, movie, transpose_b=True) + bias + unseen
        likelihood = tf.reduce_sum(batch[LABEL] * tf.nn.log_softmax(scores), axis=1)
        # Of an average user's positives, so that users weigh as their positives in every batch alike.
        return _penalty(config, model, rows, batch[USER]) - tf.reduce_mean(likelihood) / a_user

    return _Task(parts, loss, len(users), _steps(len(active), config.batch_size), lazy_users=True)


_TASKS: dict[tuple[str, str], Callable[[ModelConfig, keras.Model, _Rows], _Task]] = {
    ("like", "binary"): _like,
    ("interaction", "binary"): _against_negatives,
    ("interaction", "in_batch"): _in_batch,
    ("interaction", "softmax"): _softmax,
}


def _cross_entropy(core: keras.Model, x: dict[str, tf.Tensor], labels: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy, and the penalties of the layers."""
    inputs = {tensor.name: x[tensor.name] for tensor in core.inputs}
    scores = tf.reshape(core(inputs, training=True), [-1])
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, scores)
    return tf.reduce_mean(losses) + tf.add_n([*core.losses, tf.zeros([])])


def _penalty(
    config: ModelConfig, model: keras.Model, rows: _Rows, users: tf.Tensor | None = None
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
            if users is not None and layer.name == "user_embedding":
                share = tf.cast(tf.shape(table)[0] / tf.shape(users)[0], tf.float32)
                table, weights = tf.gather(table, users), tf.gather(weights, users) * share
            total += layer.l2 / 2 * tf.reduce_sum(weights * tf.reduce_sum(tf.square(table), axis=1))
    return total / max(float((rows.y > 0.5).sum()), 1.0)


def _adapt(model: keras.Model, config: ModelConfig, rows: _Rows) -> None:
    """Tells the embeddings how often each id occurs; a softmax starts from popularity."""
    at = rows.y > 0.5 if config.objective == "interaction" else slice(None)
    movies = rows.x[MOVIE][at]
    for layer in model.layers:
        if isinstance(layer, IdEmbedding):
            name = layer.input.name
            layer.adapt(
                rows.x[name][at] if name in rows.x else rows.catalogue[name][movies], config.l2_exponent
            )
    if config.loss == "softmax" and any(layer.name == "movie_bias" for layer in model.layers):
        bias = model.get_layer("movie_bias").embeddings
        counts = np.bincount(movies, minlength=bias.shape[0])
        logs = np.log((counts + 1) / (counts.sum() + len(counts)))
        bias.assign(np.where(counts > 0, logs - logs.mean(), 0)[:, None])


def _like_validation(train: _Rows, held: _Rows) -> Callable[[keras.Model], dict[str, float]]:
    sample = np.linspace(0, len(train) - 1, min(len(train), _TRAIN_SAMPLE)).astype(int)
    seen = _Rows(
        {key: values[sample] for key, values in train.x.items()},
        train.y[sample],
        train.catalogue,
        train.sizes,
    )

    def validate(model: keras.Model) -> dict[str, float]:
        found: dict[str, float] = {}
        for prefix, rows in (("train", seen), ("val", held)):
            p = _predict(model, rows)
            found |= {f"{prefix}_loss": log_loss(rows.y, p), f"{prefix}_auc": auc(rows.y, p)}
        return found

    return validate


def _ranking_validation(train: _Rows, held: _Rows) -> Callable[[keras.Model], dict[str, float]]:
    """NDCG and recall of the held positives among all movies that the user has not rated in train."""
    users, movies = held.positives
    chosen = np.unique(users)
    if len(chosen) > _VALIDATION_USERS:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, _VALIDATION_USERS, replace=False))
    row = np.full(train.sizes.user_id, -1)
    row[chosen] = np.arange(len(chosen))
    positive = np.zeros((len(chosen), train.sizes.movie_id), bool)
    candidate = np.broadcast_to(
        np.bincount(train.x[MOVIE], minlength=train.sizes.movie_id) > 0, positive.shape
    ).copy()
    for mask, of_users, of_movies, value in (
        (candidate, train.x[USER], train.x[MOVIE], False),
        (positive, users, movies, True),
    ):
        inside = row[of_users] >= 0
        mask[row[of_users[inside]], of_movies[inside]] = value
    number = positive.sum(axis=1)

    def validate(model: keras.Model) -> dict[str, float]:
        scores = _score(model, train, chosen)
        lists = metrics.best(scores, positive & candidate, candidate, K)
        found = metrics.relevance(lists.hits, number, [K])
        return {NDCG: float(found[f"ndcg@{K}"].mean()), RECALL: float(found[f"recall@{K}"].mean())}

    return validate


def _adjust(config: ModelConfig, model: keras.Model) -> None:
    """Post-hoc logit adjustment: Menon et al., "Long-tail learning via logit adjustment" (2021); by the biases."""
    if config.loss == "softmax" and config.popularity_adjustment:
        bias = model.get_layer("movie_bias").embeddings
        bias.assign(bias * (1 - config.popularity_adjustment))


def _calibrate(
    config: ModelConfig, model: keras.Model, train: _Rows, held: _Rows | None
) -> tuple[float, float]:
    """Sets and returns slope and offset of the model's calibration.

    Like: a temperature fitted on eval, where it is asked for. Interaction: the offset by which the mean probability of
    all pairs is the share of the positives among them, since a softmax leaves it open, and drawn negatives are fewer.
    """
    slope, offset = 1.0, 0.0
    if config.objective == "interaction":
        users, _ = train.positives
        users, counts = np.unique(users, return_counts=True)
        few = np.random.default_rng(0).permutation(len(users))[:_VALIDATION_USERS]
        scores = _score(model, train, users[few], core=True)
        movies = np.bincount(train.x[MOVIE], minlength=train.sizes.movie_id) > 0
        scores, share = scores[:, movies], counts[few].mean() / movies.sum()
        offset = float(brentq(lambda b: expit(scores + b).mean() - share, -1e3, 1e3, xtol=1e-4))
    elif config.temperature and held is not None:
        p = np.clip(_predict(model, held).astype(np.float64), 1e-7, 1 - 1e-7)
        raw = np.log(p) - np.log1p(-p)
        slope = float(
            minimize_scalar(lambda s: log_loss(held.y, expit(s * raw)), bounds=(0.1, 10), method="bounded").x
        )
    model.get_layer("calibration").calibrate(slope, offset)
    return slope, offset


def _predict(model: keras.Model, rows: _Rows) -> np.ndarray:
    """Probabilities of rows, float32 (N,)."""
    parts = []
    for start in range(0, len(rows), _PREDICTED_ROWS):
        at = slice(start, start + _PREDICTED_ROWS)
        x = {key: tf.constant(values[at]) for key, values in rows.x.items()}
        x |= rows.movie_inputs(x[MOVIE])
        parts.append(model({tensor.name: x[tensor.name] for tensor in model.inputs}, training=False).numpy())
    return np.concatenate(parts).reshape(-1)


def _score(model: keras.Model, rows: _Rows, users: np.ndarray, core: bool = False) -> np.ndarray:
    """Logits or probabilities of all movies for users (B,), float32 (B, M)."""
    movies = rows.movie_inputs(tf.range(rows.sizes.movie_id))
    quick = is_dot_product(model.name)
    step = len(users) if quick else max(_PREDICTED_PAIRS // rows.sizes.movie_id, 1)

    @tf.function(reduce_retracing=True)
    def score(asked: tf.Tensor) -> tf.Tensor:
        if quick:
            return pair_logits(model, {USER: asked}, movies)
        return all_pairs(model, {USER: asked}, movies)

    scores = [
        score(tf.constant(users[start : start + step], tf.int32)).numpy()
        for start in range(0, len(users), max(step, 1))
    ]
    found = np.concatenate(scores) if scores else np.zeros((0, rows.sizes.movie_id), np.float32)
    if core and not quick:
        p = np.clip(found.astype(np.float64), 1e-12, 1 - 1e-7)
        found = np.log(p) - np.log1p(-p)
    return found


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


def _stack(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Concatenates rows; the narrower of two (rows, G) arrays is padded with -1."""
    if first.ndim == 2:
        width = max(first.shape[1], second.shape[1])
        first, second = (
            np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=-1) for part in (first, second)
        )
    return np.concatenate([first, second])
