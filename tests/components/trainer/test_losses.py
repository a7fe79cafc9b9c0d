"""The losses of likes: what fills a batch up counts nothing."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from components.models import VocabularySizes, build_model, config_of
from components.trainer.losses import TASKS
from components.trainer.rows import MOVIE, USER, Rows
from components.trainer.steps import given
from components.trainer.training import adapt

SIZES = VocabularySizes(user_id=41, movie_id=51, genres=4)


def rows(number: int) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    x = {USER: random.integers(0, 40, number), MOVIE: random.integers(0, 50, number)}
    of_movie = {"genres_xf": random.integers(-1, 4, (51, 2)), "year_xf": random.integers(0, 9, 51)}
    return x, random.integers(0, 2, number), of_movie


@pytest.mark.parametrize("name", ["dot_product", "two_tower", "genre_mlp", "neumf"])
def test_rows_that_fill_a_batch_count_nothing(name):
    """Loss and gradients of steps as wide as those of a longer log are those of the own rows."""
    config = config_of(name, batch_size=32, embedding_init=0.5, embedding_l2=0.3)
    of = Rows.of(config, SIZES, *rows(330))
    model = build_model(config, SIZES)
    adapt(model, config, of)
    found = []
    for others in (0, 500):
        task = TASKS["like", "binary"](config, model, of, others)
        arrays, order, steps = next(task.parts(np.random.default_rng(0)))
        assert steps == task.steps == 11
        filled = {key: tf.gather(tf.constant(values), order[0]) for key, values in arrays.items()}
        with tf.GradientTape() as tape:
            loss = task.loss(filled, tf.constant(0), tf.constant(1.0), given(task, 1))
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        found.append((order.shape, [loss, *map(tf.convert_to_tensor, gradients)]))
    (own, alone), (wide, together) = found
    assert own == (11, 30)
    assert wide == (16, 32)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
