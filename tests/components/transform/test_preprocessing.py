"""Transform with real Beam."""

from __future__ import annotations

from collections import Counter

from tests.components.conftest import ROWS, Transformed


def by_pair(transformed: Transformed) -> dict[tuple[int, int], dict]:
    return {(row["user_id_xf"], row["movie_id_xf"]): row for row in transformed.rows}


def test_vocabularies_are_most_frequent_first(transformed: Transformed):
    users = [user.decode() for user in transformed.output.vocabulary_by_name("user_id")]
    movies = [movie.decode() for movie in transformed.output.vocabulary_by_name("movie_id")]
    assert users == ["ann", "bob", "cid"]
    assert set(movies[:2]) == {"m1", "m2"}
    assert movies[2:] == ["m3", "m4"]
    assert set(transformed.output.vocabulary_by_name("genres")) == {b"Drama", b"War", b"Comedy"}


def test_sizes_include_the_out_of_vocabulary_buckets(transformed: Transformed):
    sizes = [
        transformed.output.num_buckets_for_transformed_feature(f"{key}_xf")
        for key in ("user_id", "movie_id", "genres")
    ]
    assert sizes == [3 + 2, 4 + 2, 3 + 2]


def test_a_movie_is_liked_from_the_least_rating_on(transformed: Transformed):
    expected = Counter(int(rating >= 4.0) for _, _, rating, _ in ROWS)
    assert Counter(row["liked_xf"] for row in transformed.rows) == expected
    assert by_pair(transformed)[(0, 2)]["liked_xf"] == 0  # ann rated m3 3.5


def test_genres_keep_their_number(transformed: Transformed):
    lengths = {row["movie_id_xf"]: len(row["genres_xf"]) for row in transformed.rows}
    movies = [movie.decode() for movie in transformed.output.vocabulary_by_name("movie_id")]
    assert {movies[index]: length for index, length in lengths.items()} == {
        "m1": 2,
        "m2": 1,
        "m3": 0,
        "m4": 1,
    }


def test_activity_is_by_rank_of_the_user(transformed: Transformed):
    activity = {row["user_id_xf"]: row["user_activity"] for row in transformed.rows}
    assert activity == {0: b"heavy", 1: b"medium", 2: b"light"}


def test_unknown_ids_fall_into_the_buckets(transformed: Transformed):
    import tensorflow as tf

    rows = transformed.output.transform_features_layer()(
        {
            "user_id": tf.constant(["zoe"]),
            "movie_id": tf.constant(["m9"]),
            "rating": tf.constant([1.0]),
            "timestamp": tf.constant([0], tf.int64),
            "genres": tf.sparse.from_dense(tf.constant([["Noir"]])),
        }
    )
    assert rows["user_id_xf"].numpy()[0] in (3, 4)
    assert rows["movie_id_xf"].numpy()[0] in (4, 5)
    assert rows["genres_xf"].values.numpy()[0] in (3, 4)
    assert rows["user_activity"].numpy()[0] == b"new"
