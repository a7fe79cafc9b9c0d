"""The steps of a program: those of Keras' Adam, compiled once for what is trained twice."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.models import config_of
from components.trainer import steps, training
from components.trainer.steps import _Adam
from tests.components.trainer.test_training import EVAL, SIZES, TRAIN


@pytest.mark.parametrize("large", [1, 5, 1000])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_step_is_that_of_keras(schedule, large, monkeypatch):
    """Of variables of several shapes, with each schedule of the learning rate, also beyond its end."""
    monkeypatch.setattr(steps, "_LARGE", large)
    schedules = keras.optimizers.schedules
    rates = {
        "constant": 0.1,
        "linear": schedules.PolynomialDecay(0.1, 6, end_learning_rate=0.002),
        "cosine": schedules.CosineDecay(0.1, 6, alpha=0.02),
    }
    random = np.random.default_rng(0)
    values = [random.normal(size=shape).astype(np.float32) for shape in ((5, 3), (4, 1), (1,))]
    ours, theirs = [tf.Variable(of) for of in values], [keras.Variable(of) for of in values]
    adam = _Adam(ours, config_of("dot_product", schedule=schedule, learning_rate=0.1))
    keras_adam = keras.optimizers.Adam(rates[schedule])
    for _ in range(8):
        gradients = [tf.constant(random.normal(size=of.shape), tf.float32) for of in values]
        adam(gradients, adam.rate(tf.constant(6.0)))
        keras_adam.apply(gradients, theirs)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        config_of("dot_product", epochs=2),
        config_of("two_tower", epochs=2, hidden_units=(8,)),
        config_of("dot_product", objective="interaction", epochs=2, item_item=0),
    ],
    ids=lambda config: f"{config.name} {config.objective}",
)
def test_what_is_trained_again_is_compiled_once(config, monkeypatch):
    """The refit, on more rows, takes the program of the first training; so do all strengths."""
    programs = []
    compiled = training.compiled

    def observed(*arguments):
        programs.append(compiled(*arguments))
        return programs[-1]

    monkeypatch.setattr(training, "compiled", observed)
    catalogue = {"genres_xf": np.arange(51)[:, None] % 3, "year_xf": np.arange(51) % 9}
    _, history = training.fit(config, SIZES, *TRAIN, *EVAL, catalogue)
    assert history.refitted
    (program,) = programs
    assert program.run.experimental_get_tracing_count() == 1
