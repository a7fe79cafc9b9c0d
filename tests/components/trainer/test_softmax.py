"""The softmax: over the whole catalogue, over a sample of it, and at a cost that follows the data."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.models import GLOBAL_BIAS, MOVIE_BIAS, USER_BIAS, VocabularySizes, build_model, config_of
from components.models.dot_product import DotProductConfig
from components.trainer.losses import TASKS
from components.trainer.rows import MOVIE, USER, Rows
from components.trainer.softmax import _Baskets, _sampled_softmax
from components.trainer.steps import given
from components.trainer.tasks import Task
from components.trainer.training import adapt, fit

SIZES = VocabularySizes(user_id=301, movie_id=121, genres=1)
RANKS = {"objective": "interaction", "item_item": 0, "refit": False}


def taste(seed: int, ratings: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Users watch movies of the third of the catalogue that is theirs, four times of five."""
    random = np.random.default_rng(seed)
    users = np.repeat(np.arange(300), ratings)
    own = np.where(random.random(len(users)) < 0.8, users % 3, random.integers(0, 3, len(users)))
    movies = 3 * random.integers(0, 40, len(users)) + own
    return {USER: users, MOVIE: movies}, np.ones(len(users))


def softmax(**settings: object) -> tuple[DotProductConfig, Task]:
    config = config_of("dot_product", **RANKS, **settings)
    rows = Rows.of(config, SIZES, *taste(0, 8), None)
    model = build_model(config, SIZES)
    adapt(model, config, rows)
    return config, TASKS["interaction", "softmax"](config, model, rows, 0)


def loss_of(task: Task) -> float:
    """That of the first batch of an epoch."""
    arrays, order, _ = next(task.parts(np.random.default_rng(0)))
    batch = {key: tf.gather(tf.constant(values), order[0]) for key, values in arrays.items()}
    return float(task.loss(batch, tf.constant(0), tf.constant(1.0), given(task, 1)))


def test_a_sampled_softmax_is_that_of_the_whole_catalogue_on_average():
    """One step of all users, before any training: each movie drawn stands for those that are not."""
    keras.utils.set_random_seed(0)
    everything = {"batch_size": 300, "embedding_init": 0.35, "embedding_l2": 0.0}
    _, full = softmax(**everything)
    whole = loss_of(full)
    config = config_of("dot_product", **RANKS, **everything, softmax_sample=30)
    x, y = taste(0, 8)
    few = np.isin(x[MOVIE], np.arange(30))  # what the users have rated, of a catalogue of 120
    rows = Rows.of(config, SIZES, {key: of[few] for key, of in x.items()}, y[few], None)
    model = build_model(config, SIZES)
    adapt(model, config, Rows.of(config, SIZES, x, y, None))  # one that no row has would have no vector
    baskets = _Baskets.of(config, rows)

    def sampled(size: int, seed: int) -> float:
        of = config.model_copy(update={"softmax_sample": size})
        task = _sampled_softmax(of, model, rows, baskets, np.arange(120), 300)
        arrays, *_ = next(task.parts(np.random.default_rng(seed)))
        batch = {key: tf.constant(values[:1]) for key, values in arrays.items()}
        return float(task.loss(batch, tf.constant(0), tf.constant(1.0), given(task, 1)))

    exact = sampled(1000, 0)  # all others are drawn
    draws = [sampled(30, seed) for seed in range(20)]
    assert np.isfinite(whole)
    assert np.std(draws) > 1e-3
    assert np.mean(draws) == pytest.approx(exact, rel=0.005)


def test_a_sampled_softmax_learns_what_the_whole_one_learns():
    reached = []
    for sample in (1000, 20):
        config = config_of("dot_product", **RANKS, softmax_sample=sample)
        _, history = fit(config, SIZES, *taste(0, 8), *taste(1, 3))
        reached.append(history.best["val_ndcg@10"])
    print(reached)
    assert reached[1] > 0.9 * reached[0] > 0.05


def test_a_catalogue_that_is_sampled_with_eval_alone_is_refitted():
    """Train has few enough movies for the whole softmax, and train and eval have too many."""
    config = config_of("dot_product", **{**RANKS, "refit": True}, softmax_sample=55, epochs=2)
    x, y = taste(0, 8)
    few = x[MOVIE] < 105
    held, y_held = taste(1, 3)
    _, history = fit(config, SIZES, {key: of[few] for key, of in x.items()}, y[few], held, y_held)
    assert history.refitted


def test_batches_grow_and_epochs_are_fewer_on_a_large_log_unless_somebody_has_set_them():
    config, task = softmax(max_steps=200)
    assert task.steps == 5  # 300 users in batches of 64
    _, history = fit(config, SIZES, *taste(0, 8), *taste(1, 3))
    assert len(history.metrics["loss"]) == 40
    _, history = fit(config.model_copy(update={"max_steps": 60}), SIZES, *taste(0, 8), *taste(1, 3))
    assert len(history.metrics["loss"]) == 12
    _, few = softmax(batch_size=1, max_steps=200)
    assert few.steps == 60  # of 5 users, as an epoch has 64 at most
    assert config_of("dot_product", **RANKS).max_steps
    assert config_of("dot_product", **RANKS, epochs=40).max_steps is None
    assert config_of("dot_product", **RANKS, batch_size=1).max_steps is None


def test_what_a_softmax_does_not_see_stays_as_it_was():
    """Biases that are the same for all logits of a row have no gradient but rounding errors."""
    config, _ = softmax(epochs=3)
    model, _ = fit(config, SIZES, *taste(0, 8), *taste(1, 2))
    for name in (USER_BIAS, GLOBAL_BIAS):
        assert not np.any(model.get_layer(name).get_weights()[0])
    assert np.any(model.get_layer(MOVIE_BIAS).get_weights()[0])
