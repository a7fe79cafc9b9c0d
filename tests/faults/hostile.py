"""Hostile calls of an export, in a process that has TensorFlow alone: python -I hostile.py MODEL, a JSON line a call.

Each is answered with as many sane rows as were asked for, or refused with an error of TensorFlow's; never a crash, a
hang, a NaN, or a row that belongs to somebody else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

MOST = 2**31 - 1
LONG = b"x" * 1_000_000


def strings(*values: bytes) -> tf.Tensor:
    return tf.constant(list(values), tf.string)


def k(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int32)


def example(**features: Any) -> bytes:
    made = {}
    for key, values in features.items():
        if all(isinstance(value, bytes) for value in values):
            made[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        elif all(isinstance(value, int) for value in values):
            made[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            made[key] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def calls(user: bytes, movie: bytes) -> list[tuple[str, str, Callable[[], dict[str, Any]], int | None]]:
    """Name, signature, inputs, and how many rows the answer has; None where it has to be an error."""
    ids = [b"", b" ", b"\0", b"\xff\xfe", b"a\nb", "\u202e用".encode(), LONG]
    of_user: list[tuple[str, str, Callable[[], dict[str, Any]], int | None]] = []
    for id_ in ids:
        shown = repr(id_[:8])
        of_user += [
            (f"predict: user {shown}", "predict", lambda i=id_: pairs([i], [movie]), 1),
            (f"predict: movie {shown}", "predict", lambda i=id_: pairs([user], [i]), 1),
            (f"recommend: user {shown}", "recommend", lambda i=id_: asked([i], 5), 1),
            (f"similar: movie {shown}", "similar_movies", lambda i=id_: near([i], 5), 1),
        ]
    return [
        *of_user,
        ("predict: nobody", "predict", lambda: pairs([], []), 0),
        ("predict: one user, two movies", "predict", lambda: pairs([user], [movie, movie]), None),
        ("predict: two users, no movie", "predict", lambda: pairs([user, user], []), None),
        ("predict: 100,000 pairs", "predict", lambda: pairs([user] * 100_000, [movie] * 100_000), 100_000),
        ("predict: a table", "predict", lambda: pairs([[user]], [[movie]]), None),
        (
            "predict: one word",
            "predict",
            lambda: {"user_ids": tf.constant(user), "movie_ids": tf.constant(movie)},
            None,
        ),
        (
            "predict: numbers for ids",
            "predict",
            lambda: {"user_ids": tf.constant([1]), "movie_ids": tf.constant([1])},
            None,
        ),
        ("predict: no movies given", "predict", lambda: {"user_ids": strings(user)}, None),
        ("predict: an input that is none", "predict", lambda: {**pairs([user], [movie]), "x": k(1)}, None),
        *(
            (f"recommend: k = {n}", "recommend", lambda n=n: asked([user], n), 1)
            for n in (0, -1, -MOST - 1, MOST)
        ),
        ("recommend: nobody, k = most", "recommend", lambda: asked([], MOST), 0),
        ("recommend: 2,000 of the same", "recommend", lambda: asked([user] * 2000, 10), 2000),
        (
            "recommend: k of 64 bits",
            "recommend",
            lambda: {**asked([user], 1), "k": tf.constant(1, tf.int64)},
            None,
        ),
        ("recommend: k is a list", "recommend", lambda: {**asked([user], 1), "k": tf.constant([1, 2])}, None),
        (
            "recommend: exclude is a number",
            "recommend",
            lambda: {**asked([user], 1), "exclude_rated": k(1)},
            None,
        ),
        *(
            (f"similar: k = {n}", "similar_movies", lambda n=n: near([movie], n), 1)
            for n in (0, -1, -MOST - 1, MOST)
        ),
        ("similar: nothing", "similar_movies", lambda: near([], 5), 0),
        ("score_catalogue: nobody", "score_catalogue", lambda: {"user_ids": strings()}, 0),
        ("score_catalogue: an id of 1 MB", "score_catalogue", lambda: {"user_ids": strings(LONG)}, 1),
        *(
            (f"serving_default: {name}", "serving_default", lambda e=made: {"examples": strings(*e)}, rows)
            for name, made, rows in (
                ("no example", [], 0),
                ("not an example", [b"\xff\xff\xff"], None),
                ("an empty string", [b""], None),
                ("a cut example", [example(user_id=[user], movie_id=[movie])[:-3]], None),
                ("no movie", [example(user_id=[user])], None),
                ("two users in one", [example(user_id=[user, user], movie_id=[movie])], None),
                ("a user that is a number", [example(user_id=[1], movie_id=[movie])], None),
                ("genres that are numbers", [example(user_id=[user], movie_id=[movie], genres=[1])], None),
                ("10,000 genres", [example(user_id=[user], movie_id=[movie], genres=[b"Drama"] * 10_000)], 1),
                ("a genre that separates", [example(user_id=[user], movie_id=[movie], genres=[b"\x1f"])], 1),
                ("an empty genre", [example(user_id=[user], movie_id=[movie], genres=[b""])], 1),
                ("a genre of 1 MB", [example(user_id=[user], movie_id=[movie], genres=[LONG])], 1),
                ("features that nobody knows", [example(user_id=[user], movie_id=[movie], z=[1.0])], 1),
                ("a good one and a bad one", [example(user_id=[user], movie_id=[movie]), b"?"], None),
            )
        ),
    ]


def pairs(users: list[Any], movies: list[Any]) -> dict[str, Any]:
    return {"user_ids": tf.constant(users, tf.string), "movie_ids": tf.constant(movies, tf.string)}


def asked(users: list[bytes], number: int) -> dict[str, Any]:
    return {"user_ids": strings(*users), "k": k(number), "exclude_rated": tf.constant(True)}


def near(movies: list[bytes], number: int) -> dict[str, Any]:
    return {"movie_ids": strings(*movies), "k": k(number)}


def insane(answer: dict[str, np.ndarray], rows: int, likes: bool) -> str:
    """What is wrong with an answer."""
    for key, values in answer.items():
        if values.shape[0] != rows and not (key == "movie_ids" and "scores" in answer and values.ndim == 1):
            return f"{key} has {values.shape[0]} rows"
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{key} has a NaN or infinity"
        if values.dtype.kind == "f" and likes and ((values < 0) | (values > 1)).any():
            return f"{key} is beyond 0 to 1"
    return ""


def main(path: str) -> None:
    loaded = tf.saved_model.load(path)
    signatures = loaded.signatures
    catalogue = signatures["score_catalogue"](user_ids=strings())["movie_ids"].numpy()
    movie = bytes(catalogue[0])
    for name, signature, inputs, rows in calls(sys.argv[2].encode(), movie):
        print(json.dumps({"starts": name}), flush=True)
        outcome, message = "answer", ""
        try:
            answer = {key: value.numpy() for key, value in signatures[signature](**inputs()).items()}
            message = insane(answer, rows or 0, signature != "similar_movies") if rows is not None else ""
        except (TypeError, ValueError, tf.errors.OpError) as error:
            outcome, message = "error", f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"[:200]
        expected = "error" if rows is None else "answer"
        good = outcome == expected and not (outcome == "answer" and message)
        print(json.dumps({"name": name, "outcome": outcome, "message": message, "good": good}), flush=True)
    # It answers as before.
    again = signatures["predict"](**pairs([sys.argv[2].encode()], [movie]))["probability"].numpy()
    print(
        json.dumps(
            {"name": "then: predict", "outcome": "answer", "message": "", "good": bool(0 < again[0] < 1)}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
