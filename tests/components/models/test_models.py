"""The contract that every model of the registry keeps."""

from __future__ import annotations

import functools
from pathlib import Path

import keras
import numpy as np
import pytest

from components.models import MODELS, VocabularySizes, all_pairs, build_model, config_of, find
from components.models.dot_product import DotProductConfig
from components.models.hyperparameters import ModelConfig
from components.shared.errors import ConfigError
from components.shared.features import NUM_YEAR_BUCKETS
from components.trainer.training import fit
from components.trainer.validation import auc

SIZES = VocabularySizes(user_id=21, movie_id=31, genres=6)
OOV_USER, OOV_MOVIE, OOV_GENRE = 20, 30, 5

OUTSIDE = "tests.components.models.outside"  # one that the registry does not know
every_model = pytest.mark.parametrize("name", [*sorted(MODELS), OUTSIDE])


def small(name: str, **settings: object) -> ModelConfig:
    return config_of(name, **{"embedding_dim": 4, **settings})


def rows(count: int, width: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    """Random rows, unknown ids among them; genre lists of 0 to `width` values."""
    rng = np.random.default_rng(seed)
    genres = rng.integers(0, SIZES.genres, (count, width))
    genres[np.arange(width) >= rng.integers(0, width + 1, (count, 1))] = -1
    return {
        "user_id_xf": rng.integers(0, SIZES.user_id, count),
        "movie_id_xf": rng.integers(0, SIZES.movie_id, count),
        "genres_xf": genres,
        "year_xf": rng.integers(0, NUM_YEAR_BUCKETS, count),
    }


def predict(model: keras.Model, x: dict[str, np.ndarray]) -> np.ndarray:
    return keras.ops.convert_to_numpy(model({tensor.name: x[tensor.name] for tensor in model.inputs}))


@functools.cache
def trained(name: str, **settings: object) -> keras.Model:
    """A model that has taken a few steps, so that its weights are not the initial ones."""
    x = rows(64)
    y = (x["user_id_xf"] + x["movie_id_xf"]) % 2
    config = small(name, **{"epochs": 2, "batch_size": 16, "refit": False, **settings})
    return fit(config, SIZES, x, y, x, y)[0]


@every_model
def test_all_pairs_are_the_model_row_by_row(name):
    """The quick way and the model itself say the same of every pair, calibration included."""
    model, x = trained(name), rows(12)
    model.get_layer("calibration").calibrate(0.5, -0.3)
    users = {"user_id_xf": x["user_id_xf"][:5]}
    movies = {key: x[key] for key in ("movie_id_xf", "genres_xf", "year_xf")}
    found = keras.ops.convert_to_numpy(all_pairs(model, users, movies))
    pairs = {key: np.tile(values, (5,) + (1,) * (values.ndim - 1)) for key, values in movies.items()}
    each = predict(model, {"user_id_xf": np.repeat(users["user_id_xf"], 12), **pairs})
    model.get_layer("calibration").calibrate(1.0, 0.0)
    np.testing.assert_allclose(found, each.reshape(5, 12), rtol=1e-5)


WATCHED = [
    *((name, "binary") for name in [*sorted(MODELS), OUTSIDE]),
    *((name, loss) for name in ("dot_product", "two_tower", OUTSIDE) for loss in ("softmax", "in_batch")),
]


@pytest.mark.parametrize(("name", "loss"), WATCHED)
def test_learns_which_movies_are_watched(name, loss):
    """Users watch the movies of their own group: those they have not seen of it are recommended first."""
    users, movies = (part.reshape(-1) for part in np.meshgrid(np.arange(20), np.arange(30), indexing="ij"))
    own = users % 2 == movies % 2
    users, movies = users[own], movies[own]
    held = np.random.default_rng(3).random(len(users)) < 0.3
    catalogue = {"genres_xf": (np.arange(31) % 2)[:, None], "year_xf": np.arange(31) % 2}
    config = config_of(name,
        objective="interaction", loss=loss, embedding_dim=8, embedding_l2=0.01, learning_rate=0.02, batch_size=16,
        epochs=30, patience=30, refit=False, negatives=2, embedding_init=0.1, schedule="constant",
    )  # fmt: skip
    seen, unseen = ({"user_id_xf": users[at], "movie_id_xf": movies[at]} for at in (~held, held))
    ones = [np.ones(len(part["user_id_xf"]), int) for part in (seen, unseen)]
    model, history = fit(config, SIZES, seen, ones[0], unseen, ones[1], catalogue)
    assert history.best["val_ndcg@10"] > 0.9
    assert history.monitor == "val_ndcg@10"
    everyone = {"user_id_xf": np.arange(20)}
    everything = {"movie_id_xf": np.arange(30), **{key: table[:30] for key, table in catalogue.items()}}
    p = keras.ops.convert_to_numpy(all_pairs(model, everyone, everything))
    # A probability: of all pairs about as many as were positives of train.
    assert p.mean() == pytest.approx((~held).sum() / p.size, rel=0.1)


def test_registry_and_configs_name_the_same_models():
    """A model that can be configured can be built, and the other way round."""
    assert set(MODELS) >= {"dot_product", "mlp", "genre_mlp"}
    for name, config in ((name, find(name).config) for name in MODELS):
        assert config().name == name


@every_model
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_gives_one_probability_a_row(name, batch):
    """Output is (B, 1) within [0, 1] for any batch size, for int32 as for int64 indices."""
    model = build_model(small(name), SIZES)
    x = rows(batch)
    output = predict(model, x)
    assert output.shape == (batch, 1)
    assert output.dtype == np.float32
    assert np.all((output >= 0) & (output <= 1))
    narrow = predict(model, {key: value.astype(np.int32) for key, value in x.items()})
    np.testing.assert_array_equal(output, narrow)


@every_model
def test_declares_only_documented_inputs(name):
    """Inputs are transformed features; only genre_mlp and two_tower ask for more than ids."""
    names = {tensor.name for tensor in build_model(small(name), SIZES).inputs}
    more = {"genre_mlp": {"genres_xf"}, "two_tower": {"genres_xf", "year_xf"}}
    assert names == {"user_id_xf", "movie_id_xf"} | more.get(name, set())


@every_model
def test_serving_can_read_the_embedding_matrices(name):
    """Layers have the agreed names, and a row for every index."""
    model = build_model(small(name), SIZES)
    expected = {"user_embedding": SIZES.user_id, "movie_embedding": SIZES.movie_id}
    if name in ("genre_mlp", "two_tower"):
        expected["genre_embedding"] = SIZES.genres
    for layer, size in expected.items():
        assert model.get_layer(layer).embeddings.shape == (size, 4)


@every_model
def test_learns_a_known_answer(name):
    """Users like the movies of their own group and no other: held-out cells are told apart.

    An exclusive-or of user group and movie group, which no sum of a user's and a movie's bias fits.
    """
    users, movies = (part.reshape(-1) for part in np.meshgrid(np.arange(20), np.arange(30), indexing="ij"))
    liked = (users % 2 == movies % 2).astype(np.int64)
    x = {
        "user_id_xf": users,
        "movie_id_xf": movies,
        "genres_xf": (movies % 2)[:, None],
        "year_xf": movies % 2,
    }
    held = np.random.default_rng(3).random(len(users)) < 0.25
    seen = {key: value[~held] for key, value in x.items()}
    unseen = {key: value[held] for key, value in x.items()}
    config = config_of(
        name, embedding_l2=1e-4, learning_rate=0.005, batch_size=64, epochs=30, patience=30, refit=False
    )
    model, history = fit(config, SIZES, seen, liked[~held], seen, liked[~held])
    assert auc(liked[held], predict(model, unseen)) > 0.97
    assert history.metrics["val_loss"][-1] < 0.2 < history.metrics["val_loss"][0]


@every_model
def test_saves_and_loads(name, tmp_path: Path):
    """A model read back from a .keras file gives the same probabilities."""
    model, x = trained(name), rows(50)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        predict(keras.models.load_model(tmp_path / "model.keras"), x), predict(model, x)
    )


@every_model
def test_gradients_reach_every_weight(name):
    """One step of training moves every trainable weight, the rows of the ids in the batch above all."""
    model = build_model(small(name, embedding_init=0.3), SIZES)
    model.compile("sgd", "binary_crossentropy")
    before = {weight.path: weight.numpy() for weight in model.trainable_variables}
    x = rows(256)
    y = np.random.default_rng(1).integers(0, 2, (256, 1)).astype("float32")
    model.train_on_batch({tensor.name: x[tensor.name] for tensor in model.inputs}, y)
    for weight in model.trainable_variables:
        moved = weight.numpy() != before[weight.path]
        assert moved.any(), weight.path
        if weight.path.endswith("embedding/embeddings"):
            key = weight.path.split("_")[0]
            column = {"genre": "genres_xf", "year": "year_xf"}.get(key, f"{key}_id_xf")
            seen = np.unique(x[column][x[column] >= 0])
            np.testing.assert_array_equal(np.flatnonzero(moved.any(axis=1)), seen)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_gradient_survives_a_saturated_sigmoid(name):
    """A row that is wrong with certainty still teaches: the loss is taken from the logit."""
    model = build_model(small(name), SIZES)
    model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
    bias = next(
        w for w in reversed(model.trainable_variables) if w.path.endswith(("logit/bias", "global_bias/bias"))
    )
    bias.assign([60.0])
    x = rows(8)
    model.train_on_batch(
        {tensor.name: x[tensor.name] for tensor in model.inputs}, np.zeros((8, 1), "float32")
    )
    assert bias.numpy()[0] == pytest.approx(59.0, abs=1e-3)


@every_model
def test_same_seed_same_weights(name):
    """Training is repeatable; another seed gives other weights."""
    first, second, other = trained(name), trained.__wrapped__(name), trained(name, seed=6)
    for one, two in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


@every_model
def test_unknown_ids_get_a_probability(name):
    """Indices of the out-of-vocabulary buckets are as good as any."""
    x = {
        "user_id_xf": np.array([OOV_USER, OOV_USER, 0]),
        "movie_id_xf": np.array([OOV_MOVIE, 0, OOV_MOVIE]),
        "genres_xf": np.array([[OOV_GENRE], [0], [-1]]),
        "year_xf": np.zeros(3, int),
    }
    output = predict(trained(name), x)
    assert np.all((output > 0) & (output < 1))


def test_padding_does_not_change_genres():
    """Width and place of the padding do not matter, nor does the order of the genres."""
    model = trained("genre_mlp", embedding_init=0.5)
    ids = {"user_id_xf": np.array([1]), "movie_id_xf": np.array([2])}
    variants = [[[3, 1]], [[1, 3]], [[3, 1, -1, -1, -1]], [[-1, 3, -1, 1]]]
    outputs = [predict(model, {**ids, "genres_xf": np.array(genres)}) for genres in variants]
    for output in outputs[1:]:
        np.testing.assert_allclose(output, outputs[0], rtol=1e-6)
    assert predict(model, {**ids, "genres_xf": np.array([[3]])}) != pytest.approx(outputs[0], rel=1e-6)


@pytest.mark.parametrize("width", [0, 1, 4])
def test_movie_without_genres_pools_to_zeros(width):
    """No genre at all is a vector of zeros, never NaN, in the forward pass as in the gradient."""
    model = build_model(small("genre_mlp", embedding_init=0.5), SIZES)
    layer = model.get_layer("genre_embedding")
    np.testing.assert_array_equal(layer(np.full((2, width), -1)), np.zeros((2, 4)))
    model.compile("adam", "binary_crossentropy")
    x = {**rows(2), "genres_xf": np.full((2, width), -1)}
    loss = model.train_on_batch(x, np.ones((2, 1), "float32"))
    assert np.isfinite(loss)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_genres_are_averaged():
    """The pooled vector is the mean over the real values."""
    layer = build_model(small("genre_mlp", embedding_init=0.5), SIZES).get_layer("genre_embedding")
    table = layer.embeddings.numpy()
    np.testing.assert_allclose(layer(np.array([[0, 4, -1]])), [(table[0] + table[4]) / 2], rtol=1e-6)


def test_dot_product_is_its_formula():
    """sigmoid(<p_u, q_i> + b_u + b_i + b), and without biases sigmoid(<p_u, q_i>)."""
    user, movie = np.array([3, 9]), np.array([7, 1])
    for use_bias in (True, False):
        model = trained("dot_product", use_bias=use_bias, embedding_init=0.5)
        table = {layer.name: layer.get_weights()[0] for layer in model.layers if layer.get_weights()}
        logit = (table["user_embedding"][user] * table["movie_embedding"][movie]).sum(axis=1)
        if use_bias:
            logit += table["user_bias"][user, 0] + table["movie_bias"][movie, 0] + table["global_bias"][0]
        assert ("user_bias" in table) is use_bias
        output = predict(model, {"user_id_xf": user, "movie_id_xf": movie})
        np.testing.assert_allclose(output[:, 0], 1 / (1 + np.exp(-logit)), rtol=1e-5)


def test_unknown_model_is_a_readable_error():
    """The error says what was asked for, what there is, and what was probably meant."""
    config = DotProductConfig.model_construct(**{**DotProductConfig().model_dump(), "name": "dot_prodct"})
    with pytest.raises(ConfigError, match="did you mean 'dot_product'") as caught:
        build_model(config, SIZES)
    for part in (", ".join(MODELS), "'dot_prodct'", "model.name"):
        assert part in str(caught.value)
