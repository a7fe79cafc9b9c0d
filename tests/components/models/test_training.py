"""The training loop stops early, keeps the best, refits when told to, and reports what it did."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from components.models import VocabularySizes
from components.models.hyperparameters import DotProductConfig, GenreMlpConfig
from components.models.layers import IdEmbedding
from components.models.training import auc, fit

SIZES = VocabularySizes(user_id=41, movie_id=51, genres=4)


def taste(count: int, seed: int, width: int = 2) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Noisy ratings: users and movies have groups, and one row in five is a coin's work."""
    rng = np.random.default_rng(seed)
    user, movie = rng.integers(0, 40, count), rng.integers(0, 50, count)
    liked = np.where(rng.random(count) < 0.2, rng.integers(0, 2, count), user % 2 == movie % 2)
    x = {"user_id_xf": user, "movie_id_xf": movie, "genres_xf": np.tile(movie[:, None] % 3, (1, width))}
    return {**x, "user_activity": np.zeros(count)}, liked.astype(np.int64)


TRAIN, EVAL = taste(1500, 0), taste(400, 1, width=1)
OVERFITS = {"embedding_dim": 16, "embedding_l2": 0, "learning_rate": 0.05, "batch_size": 64, "epochs": 25}


def probabilities(model: keras.Model, x: dict[str, np.ndarray]) -> np.ndarray:
    return keras.ops.convert_to_numpy(model({t.name: x[t.name] for t in model.inputs}))[:, 0]


def test_keeps_the_best_epoch():
    """The weights handed back are those of the least validation loss, not the last."""
    config = DotProductConfig(**OVERFITS, patience=4, refit=False)
    model, history = fit(config, SIZES, *TRAIN, *EVAL)
    losses = history.metrics["val_loss"]
    assert history.best_epoch == np.argmin(losses) + 1 == len(losses) - 4
    p = probabilities(model, EVAL[0])
    assert log_loss(EVAL[1], p.astype(float)) == pytest.approx(min(losses), rel=1e-4)
    assert roc_auc_score(EVAL[1], p) == pytest.approx(history.best["val_auc"])
    assert not history.refitted


def test_validation_loss_has_no_penalty_in_it():
    """`loss` has the L2 penalty, `val_loss` is the log-loss that the evaluator will measure."""
    config = DotProductConfig(embedding_l2=5.0, embedding_init=0.5, epochs=1, refit=False, learning_rate=1e-6)
    model, history = fit(config, SIZES, *TRAIN, *TRAIN)
    p = probabilities(model, TRAIN[0]).astype(float)
    assert history.metrics["val_loss"][0] == pytest.approx(log_loss(TRAIN[1], p), rel=1e-4)
    assert history.metrics["loss"][0] > history.metrics["val_loss"][0] + 1


def test_refit_is_training_on_everything_for_the_best_number_of_epochs():
    """Refit equals a run over train and eval of that length from the same seed, widths of genres apart."""
    config = GenreMlpConfig(**OVERFITS, patience=2)
    refitted, history = fit(config, SIZES, *TRAIN, *EVAL)
    assert history.refitted
    wide = {**EVAL[0], "genres_xf": np.pad(EVAL[0]["genres_xf"], ((0, 0), (0, 1)), constant_values=-1)}
    both = {key: np.concatenate([TRAIN[0][key], wide[key]]) for key in wide}
    y = np.concatenate([TRAIN[1], EVAL[1]])
    once = config.model_copy(update={"refit": False, "epochs": history.best_epoch, "patience": 99})
    # Its early stopping watches its own rows, whose loss falls all the way.
    direct, direct_history = fit(once, SIZES, both, y, both, y)
    assert direct_history.best_epoch == history.best_epoch
    np.testing.assert_allclose(
        probabilities(refitted, EVAL[0]), probabilities(direct, EVAL[0]), rtol=1e-4, atol=1e-5
    )


def test_callbacks_see_every_epoch():
    """TensorBoard and progress bars get loss, val_loss and val_auc."""
    seen: list[dict[str, float]] = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    config = DotProductConfig(epochs=3, patience=9)
    _, history = fit(config, SIZES, *TRAIN, *EVAL, callbacks=[callback])
    assert len(seen) == 3
    for name in ("loss", "val_loss", "val_auc"):
        assert [logs[name] for logs in seen] == pytest.approx(history.metrics[name])


def test_labels_may_have_any_shape_and_type():
    """(N,) integers and (N, 1) floats are the same labels."""
    config = DotProductConfig(epochs=1, refit=False)
    flat, _ = fit(config, SIZES, *TRAIN, *EVAL)
    column = [y.astype(np.float64)[:, None] for y in (TRAIN[1], EVAL[1])]
    tall, _ = fit(config, SIZES, TRAIN[0], column[0], EVAL[0], column[1])
    np.testing.assert_array_equal(probabilities(flat, EVAL[0]), probabilities(tall, EVAL[0]))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_penalties_grow_with_the_chosen_power_of_frequency(exponent):
    """Summed over the rows, an id's penalty is in proportion to count ** exponent; the mean weight is 1."""
    ids = np.repeat([0, 1, 2], [1, 4, 16])
    layer = IdEmbedding(5, 2, embeddings_initializer="ones")
    layer.build()
    layer.adapt(ids, exponent)
    weights = layer.penalty_weights
    total = weights[:3] * [1, 4, 16]
    np.testing.assert_allclose(total / total[0], np.array([1, 4, 16]) ** exponent, rtol=1e-6)
    assert weights[ids].mean() == pytest.approx(1)
    assert np.isfinite(weights).all()
    np.testing.assert_array_equal(layer.embeddings.numpy()[:, 0], [1, 1, 1, 0, 0])


def test_auc_is_the_exact_one():
    """Same as scikit-learn's, ties included; undefined for one class."""
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, 500), rng.integers(0, 20, 500) / 20
    assert auc(y, scores) == pytest.approx(roc_auc_score(y, scores))
    assert np.isnan(auc(np.ones(3), np.arange(3)))
