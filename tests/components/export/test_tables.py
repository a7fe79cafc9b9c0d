"""What is answered by the tables of an export is what its signatures answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.rows import MOVIES_SCHEMA
from components.export import tables
from components.models import VocabularySizes, build_model, config_of
from components.shared.artifacts import EXTRA, TABLES_FILE
from tests.components.conftest import ROWS, Transformed

GENRES = {movie: genres for _, movie, _, genres in ROWS}
USERS, MOVIES = [b"ann", b"bob", b"zoe", b"", b"cid", b"ann"], [b"m1", b"m2", b"m3", b"m4", b"m9"]
VARIABLES = "variables/variables.data-00000-of-00001"


def exported(transformed: Transformed, path: Path, names: tuple[str, ...], rated: bool = True) -> Path:
    """An export of models with random weights: one that is for both, or that of likes and one that recommends."""
    import keras

    from components.export.blending import Blend
    from components.export.cold_start import crowd
    from components.export.export import Answering, export

    keras.utils.set_random_seed(7)
    keys = ("user_id", "movie_id", "genres")
    sizes = VocabularySizes(
        *(transformed.output.num_buckets_for_transformed_feature(f"{key}_xf") for key in keys)
    )
    pairs = np.array([(row["user_id_xf"], row["movie_id_xf"]) for row in transformed.rows])
    liked = np.array([row["liked_xf"] for row in transformed.rows])
    answering = []
    for name, positive in zip(names, (liked, np.ones(len(liked))), strict=False):
        model = build_model(config_of(name, embedding_init=0.5), sizes)
        for weights in model.weights:
            weights.assign(keras.random.normal(weights.shape, stddev=0.5))
        answering.append(Answering(model, crowd(pairs[:, 1], positive, 4, 2)))
    if len(answering) == 2:
        first, second = answering
        answering[0] = Answering(first.model, first.crowd, None, second.model, Blend(0.3, 0.8, 0.2))
    table = pa.Table.from_pydict(
        {
            "movie_id": [*GENRES, "m9"],
            "title": [f"Title of {movie}" for movie in [*GENRES, "m9"]],
            "genres": [*GENRES.values(), ["War"]],
            "year": [1999] * 5,
        },
        MOVIES_SCHEMA,
    )
    pairs = pairs if rated else pairs[:0]
    export(str(path), answering[0], answering[-1], transformed.output, table, pairs, similar_shrinkage=2.0)
    return path


@pytest.fixture(
    scope="module", params=[("dot_product",), ("two_tower",), ("dot_product", "two_tower")], ids="+".join
)
def path(request, transformed: Transformed, tmp_path_factory) -> Path:
    return exported(transformed, tmp_path_factory.mktemp("export") / "1", request.param)


@pytest.fixture(scope="module")
def loaded(path: Path):
    import tensorflow as tf

    return tf.saved_model.load(str(path))


def assert_same(found, wanted) -> None:
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        if name in ("scores", "probability"):
            np.testing.assert_allclose(found[name], values.numpy(), rtol=2e-6, atol=1e-7)
        else:
            np.testing.assert_array_equal(found[name], values.numpy())


@pytest.mark.parametrize("exclude_rated", [True, False])
@pytest.mark.parametrize("k", [0, 1, 3, 100])
def test_recommendations(path, loaded, k, exclude_rated):
    import tensorflow as tf

    wanted = loaded.signatures["recommend"](
        user_ids=tf.constant(USERS), k=tf.constant(k), exclude_rated=tf.constant(exclude_rated)
    )
    assert_same(tables.read(path).recommend(USERS, k, exclude_rated), wanted)


@pytest.mark.parametrize("k", [0, 2, 100])
def test_similar_movies(path, loaded, k):
    import tensorflow as tf

    wanted = loaded.signatures["similar_movies"](movie_ids=tf.constant(MOVIES), k=tf.constant(k))
    assert_same(tables.read(path).similar(MOVIES, k, MOVIES), wanted)


def test_a_movie_that_the_table_lacks_is_hashed_by_the_graph_alone(path):
    assert tables.read(path).similar([b"m1", b"no such movie"], 2, MOVIES) is None


def test_the_first_of_equal_scores_comes_first():
    import tensorflow as tf

    scores = np.random.default_rng(1).integers(-3, 3, (20, 500)).astype(np.float32)
    scores[:, ::7] = -np.inf
    values, places = tf.math.top_k(scores, 450)
    found = tables._top(scores, 450)
    np.testing.assert_array_equal(found[0], values)
    np.testing.assert_array_equal(found[1], places)


def test_nobody_has_rated_anything(transformed, tmp_path):
    found = tables.read(exported(transformed, tmp_path / "1", ("dot_product",), rated=False))
    assert (found.recommend([b"ann"], 4, True)["movie_ids"] != b"").all()


@pytest.mark.parametrize("names", [("mlp",), ("mlp", "dot_product"), ("dot_product", "mlp")], ids="+".join)
def test_a_model_that_is_no_dot_product_has_none(transformed, tmp_path, names):
    path = exported(transformed, tmp_path / "1", names)
    assert not (path / EXTRA / TABLES_FILE).exists()
    assert tables.read(path) is None


def test_no_table_is_stored_twice(path):
    assert (path / EXTRA / TABLES_FILE).stat().st_size < 1000


@pytest.mark.parametrize("file", [VARIABLES, "assets/user_id", f"{EXTRA}/{TABLES_FILE}"])
def test_damaged_files_are_told(path, tmp_path, file):
    copy = tmp_path / "1"
    shutil.copytree(path, copy)
    damaged = next(copy.glob(file + "*"))
    if damaged.name.startswith("user_id"):
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises((OSError, ValueError)):
        tables.read(copy)


def test_a_file_that_lacks_a_table_has_no_tables(path, tmp_path):
    copy = tmp_path / "1"
    shutil.copytree(path, copy)
    (copy / EXTRA / TABLES_FILE).unlink()
    tables.write(copy, {"means": np.full(5, 0.123, np.float32)}, {})
    assert not (copy / EXTRA / TABLES_FILE).exists()
