"""The training loop stops early, keeps the best, refits when told to, and reports what it did."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from components.models import VocabularySizes, build_model, config_of
from components.models.dot_product import DotProductConfig
from components.models.genre_mlp import GenreMlpConfig
from components.models.layers import IdEmbedding
from components.trainer import losses
from components.trainer.rows import Rows
from components.trainer.training import fit
from components.trainer.validation import auc

SIZES = VocabularySizes(user_id=41, movie_id=51, genres=4)


def taste(count: int, seed: int, width: int = 2) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Noisy ratings: users and movies have groups, and one row in five is a coin's work."""
    rng = np.random.default_rng(seed)
    user, movie = rng.integers(0, 40, count), rng.integers(0, 50, count)
    liked = np.where(rng.random(count) < 0.2, rng.integers(0, 2, count), user % 2 == movie % 2)
    x = {"user_id_xf": user, "movie_id_xf": movie, "genres_xf": np.tile(movie[:, None] % 3, (1, width))}
    return {**x, "user_activity": np.zeros(count)}, liked.astype(np.int64)


TRAIN, EVAL = taste(1500, 0), taste(400, 1, width=1)
OVERFITS = {"embedding_dim": 16, "embedding_l2": 0, "learning_rate": 0.02, "batch_size": 64, "epochs": 25}
OVERFITS["schedule"] = "constant"


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
    config = GenreMlpConfig(**{**OVERFITS, "learning_rate": 0.003}, patience=2)
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


def test_an_observer_sees_every_epoch_and_may_end_the_training():
    """TensorBoard, progress and the Tuner get all metrics."""
    seen: list[dict[str, float]] = []
    config = DotProductConfig(epochs=3, patience=9, l2_factors=(1.0,))
    _, history = fit(config, SIZES, *TRAIN, *EVAL, on_epoch=lambda _, metrics: seen.append(dict(metrics)))
    assert len(seen) == 3
    for name in ("loss", "train_loss", "val_loss", "val_auc"):
        assert [metrics[name] for metrics in seen] == history.metrics[name]

    def enough(epoch: int, metrics: object) -> None:
        raise InterruptedError(epoch)

    with pytest.raises(InterruptedError, match="1"):
        fit(config, SIZES, *TRAIN, *EVAL, on_epoch=enough)


def test_without_validation_rows_all_epochs_are_taken():
    nobody = {key: values[:0] for key, values in EVAL[0].items()}
    _, history = fit(DotProductConfig(epochs=3), SIZES, *TRAIN, nobody, EVAL[1][:0])
    assert (history.best_epoch, history.refitted, set(history.metrics)) == (3, False, {"loss"})


@pytest.mark.parametrize("name", ["dot_product", "genre_mlp"])
def test_rows_that_do_not_fit_the_memory_are_taken_in_parts(name, monkeypatch):
    """Each part is shuffled and taken once an epoch; the result is as good."""
    parts = []

    def counted(config, arrays, random):
        parts.append(list(in_memory(config.model_copy(update={"memory_mb": 0.01}), arrays, random)))
        yield from parts[-1]

    in_memory = losses._in_memory
    monkeypatch.setattr(losses, "_in_memory", counted)
    config = config_of(
        name, epochs=4, refit=False, batch_size=64, learning_rate=0.02, embedding_l2=0.01, l2_factors=[1.0]
    )
    _, history = fit(config, SIZES, *TRAIN, *EVAL)
    assert len(parts) == 4
    for slices in parts:
        assert len(slices) > 1
        rows = np.concatenate([np.arange(len(TRAIN[1]))[part] for part in slices])
        assert sorted(rows) == list(range(len(TRAIN[1])))
    assert history.metrics["val_loss"][-1] < history.metrics["val_loss"][0]


def test_the_temperature_is_that_of_the_least_log_loss_on_eval():
    """An overfitted model is too sure of itself; its temperature is above 1, and the order stays."""
    config = DotProductConfig(**OVERFITS, refit=False, patience=99, temperature=False)
    config = config.model_copy(update={"epochs": 12})
    plain, _ = fit(config, SIZES, *TRAIN, *TRAIN)
    # Trained on the same rows, but fitted on eval.
    warm, history = fit(config.model_copy(update={"temperature": True}), SIZES, *TRAIN, *EVAL)
    slope = float(warm.get_layer("calibration").slope)
    p = probabilities(warm, EVAL[0]).astype(float)
    assert log_loss(EVAL[1], p) <= history.best["val_loss"] + 1e-6
    raw = (np.log(p) - np.log1p(-p)) / slope
    for other in (0.9, 1.1):
        assert log_loss(EVAL[1], 1 / (1 + np.exp(-raw * slope * other))) > log_loss(EVAL[1], p)
    assert float(plain.get_layer("calibration").slope) == 1


def test_labels_may_have_any_shape_and_type():
    """(N,) integers and (N, 1) floats are the same labels."""
    config = DotProductConfig(epochs=1, refit=False)
    flat, _ = fit(config, SIZES, *TRAIN, *EVAL)
    column = [y.astype(np.float64)[:, None] for y in (TRAIN[1], EVAL[1])]
    tall, _ = fit(config, SIZES, TRAIN[0], column[0], EVAL[0], column[1])
    np.testing.assert_array_equal(probabilities(flat, EVAL[0]), probabilities(tall, EVAL[0]))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_penalties_grow_with_the_chosen_power_of_frequency(exponent):
    """Summed over the rows, an id's penalty is in proportion to count ** exponent, and as the strength says at 90."""
    ids = np.repeat([0, 1, 2, 4], [1, 4, 16, 90])
    layer = IdEmbedding(6, 2, embeddings_initializer="ones")
    layer.build()
    layer.adapt(ids, exponent)
    weights = layer.penalty_weights
    total = weights[:3] * [1, 4, 16]
    np.testing.assert_allclose(total / total[0], np.array([1, 4, 16]) ** exponent, rtol=1e-6)
    assert weights[4] == pytest.approx(1)
    assert np.isfinite(weights).all()
    np.testing.assert_array_equal(layer.embeddings.numpy()[:, 0], [1, 1, 1, 0, 1, 0])
    years = IdEmbedding(6, 2, usual_count=None)
    years.build()
    years.adapt(ids, exponent)
    assert years.penalty_weights[ids].mean() == pytest.approx(1)


def test_auc_is_the_exact_one():
    """Same as scikit-learn's, ties included; undefined for one class."""
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, 500), rng.integers(0, 20, 500) / 20
    assert auc(y, scores) == pytest.approx(roc_auc_score(y, scores))
    assert np.isnan(auc(np.ones(3), np.arange(3)))


@pytest.mark.parametrize("made", [DotProductConfig, lambda **of: GenreMlpConfig(dropout=0.3, **of)])
def test_of_several_strengths_eval_chooses_and_each_is_as_alone(made):
    """A strength that leaves nothing of the vectors is worse where there is something to learn.

    The second one starts anew, random numbers and all, though it is trained by the program of the first.
    """
    seen = []
    settings = {"epochs": 6, "patience": 9, "learning_rate": 0.02, "refit": False, "schedule": "linear"}
    config = made(embedding_l2=0.001, l2_factors=(1000.0, 1.0), **settings)
    model, history = fit(
        config,
        SIZES,
        *TRAIN,
        *EVAL,
        on_epoch=lambda epoch, metrics: seen.append((epoch, metrics["val_loss"])),
    )
    assert [epoch for epoch, _ in seen] == list(range(1, 13))
    assert seen[11][1] < seen[5][1] - 0.01
    assert history.best["val_loss"] == seen[11][1]
    assert history.embedding_l2 == pytest.approx(0.001)
    alone, _ = fit(config.model_copy(update={"l2_factors": (1.0,)}), SIZES, *TRAIN, *EVAL)
    np.testing.assert_array_equal(probabilities(model, EVAL[0]), probabilities(alone, EVAL[0]))


def test_strengths_are_tried_until_one_is_worse_than_before():
    """So the one after that is not paid for."""
    seen = []
    config = DotProductConfig(epochs=6, embedding_l2=0.001, l2_factors=(1.0, 1000.0, 2000.0), refit=False)
    _, history = fit(config, SIZES, *TRAIN, *EVAL, on_epoch=lambda epoch, _: seen.append(epoch))
    assert seen == list(range(1, 13))
    assert history.embedding_l2 == pytest.approx(0.001)


def test_steps_of_likes_grow_with_the_root_of_a_large_log_unless_somebody_has_set_them():
    def steps(rows: int, **settings: object) -> int:
        config = config_of("dot_product", **settings)
        of = Rows.of(config, SIZES, *taste(rows, 0), None)
        return losses.TASKS["like", "binary"](config, build_model(config, SIZES), of, 0).steps

    assert config_of("dot_product").batch_size == 1024
    assert steps(128 * 1024) == 128
    assert steps(128 * 1024 * 16) == 512
    assert steps(128 * 1024 * 16, max_batch_size=2048) == 1024
    assert steps(128 * 1024 * 16, batch_size=1024) == 2048
    assert config_of("mlp").max_batch_size is None  # its rate is for the batches that it has


def test_a_factor_is_of_all_penalties():
    config = DotProductConfig(embedding_l2=0.01, bias_l2=0.002, l2_factors=(5.0,), refit=True)
    model, history = fit(config, SIZES, *TRAIN, *EVAL)
    times = config.model_copy(update={"embedding_l2": 0.05, "bias_l2": 0.01, "l2_factors": (1.0,)})
    same, _ = fit(times, SIZES, *TRAIN, *EVAL)
    np.testing.assert_allclose(probabilities(model, EVAL[0]), probabilities(same, EVAL[0]), atol=1e-4)
    assert history.embedding_l2 == pytest.approx(0.05)


def test_a_small_log_is_taken_in_smaller_steps():
    """An epoch of likes has 64 steps, or steps of 32 rows: with steps of 1024 this log had one an epoch."""
    _, history = fit(DotProductConfig(epochs=2, refit=False), SIZES, *TRAIN, *EVAL)
    assert history.metrics["val_loss"][-1] < 0.65
