"""Vectors carried over by token, new ids, and what it is good for: fewer epochs on the next span of MovieLens 100K."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from components.models import MODELS, VocabularySizes, build_model, config_of
from components.shared.features import GENRES_KEY, MOVIE_KEY, USER_KEY
from components.trainer.training import History, fit
from components.trainer.warm_start import (
    Saved,
    carried,
    carry_over,
    difference,
    layer_weights,
    load,
    save,
)
from tests.components.trainer.spans import Span, spans

OLD = {USER_KEY: [b"ann", b"bob"], MOVIE_KEY: [b"m1", b"m2", b"m3"], GENRES_KEY: [b"Drama", b"War"]}
# In another order, with new ones, and without m2.
NEW = {
    USER_KEY: [b"zoe", b"bob", b"ann"],
    MOVIE_KEY: [b"m4", b"m3", b"m5", b"m1"],
    GENRES_KEY: [b"War", b"Noir", b"Drama"],
}
# m4: War and Drama, m3: Drama, m5: Noir, m1: War; the out-of-vocabulary movie.
GENRES = np.array([[0, 2], [2, -1], [1, -1], [0, -1], [-1, -1]])


def model_of(config, tokens) -> keras.Model:
    """A model with random weights, also where they start at zero."""
    model = build_model(config, VocabularySizes(**{key: len(of) + 1 for key, of in tokens.items()}))
    for weights in model.weights:
        weights.assign(keras.random.normal(weights.shape))
    return model


def vectors(model: keras.Model, layer: str) -> np.ndarray:
    return model.get_layer(layer).get_weights()[0]


@pytest.fixture(params=sorted(MODELS))
def both(request, tmp_path):
    """A model of the old vocabularies, written and read, and one of the new ones that started from it."""
    keras.utils.set_random_seed(7)
    config = config_of(request.param, embedding_dim=4)
    old, new = model_of(config, OLD), model_of(config, NEW)
    unlike = new.get_layer("calibration").get_weights()
    save(tmp_path, config, layer_weights(old), OLD)
    saved = load(tmp_path, config.objective)
    fresh = carry_over(new, config, NEW, saved, {"genres_xf": GENRES})
    assert difference(config, saved) == ""
    assert fresh == []
    return SimpleNamespace(old=old, new=new, saved=saved, unlike=unlike)


def test_old_ids_have_their_vectors_though_the_vocabularies_were_reordered(both):
    """Bit by bit, in every layer with a vector an id; so have the out-of-vocabulary ids."""
    tables = [name for name in both.saved.weights if name.endswith(("_embedding", "user_bias", "movie_bias"))]
    assert {"user_embedding", "movie_embedding"} <= set(tables)
    for name in tables:
        before, after = vectors(both.old, name), vectors(both.new, name)
        key = {"user": USER_KEY, "movie": MOVIE_KEY, "genre": GENRES_KEY}.get(name.split("_")[0])
        if not key:  # years
            np.testing.assert_array_equal(before, after)
            continue
        common = [token for token in NEW[key] if token in OLD[key]]
        assert len(common) >= 2
        np.testing.assert_array_equal(
            after[[NEW[key].index(token) for token in common]],
            before[[OLD[key].index(token) for token in common]],
        )
        np.testing.assert_array_equal(after[-1], before[-1])


def test_the_other_weights_are_carried_over_but_for_the_calibration(both):
    for layer in both.new.layers:
        if isinstance(layer, keras.layers.Embedding):
            continue
        expected = (
            both.unlike if layer.name == "calibration" else both.old.get_layer(layer.name).get_weights()
        )
        for array, other in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(array, other)


def test_new_ids(both):
    """A movie from its genres; a user, and a movie of an unknown genre, from the out-of-vocabulary vector."""
    old, new = vectors(both.old, "movie_embedding"), vectors(both.new, "movie_embedding")
    # War is that of m1, Drama that of m3: of the old movies that are still there.
    np.testing.assert_allclose(new[0], (old[0] + old[2]) / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(new[2], old[-1], rtol=1e-6)
    np.testing.assert_allclose(
        vectors(both.new, "user_embedding")[0], vectors(both.old, "user_embedding")[-1]
    )
    assert carried(NEW, both.saved) == {USER_KEY: (2, 3), MOVIE_KEY: (2, 4), GENRES_KEY: (2, 3)}


def test_new_users_start_at_the_mean_where_the_unknown_one_was_never_trained():
    config = config_of("dot_product", embedding_dim=4)
    old, new = model_of(config, OLD), model_of(config, NEW)
    table = old.get_layer("user_embedding").embeddings
    table.assign(np.concatenate([table.numpy()[:-1], np.zeros((1, 4))]))
    saved = Saved(config.model_dump(), layer_weights(old), {key: np.array(of) for key, of in OLD.items()})
    carry_over(new, config, NEW, saved, {"genres_xf": GENRES})
    np.testing.assert_allclose(vectors(new, "user_embedding")[0], table.numpy()[:-1].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (config_of("dot_product", embedding_dim=8), "embedding_dim is 8 there and 32 here"),
        (config_of("mlp"), "name is mlp there and dot_product here"),
        (
            config_of("dot_product", objective="interaction", embedding_dim=32),
            "objective is interaction there and like here, loss is softmax there and binary here",
        ),
    ],
)
def test_a_model_of_another_kind_is_no_start_and_it_is_said_why(other, said):
    saved = Saved(other.model_dump(), {}, {})
    assert difference(config_of("dot_product"), saved) == said


def test_layers_of_another_shape_start_afresh_and_are_named():
    wide, narrow = (config_of("mlp", hidden_units=units, embedding_dim=4) for units in ((8,), (4,)))
    old, new = model_of(wide, OLD), model_of(narrow, NEW)
    saved = Saved(wide.model_dump(), layer_weights(old), {key: np.array(of) for key, of in OLD.items()})
    assert carry_over(new, narrow, NEW, saved, {"genres_xf": GENRES}) == ["hidden_1", "logit"]
    np.testing.assert_array_equal(vectors(new, "user_embedding")[1], vectors(old, "user_embedding")[1])


def test_nothing_was_left_to_start_from(tmp_path):
    assert load(tmp_path, "like") is None


def trained(config, span: Span, saved: Saved | None = None) -> tuple[keras.Model, History]:
    def start(model: keras.Model) -> None:
        assert saved
        carry_over(model, config, span.tokens, saved, span.catalogue)
        # Every id that both spans have, before the first step.
        for key, layer in ((USER_KEY, "user_embedding"), (MOVIE_KEY, "movie_embedding")):
            place = {token: i for i, token in enumerate(saved.tokens[key].tolist())}
            ids = [i for i, token in enumerate(span.tokens[key]) if token in place]
            old = [place[span.tokens[key][i]] for i in ids]
            assert ids != old
            np.testing.assert_array_equal(vectors(model, layer)[ids], saved.weights[layer][0][old])

    return fit(config, span.sizes, *span.train, *span.held, span.catalogue, start=start if saved else None)


def reached(history: History, sign: int, value: float) -> int | None:
    """The first epoch, from 1, that is as good as a value."""
    values = history.metrics[history.monitor]
    return next((epoch for epoch, of in enumerate(values, start=1) if sign * of <= sign * value), None)


@pytest.mark.long
@pytest.mark.parametrize(
    ("objective", "method", "share", "tolerance", "times"),
    [
        ("like", "time", 0.7, 0.0, 2),
        ("like", "user_time", 0.9, 0.002, 2),
        ("interaction", "user_time", 0.9, 0.001, 2),
    ],
)
def test_fewer_epochs_to_the_same_quality_on_the_next_span(objective, method, share, tolerance, times):
    """The best that a cold start comes to, within a tolerance, in a fraction of the epochs."""
    config = config_of("dot_product", objective=objective, refit=False)
    sign = 1 if objective == "like" else -1
    first, second = spans(method, share)
    _, base = trained(config, first)
    tokens = {key: np.array(of) for key, of in first.tokens.items()}
    _, cold = trained(config, second)
    _, warm = trained(config, second, Saved(config.model_dump(), base.weights, tokens))
    bar = cold.best[cold.monitor] + sign * tolerance
    epochs = cold.best_epoch, reached(warm, sign, bar)
    print(
        f"{objective}, {method}, {share:.0%}: {cold.monitor} {bar:.4f} at epoch {epochs[0]} cold, {epochs[1]} warm;"
    )
    print(f"best {cold.best[cold.monitor]:.4f} cold, {warm.best[warm.monitor]:.4f} warm")
    assert epochs[1] is not None
    assert epochs[1] * times <= epochs[0]


def test_the_weights_left_are_those_of_the_train_split_alone():
    """The next eval split may hold ratings of this one, so that a refitted model would have seen them."""
    config = config_of("dot_product", epochs=2)
    span, _ = spans()
    model, history = fit(config, span.sizes, *span.train, *span.held, span.catalogue)
    plain, _ = fit(
        config.model_copy(update={"refit": False}), span.sizes, *span.train, *span.held, span.catalogue
    )
    left = history.weights["user_embedding"][0]
    # But for rounding: what is to be trained again is trained in batches of the wider shape.
    np.testing.assert_allclose(left, vectors(plain, "user_embedding"), atol=1e-5)
    assert not np.allclose(left, vectors(model, "user_embedding"), atol=1e-3)


@pytest.mark.parametrize(("epochs", "warm_epochs", "taken"), [(3, 2, 2), (2, 5, 2), (3, None, 3)])
def test_a_warm_start_has_epochs_of_its_own_and_a_cold_one_those_of_a_cold_one(epochs, warm_epochs, taken):
    """A run that is to start warm but finds no model to start from must not end half way."""
    config = config_of(
        "dot_product", warm_start=True, epochs=epochs, warm_epochs=warm_epochs, refit=False, l2_factors=(1.0,)
    )
    first, second = spans()
    _, base = trained(config, first)
    assert len(base.metrics["loss"]) == epochs
    tokens = {key: np.array(of) for key, of in first.tokens.items()}
    _, warm = trained(config, second, Saved(config.model_dump(), base.weights, tokens))
    assert len(warm.metrics["loss"]) == taken
