"""The export of every model answers as the model in this process does, through every signature."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.rows import MOVIES_SCHEMA
from components.models import MODELS, VocabularySizes, build_model, config_of, movie_vectors
from components.shared.artifacts import EXTRA, REFERENCE_FILE
from components.shared.features import year_bucket
from tests.components.conftest import ROWS, Transformed

GENRES = {movie: genres for _, movie, _, genres in ROWS}
USERS, MOVIES = ["ann", "bob", "cid", "zoe"], ["m1", "m2", "m3", "m4", "m9"]


@pytest.fixture(scope="module", params=[*sorted(MODELS), "tests.components.models.outside"])
def exported(request, transformed: Transformed, tmp_path_factory):
    """A model with random weights, its export, and the loaded signatures."""
    import keras
    import tensorflow as tf

    from components.export.cold_start import crowd
    from components.export.export import Answering, export

    keras.utils.set_random_seed(7)
    sizes = VocabularySizes(
        *(
            transformed.output.num_buckets_for_transformed_feature(f"{key}_xf")
            for key in ("user_id", "movie_id", "genres")
        )
    )
    model = build_model(config_of(request.param, embedding_init=0.5), sizes)
    for weights in model.weights:  # also the biases that start at zero
        weights.assign(keras.random.normal(weights.shape, stddev=0.5))
    # m9 is in the movies table but was never rated.
    table = pa.Table.from_pydict(
        {
            "movie_id": [*GENRES, "m9"],
            "title": [f"Title of {movie}" for movie in [*GENRES, "m9"]],
            "genres": [*GENRES.values(), ["War"]],
            "year": [1999] * 5,
        },
        MOVIES_SCHEMA,
    )
    rated = np.array([(row["user_id_xf"], row["movie_id_xf"]) for row in transformed.rows])
    path = str(tmp_path_factory.mktemp("export") / "1")
    everybody = crowd(rated[:, 1], np.array([row["liked_xf"] for row in transformed.rows]), 4, 2)
    both = [Answering(model, everybody)] * 2
    export(path, *both, transformed.output, table, rated, similar_shrinkage=2.0)
    loaded = tf.saved_model.load(path)
    return SimpleNamespace(
        name=request.param,
        path=path,
        model=model,
        both=both,
        crowd=everybody,
        table=table,
        rated=rated,
        loaded=loaded,
        signatures=loaded.signatures,
    )


def in_process(exported, transformed: Transformed, pairs: list[tuple[str, str]]) -> np.ndarray:
    """Probabilities from the Keras model in this process, with the genres looked up by hand."""
    import tensorflow as tf

    genres = tf.ragged.constant(
        [{**GENRES, "m9": ["War"]}.get(movie, []) for _, movie in pairs], dtype=tf.string, ragged_rank=1
    ).to_sparse()
    rows = transformed.output.transform_features_layer()(
        {
            "user_id": tf.constant([user for user, _ in pairs]),
            "movie_id": tf.constant([movie for _, movie in pairs]),
            "rating": tf.zeros(len(pairs)),
            "timestamp": tf.zeros(len(pairs), tf.int64),
            "genres": genres,
        }
    )
    rows["genres_xf"] = tf.sparse.to_dense(rows["genres_xf"], -1)
    rows["year_xf"] = tf.constant([year_bucket(1999) * (movie in {*GENRES, "m9"}) for _, movie in pairs])
    inputs = {tensor.name: rows[tensor.name] for tensor in exported.model.inputs}
    return exported.model(inputs, training=False).numpy().reshape(-1)


def request_of(user: str, movie: str, genres: list[str]) -> bytes:
    import tensorflow as tf

    def of(values: list[str]) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))

    feature = {"user_id": of([user]), "movie_id": of([movie]), **({"genres": of(genres)} if genres else {})}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def predict(exported, pairs: list[tuple[str, str]]) -> np.ndarray:
    import tensorflow as tf

    users = tf.constant([user for user, _ in pairs], tf.string)
    movies = tf.constant([movie for _, movie in pairs], tf.string)
    return exported.signatures["predict"](user_ids=users, movie_ids=movies)["probability"].numpy()


def recommend(exported, users: list[str], k: int, exclude_rated: bool) -> dict[str, np.ndarray]:
    import tensorflow as tf

    answer = exported.signatures["recommend"](
        user_ids=tf.constant(users, tf.string), k=tf.constant(k), exclude_rated=tf.constant(exclude_rated)
    )
    return {key: value.numpy() for key, value in answer.items()}


def similar(exported, movies: list[str], k: int) -> dict[str, np.ndarray]:
    import tensorflow as tf

    answer = exported.signatures["similar_movies"](movie_ids=tf.constant(movies, tf.string), k=tf.constant(k))
    return {key: value.numpy() for key, value in answer.items()}


PAIRS = [(user, movie) for user in USERS for movie in [*MOVIES, "nowhere"]]


def test_of_keras_the_variables_alone_are_saved(exported):
    """Layers and models are objects that nobody asks for; most of the time of a save went to them."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((Path(exported.path) / "saved_model.pb").read_bytes())
    nodes = saved.meta_graphs[0].object_graph_def.nodes
    names = {child.local_name for node in nodes for child in node.children}
    assert {"_means", "_variables"} <= names
    assert not {"_inbound_nodes", "_layers"} & names


def test_predict_is_the_model_in_process(exported, transformed):
    known = [(user, movie) for user, movie in PAIRS if user != "zoe" and movie != "m9"]
    np.testing.assert_allclose(predict(exported, known), in_process(exported, transformed, known), rtol=1e-5)


def test_predict_marks_what_it_does_not_know(exported):
    import tensorflow as tf

    users, movies = zip(*PAIRS, strict=True)
    asked = {"user_ids": tf.constant(users), "movie_ids": tf.constant(movies)}
    answer = exported.signatures["predict"](**asked)
    assert answer["known_user"].numpy().tolist() == [user != "zoe" for user in users]
    assert answer["known_movie"].numpy().tolist() == [movie in GENRES for movie in movies]


def test_an_unknown_user_gets_what_everybody_likes(exported, transformed):
    """Ranked by the blend; each movie's probability is its smoothed share of likes."""
    catalogue = [movie.decode() for movie in transformed.output.vocabulary_by_name("movie_id")]
    answer = recommend(exported, ["zoe"], 4, False)
    best = np.argsort(-exported.crowd.blend, kind="stable")
    assert [movie.decode() for movie in answer["movie_ids"][0]] == [catalogue[i] for i in best]
    np.testing.assert_allclose(answer["scores"][0], exported.crowd.blend[best], rtol=1e-6)
    means = predict(exported, [("zoe", movie) for movie in catalogue])
    np.testing.assert_allclose(means, exported.crowd.probability[:4], rtol=1e-6)
    # Two likes of three ratings, as many, one of two, none of one.
    assert means[catalogue.index("m1")] == means[catalogue.index("m2")]
    assert means[catalogue.index("m2")] > means[catalogue.index("m3")] > means[catalogue.index("m4")]
    assert 0 < predict(exported, [("zoe", "m9")])[0] < 1


def test_a_cold_movie_is_what_its_features_say(exported, transformed):
    """m9, of the genre War, from the year of all others, beside a Keras model with its row put in by hand."""
    from components.export.cold_start import design, ridge
    from components.models import has_movie_tower

    genre = [name.decode() for name in transformed.output.vocabulary_by_name("genres")]
    catalogue = [movie.decode() for movie in transformed.output.vocabulary_by_name("movie_id")]
    listed = [[genre.index(name) for name in GENRES[movie]] for movie in catalogue]
    size = transformed.output.num_buckets_for_transformed_feature("genres_xf")
    known = design(
        np.array([[*of, *[-1] * (2 - len(of))] for of in listed]), np.full(4, year_bucket(1999)), size
    )
    cold = design(np.array([[genre.index("War")]]), np.array([year_bucket(1999)]), size)
    # Its row takes the place of the first bucket's.
    import keras

    model = keras.models.clone_model(exported.model)
    model.set_weights(exported.model.get_weights())
    for layer in model.layers:
        if layer.name.startswith("movie_") and hasattr(layer, "embeddings"):
            rows = layer.embeddings.numpy()
            mean, deviation = ridge(known, rows[:4], exported.crowd.counts[:4], cold)
            if has_movie_tower(exported.name) and rows.shape[1] > 1:
                mean, deviation = 0 * mean, 0 * deviation
            rows[4] = mean + deviation[0]  # no bucket had a row in training
            layer.embeddings.assign(rows)
    inputs = {
        "user_id_xf": np.arange(3),
        "movie_id_xf": np.full(3, 4),
        "genres_xf": np.full((3, 1), genre.index("War")),
        "year_xf": np.full(3, year_bucket(1999)),
    }
    expected = model({tensor.name: inputs[tensor.name] for tensor in model.inputs}, training=False)
    users = [user.decode() for user in transformed.output.vocabulary_by_name("user_id")]
    np.testing.assert_allclose(
        predict(exported, [(user, "m9") for user in users]), np.asarray(expected).reshape(-1), rtol=1e-4
    )
    assert np.ptp(similar(exported, ["m9"], 3)["scores"]) > 0


def test_movies_are_similar_to_a_cold_one_by_its_features(exported):
    """It has an answer of its own, marked, without itself, which is in no catalogue."""
    answer = similar(exported, ["m9", "nowhere", "m1"], 4)
    assert answer["known"].tolist() == [False, False, True]
    assert set(answer["movie_ids"][0]) <= {movie.encode() for movie in GENRES}
    assert not np.allclose(np.sort(answer["scores"][0]), np.sort(answer["scores"][1]))


def test_an_export_whose_movies_were_all_rated_in_train_answers_as_well(exported, transformed, tmp_path):
    import tensorflow as tf

    from components.export.export import export

    path = str(tmp_path / "1")
    rows = {
        "user_id_xf": exported.rated[:, 0],
        "movie_id_xf": exported.rated[:, 1],
        "genres_xf": np.full((len(exported.rated), 1), -1),
        "year_xf": np.zeros(len(exported.rated), int),
    }
    export(path, *exported.both, transformed.output, exported.table[:4], exported.rated, rows)
    loaded = tf.saved_model.load(path)
    with np.load(f"{path}/{EXTRA}/{REFERENCE_FILE}") as reference:
        assert reference["num_cold"] == 0
    known = SimpleNamespace(signatures=loaded.signatures)
    pairs = [(user, movie) for user, movie in PAIRS if movie != "m9"]
    np.testing.assert_allclose(predict(known, pairs), predict(exported, pairs), rtol=1e-5)
    assert recommend(known, USERS, 4, False)["movie_ids"].shape == (4, 4)
    assert similar(known, ["m1", "m9"], 3)["known"].tolist() == [True, False]


def test_of_two_models_one_says_what_users_like_and_the_other_recommends(
    exported, transformed, tmp_path, monkeypatch
):
    if exported.name not in ("two_tower", "genre_mlp"):
        pytest.skip("one whose logits are dot products, and one whose are not, will do")
    import keras
    import tensorflow as tf

    from components.export import signatures
    from components.export.cold_start import crowd
    from components.export.export import Answering, export

    other = keras.models.clone_model(exported.model)
    other.name = exported.model.name
    for weights in other.weights:
        weights.assign(keras.random.normal(weights.shape, stddev=0.5))
    others = crowd(exported.rated[:, 1], np.ones(len(exported.rated)), 4, 2, num_users=3)
    asked = []
    # All pairs at once, and user by user.
    for number, most in enumerate((1 << 19, 1)):
        monkeypatch.setattr(signatures, "_PAIRS", most)
        path = str(tmp_path / str(number))
        rows = (exported.table, exported.rated)
        export(path, exported.both[0], Answering(other, others), transformed.output, *rows)
        loaded = tf.saved_model.load(path)
        asked.append((loaded, SimpleNamespace(signatures=loaded.signatures)))
    path = str(tmp_path / "2")
    export(path, *[Answering(other, others)] * 2, transformed.output, *rows)
    loaded = tf.saved_model.load(path)
    alone = SimpleNamespace(signatures=loaded.signatures)
    wanted = recommend(alone, USERS, 4, False)
    for _, both in asked:
        np.testing.assert_allclose(predict(both, PAIRS), predict(exported, PAIRS), rtol=1e-5)
        found = recommend(both, USERS, 4, False)
        assert (found["movie_ids"] == wanted["movie_ids"]).all()
        np.testing.assert_allclose(found["scores"], wanted["scores"], rtol=1e-5)
        for user, movies, liked in zip(USERS, found["movie_ids"], found["probability"], strict=True):
            pairs = [(user, movie.decode()) for movie in movies]
            np.testing.assert_allclose(liked, predict(exported, pairs), rtol=1e-4)
        for name in ("scores", "movie_ids"):
            np.testing.assert_array_equal(similar(both, MOVIES, 3)[name], similar(alone, MOVIES, 3)[name])


def test_the_end_of_a_list_has_no_probability(exported):
    found = recommend(exported, ["ann"], 4, True)
    empty = found["movie_ids"][0] == b""
    assert empty.any()
    assert (found["probability"][0][empty] == 0).all()
    assert (found["probability"][0][~empty] > 0).all()


@pytest.mark.parametrize("genres_given", [True, False])
def test_serving_default_is_predict(exported, genres_given):
    import tensorflow as tf

    requests = [
        request_of(user, movie, GENRES.get(movie, []) if genres_given else []) for user, movie in PAIRS
    ]
    answer = exported.signatures["serving_default"](examples=tf.constant(requests))["probability"].numpy()
    np.testing.assert_allclose(answer, predict(exported, PAIRS), rtol=1e-5)


def test_genres_given_in_a_request_hold(exported):
    import tensorflow as tf

    requests = [request_of("ann", "m2", ["Comedy"]), request_of("ann", "m2", ["War", "Drama"])]
    ours, other = exported.signatures["serving_default"](examples=tf.constant(requests))[
        "probability"
    ].numpy()
    assert ours == pytest.approx(predict(exported, [("ann", "m2")])[0], rel=1e-5)
    assert (ours != other) == (exported.name in ("genre_mlp", "two_tower"))


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_any_batch_size(exported, size):
    pairs = [PAIRS[i % len(PAIRS)] for i in range(size)]
    users = [user for user, _ in pairs]
    assert predict(exported, pairs).shape == (size,)
    assert recommend(exported, users, 2, True)["movie_ids"].shape == (size, 2)
    assert similar(exported, [movie for _, movie in pairs], 2)["scores"].shape == (size, 2)


def test_recommend_all_is_the_catalogue_in_order_of_predict(exported):
    answer = recommend(exported, ["ann", "zoe"], 100, False)
    assert answer["movie_ids"].shape == (2, 4)  # k beyond the catalogue; m9 was never rated
    for movies, scores in zip(answer["movie_ids"], answer["scores"], strict=True):
        assert {movie.decode() for movie in movies} == {"m1", "m2", "m3", "m4"}
        assert np.all(np.diff(scores) <= 0)
    expected = predict(exported, [("ann", movie.decode()) for movie in answer["movie_ids"][0]])
    np.testing.assert_allclose(answer["scores"][0], expected, rtol=1e-5)
    assert answer["known"].tolist() == [True, False]


def test_recommend_leaves_out_what_was_rated(exported):
    answer = recommend(exported, ["cid", "ann", "zoe"], 100, True)
    cid, ann, zoe = answer["movie_ids"].tolist()
    assert set(cid[:2]) == {b"m3", b"m4"}
    assert cid[2:] == [b"", b""]
    assert ann == [b""] * 4  # ann has rated all
    assert answer["scores"][1].tolist() == [0.0] * 4
    assert len(set(zoe)) == 4


def test_score_catalogue_is_predict_of_every_pair(exported):
    import tensorflow as tf

    users = ["ann", "zoe", "cid"]
    answer = exported.signatures["score_catalogue"](user_ids=tf.constant(users))
    movies = [movie.decode() for movie in answer["movie_ids"].numpy()]
    assert sorted(movies) == ["m1", "m2", "m3", "m4"]
    for user, scores in zip(users, answer["scores"].numpy(), strict=True):
        expected = predict(exported, [(user, movie) for movie in movies])
        if user == "zoe":
            expected = exported.crowd.blend
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert answer["known"].numpy().tolist() == [True, False, True]
    assert exported.signatures["score_catalogue"](user_ids=tf.constant([], tf.string))["scores"].shape == (
        0,
        4,
    )


def test_the_ranking_evaluator_asks_exports_of_today_and_of_before(exported, tmp_path):
    import tensorflow as tf

    from components.ranking.exported import ExportedModel

    # What an export was before it had score_catalogue.
    kept = {name: of for name, of in exported.signatures.items() if name in ("predict", "recommend")}
    tf.saved_model.save(exported.loaded, str(tmp_path / "old"), signatures=kept)
    users, movies = (np.array(ids, object) for ids in ([b"ann", b"bob"], [b"m4", b"m9", b"m1", b"m2"]))
    for model in (ExportedModel(exported.path), ExportedModel(str(tmp_path / "old"))):
        scores = model.catalogue_scores(users, movies)
        assert scores.shape == (2, 4)
        assert (scores[:, 1] == -np.inf).all()  # not in its catalogue
        for column in (0, 2, 3):
            pairs = [(user.decode(), movies[column].decode()) for user in users]
            np.testing.assert_allclose(scores[:, column], predict(exported, pairs), rtol=1e-5)
        np.testing.assert_allclose(
            model.probabilities(users, movies[:2]),
            predict(exported, [("ann", "m4"), ("bob", "m9")]),
            rtol=1e-5,
        )
        assert model.probabilities(users[:0], movies[:0]).shape == (0,)


def test_a_person_is_shown_what_the_export_answers(exported, tmp_path):
    import tensorflow as tf

    from components.ranking import answers
    from components.ranking.data import Dataset
    from components.ranking.exported import ExportedModel
    from components.ranking.floors import Ratings
    from components.shared.features import EVAL_SPLIT, TEST_SPLIT, TRAIN_SPLIT

    users, movies = (np.array([id_.encode() for id_ in ids], object) for ids in (USERS[:3], MOVIES[:4]))
    codes = [(USERS.index(user), MOVIES.index(movie), rating >= 4) for user, movie, rating, _ in ROWS]
    columns = [np.array(column) for column in zip(*codes, strict=True)]
    all_of_them, none = Ratings(*columns), Ratings(*(column[:0] for column in columns))
    data = Dataset(
        {TRAIN_SPLIT: all_of_them, EVAL_SPLIT: none, TEST_SPLIT: none}, users, movies, np.arange(4)
    )
    found = answers.ask(ExportedModel(exported.path), data, "bob")
    typical, light, heavy, new = found["users"]
    assert [one["user_id"] for one in (typical, light, heavy, new)] == ["bob", "cid", "bob", ""]
    assert [one["known"] for one in (typical, new)] == [True, False]
    assert typical["num_train"] == 3
    told = recommend(exported, ["bob"], 10, True)
    assert typical["movie_ids"] == [id_.decode() for id_ in told["movie_ids"][0] if id_]
    assert typical["scores"] == pytest.approx(told["scores"][0][: len(typical["scores"])].tolist())
    # Of the movies that bob liked, m1 and m3, the one that is told first of those like m4.
    like = [id_ for id_ in similar(exported, ["m4"], 9)["movie_ids"][0] if id_ in (b"m1", b"m3")]
    assert typical["because"] == [like[0].decode()]
    assert new["because"] == [None] * len(new["movie_ids"])
    near = found["neighbours"]
    assert sorted(near["movie_ids"]) == MOVIES[:4]
    for movie, places in zip(near["movie_ids"], near["near"], strict=True):
        expected = similar(exported, [movie], answers.NEIGHBOURS)["movie_ids"][0]
        assert [near["movie_ids"][place] for place in places] == [id_.decode() for id_ in expected]
    kept = {name: of for name, of in exported.signatures.items() if name in ("predict", "recommend")}
    tf.saved_model.save(exported.loaded, str(tmp_path / "old"), signatures=kept)
    assert answers.ask(ExportedModel(str(tmp_path / "old")), data, None) == {}


def test_similar_movies_are_by_cosine_less_for_few_ratings_and_without_the_movie(exported, transformed):
    from components.export.cold_start import design
    from components.export.similarity import comparable

    answer = similar(exported, ["m1", "nowhere"], 100)
    assert answer["movie_ids"].shape == (2, 3)
    assert b"m1" not in answer["movie_ids"][0]
    assert answer["known"].tolist() == [True, False]
    number = len(transformed.output.vocabulary_by_name("movie_id"))
    genres = [
        transformed.rows[[row[1] for row in ROWS].index(movie.decode())]["genres_xf"]
        for movie in transformed.output.vocabulary_by_name("movie_id")
    ]
    features = {
        "movie_id_xf": np.arange(number),
        "genres_xf": np.array([[*of, *[-1] * (2 - len(of))] for of in genres]),
        "year_xf": np.full(number, year_bucket(1999)),
    }
    size = transformed.output.num_buckets_for_transformed_feature("genres_xf")
    known = design(features["genres_xf"], features["year_xf"], size)
    vectors = np.array(movie_vectors(exported.model, features))
    vectors = comparable(vectors, exported.crowd.counts[:number], known, known[:0])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    catalogue = transformed.output.vocabulary_by_name("movie_id")
    for movie, score in zip(answer["movie_ids"][0], answer["scores"][0], strict=True):
        place = catalogue.index(movie)
        ratings = exported.crowd.counts[place]
        expected = vectors[catalogue.index(b"m1")] @ vectors[place] * ratings / (ratings + 2)
        assert score == pytest.approx(expected, abs=1e-5)


def test_movies_are_not_compared_by_the_vectors_of_a_regression_that_joined(exported, transformed, tmp_path):
    if exported.name != "dot_product":
        pytest.skip("it joins dot products alone")
    import keras
    import tensorflow as tf

    from components.export.export import Answering, export

    tables = "user_embedding", "movie_embedding"
    sizes = VocabularySizes(*(exported.model.get_layer(table).input_dim for table in tables), 1)
    longer = build_model(config_of("dot_product", embedding_dim=40), sizes)
    for layer in exported.model.layers:
        weights = layer.get_weights()
        if layer.name in tables:
            more = np.asarray(keras.random.normal((len(weights[0]), 8)))
            weights = [np.concatenate([weights[0], more], axis=1)]
        longer.get_layer(layer.name).set_weights(weights)
    path, rows = str(tmp_path / "1"), (transformed.output, exported.table, exported.rated)
    export(path, *[Answering(longer, exported.crowd, own_dim=32)] * 2, *rows, similar_shrinkage=2.0)
    loaded = tf.saved_model.load(path)
    joined = similar(SimpleNamespace(signatures=loaded.signatures), MOVIES, 3)
    for key, values in similar(exported, MOVIES, 3).items():
        np.testing.assert_array_equal(joined[key], values)


def test_the_movies_table_goes_with_the_export(exported):
    import pyarrow.parquet as pq

    table = pq.read_table(Path(exported.path) / "assets.extra" / "movies.parquet")
    assert table.num_rows == 5


def test_loads_where_only_tensorflow_is_imported(exported):
    """A served model must not need Keras code, TFT or this project."""
    script = f"""
import sys
class Barred:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow_transform", "tfx", "tfx_bsl", "components", "pipeline"):
            raise ImportError("barred: " + name)
sys.meta_path.insert(0, Barred())
import tensorflow as tf
signatures = tf.saved_model.load({exported.path!r}).signatures
one = tf.constant(["ann"])
print(float(signatures["predict"](user_ids=one, movie_ids=tf.constant(["m1"]))["probability"][0]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(predict(exported, [("ann", "m1")])[0], rel=1e-5)
