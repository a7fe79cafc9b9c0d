"""Layers that the models share. Import this module before loading a saved model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from components.models import CALIBRATION, PROBABILITY

# Rows of an id for which a penalty is what its strength says: about those of a user of MovieLens 100K, on which the
# default strengths were chosen.
USUAL_COUNT = 90


@keras.saving.register_keras_serializable(package="marquee")
class IdEmbedding(keras.layers.Embedding):
    """Embedding whose L2 penalty falls on the vectors looked up in a training batch.

    The loss gains `l2 * mean over the batch of w[id] * |vector[id]|^2`. With every w at 1 an id is
    penalised as often as it occurs, as in matrix factorization by SGD; `adapt` sets w so that the sum
    over all training rows is in proportion to `count ** exponent` instead (Rendle et al., "Revisiting the
    performance of iALS", 2022), and as `l2` says for an id with `usual_count` rows. So a strength means the same on a
    log of few rows an id as on one of many. None is for features of few values, such as years: there the mean w of the
    rows is 1. It is added in training only: the validation loss is the plain log-loss.

    Shapes: integers (B,), -1 in a row that fills a batch -> floats (B, output_dim).
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        l2: float = 0.0,
        usual_count: int | None = USUAL_COUNT,
        **kwargs: Any,
    ) -> None:
        super().__init__(input_dim, output_dim, **kwargs)
        self.l2, self.usual_count = l2, usual_count
        self.penalty_weights = np.ones(input_dim, np.float32)
        self.frequencies = np.ones(input_dim, np.float32)

    def adapt(self, ids: np.ndarray, exponent: float) -> None:
        """Learns from the training rows how often each id occurs; call it before the first training step.

        Sets w, and `frequencies`, counts in units of their mean (neither is saved: only training needs them), and lets
        ids without a row, such as the out-of-vocabulary ones, start, and so stay, at zero instead of at random.
        """
        counts = np.bincount(ids.reshape(-1), minlength=self.input_dim)
        self.frequencies = ((counts + 1) / (counts.mean() + 1)).astype(np.float32)
        self.embeddings.assign(self.embeddings * (counts > 0)[:, None])
        weights = np.maximum(counts, 1) ** (exponent - 1.0)
        usual = (counts @ weights) / max(counts.sum(), 1)
        if self.usual_count is not None:
            usual = self.usual_count ** (exponent - 1.0)
        self.penalty_weights = (weights / max(usual, 1e-12)).astype(np.float32)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        vectors = super().call(inputs)
        if training and self.l2:
            weights = ops.take(ops.convert_to_tensor(self.penalty_weights), inputs)
            weights = ops.where(inputs >= 0, weights, 0.0)
            self.add_loss(self.l2 * ops.mean(weights * ops.sum(ops.square(vectors), axis=-1)))
        return vectors

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l2": self.l2, "usual_count": self.usual_count}


@keras.saving.register_keras_serializable(package="marquee")
class MeanEmbedding(keras.layers.Embedding):
    """Mean of the embeddings of a row's real values; zeros for a row that has none.

    In training the loss gains `l2 * mean over the batch of |mean|^2`.

    Shapes: integers (B, G), padded with -1 -> floats (B, output_dim). G may differ between batches.
    """

    def __init__(self, input_dim: int, output_dim: int, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(input_dim, output_dim, **kwargs)
        self.l2 = l2

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        real = ops.cast(ops.expand_dims(inputs >= 0, -1), self.compute_dtype)
        vectors = super().call(ops.maximum(inputs, 0))
        mean = ops.sum(vectors * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0)
        if training and self.l2:
            self.add_loss(self.l2 * ops.mean(ops.sum(ops.square(mean), axis=-1)))
        return mean

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l2": self.l2}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.output_dim)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="marquee")
class GlobalBias(keras.layers.Layer):
    """Adds one trained number to every logit. Shapes: (B, 1) -> (B, 1)."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        return inputs + self.bias


@keras.saving.register_keras_serializable(package="marquee")
class Calibration(keras.layers.Layer):
    """slope * logit + offset: what makes a sigmoid a probability; not trained with the rest, see `calibrate`.

    Temperature scaling with T = 1 / slope, and Platt's with an offset. Source: Guo et al., "On calibration of modern
    neural networks" (2017). Shapes: any.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.slope = self.add_weight(shape=(), initializer="ones", trainable=False, name="slope")
        self.offset = self.add_weight(shape=(), initializer="zeros", trainable=False, name="offset")

    def call(self, inputs: Any) -> Any:
        return inputs * self.slope + self.offset

    def calibrate(self, slope: float, offset: float) -> None:
        self.slope.assign(slope)
        self.offset.assign(offset)


def probability(logit: keras.KerasTensor) -> keras.KerasTensor:
    """The output that every model has: the sigmoid of its calibrated logit, (B, 1)."""
    return keras.layers.Activation("sigmoid", name=PROBABILITY)(Calibration(name=CALIBRATION)(logit))


def id_input(name: str) -> keras.KerasTensor:
    """Input of one integer a row, (B,)."""
    return keras.Input(shape=(), dtype="int64", name=name)


def normal(stddev: float) -> keras.initializers.Initializer:
    """Initial values of embeddings."""
    return keras.initializers.RandomNormal(stddev=stddev)
