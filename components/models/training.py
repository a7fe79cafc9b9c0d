"""Trains a model on arrays: the one loop that the Trainer, the Tuner and the tests share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from components.models import VocabularySizes, build_model
from components.models.hyperparameters import ModelConfig
from components.models.layers import IdEmbedding

Arrays = Mapping[str, np.ndarray]

_VALIDATION_BATCH = 65_536


@dataclass(frozen=True)
class History:
    """What happened in training.

    Attributes:
        metrics: `loss`, `val_loss` and `val_auc`, one number an epoch. `loss` has the penalties in it,
            `val_loss` is the plain log-loss. A refit's losses are not among them.
        best_epoch: Number, from 1, of the epoch with the least `val_loss`, whose weights were kept or
            for which the model was trained afresh.
        refitted: Whether the weights come from training on train and eval together.
        seconds: Wall-clock time of it all.
    """

    metrics: dict[str, list[float]]
    best_epoch: int
    refitted: bool
    seconds: float

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
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras.Model, History]:
    """Trains with early stopping on the validation loss and keeps the best weights.

    Args:
        config: Which model, and how to train it; `config.seed` makes the result repeatable.
        sizes: Sizes of the vocabularies.
        x: Feature name -> integers, N rows: `user_id_xf` and `movie_id_xf` (N,), `genres_xf`
            (N, G) padded with -1. Features that the model has no input for are left out.
        y: Labels, 0 or 1, any numeric dtype, (N,) or (N, 1).
        x_eval: The same for M validation rows; G may differ.
        y_eval: Labels of the validation rows.
        callbacks: Called while fitting with early stopping, not in a refit. They see `loss`,
            `val_loss` and `val_auc` in the logs of each epoch.

    Returns:
        The compiled model, and what happened.
    """
    started = time.perf_counter()
    y, y_eval = _labels(y), _labels(y_eval)
    model = _compiled(config, sizes)
    x, x_eval = _inputs(model, x), _inputs(model, x_eval)
    _adapt(model, config, x)
    recorded = keras.callbacks.History()
    model.fit(
        x,
        y,
        batch_size=config.batch_size,
        epochs=config.epochs,
        shuffle=True,
        callbacks=[
            _Validation(x_eval, y_eval),
            keras.callbacks.EarlyStopping(
                monitor="val_loss", mode="min", patience=config.patience, restore_best_weights=True
            ),
            *callbacks,
            recorded,
        ],
        verbose=0,
    )
    metrics = {name: [float(v) for v in values] for name, values in recorded.history.items()}
    best_epoch = int(np.argmin(metrics["val_loss"])) + 1
    if config.refit:
        model = _compiled(config, sizes)
        x = {name: _stack(x[name], x_eval[name]) for name in x}
        _adapt(model, config, x)
        model.fit(
            x,
            np.concatenate([y, y_eval]),
            batch_size=config.batch_size,
            epochs=best_epoch,
            shuffle=True,
            verbose=0,
        )
    return model, History(metrics, best_epoch, config.refit, time.perf_counter() - started)


def log_loss(y: np.ndarray, p: np.ndarray) -> float:
    """Mean binary cross-entropy of probabilities, as Keras clips them. Any equal shapes."""
    p = np.clip(np.asarray(p, np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(np.asarray(y) > 0.5, np.log(p), np.log1p(-p))))


def auc(y: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN if only one class is there. Shapes: (N,), (N,)."""
    liked = np.asarray(y).reshape(-1) > 0.5
    _, inverse, counts = np.unique(np.asarray(scores).reshape(-1), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    positives, negatives = int(liked.sum()), int((~liked).sum())
    if not positives or not negatives:
        return float("nan")
    return float((ranks[liked].sum() - positives * (positives + 1) / 2) / (positives * negatives))


class _Validation(keras.callbacks.Callback):
    """Puts log-loss and exact AUC of the validation rows into the logs, from one pass in large batches."""

    def __init__(self, x: Arrays, y: np.ndarray) -> None:
        super().__init__()
        self._x, self._y = x, y

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            p = np.concatenate(
                [
                    self.model.predict_on_batch(
                        {name: rows[start : start + _VALIDATION_BATCH] for name, rows in self._x.items()}
                    )
                    for start in range(0, len(self._y), _VALIDATION_BATCH)
                ]
            )
            logs["val_loss"], logs["val_auc"] = log_loss(self._y, p), auc(self._y, p)


def _compiled(config: ModelConfig, sizes: VocabularySizes) -> keras.Model:
    keras.utils.set_random_seed(config.seed)
    model = build_model(config, sizes)
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate), loss=keras.losses.BinaryCrossentropy()
    )
    return model


def _adapt(model: keras.Model, config: ModelConfig, x: Arrays) -> None:
    for layer in model.layers:
        if isinstance(layer, IdEmbedding):
            layer.adapt(x[layer.input.name], config.l2_exponent)


def _labels(y: np.ndarray) -> np.ndarray:
    return np.asarray(y, dtype=np.float32).reshape(-1, 1)


def _inputs(model: keras.Model, arrays: Arrays) -> dict[str, np.ndarray]:
    return {tensor.name: np.asarray(arrays[tensor.name]) for tensor in model.inputs}


def _stack(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Concatenates rows; the narrower of two (rows, G) arrays is padded with -1."""
    if first.ndim == 2:
        width = max(first.shape[1], second.shape[1])
        first, second = (
            np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=-1) for part in (first, second)
        )
    return np.concatenate([first, second])
