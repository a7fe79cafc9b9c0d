"""Asks an export everything a client may ask, in a process that has TensorFlow and nothing of ours.

    python -I probe.py REQUEST.json REPORT.json

It is run by its path, so it imports TensorFlow, NumPy and the standard library only; Keras, TFX and this project are
barred, even where they are installed. It says on stdout what it is about to do, so that whoever started it knows
what a crash or a hang happened in.

The request: `model` (folder), `examples` (serialized, base64), `pairs` (user and movie of each example), `warmup`
(requests: `signature` and `inputs` name -> [dtype, shape, values]), `reference` (path of the npz of
`components.export.export`), `requests`, `batch_size`, `tolerance`, `timeout_seconds`.

The report: `findings` (list of {check, where, sent, found, expected}; none if all is well), `load_seconds`,
`latency_ms` (signature -> p50, p95, max), `memory_mb`, `parity` (greatest difference from the reference), `compared`
(number of answers held against it), `calls`, `tensorflow` (version), `cpu_seconds`.
"""

from __future__ import annotations

import base64
import faulthandler
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

# What a serving process has not. TensorFlow looks for Keras, and does without.
BARRED = (
    "keras",
    "tf_keras",
    "tfx",
    "tfx_bsl",
    "tensorflow_transform",
    "apache_beam",
    "components",
    "pipeline",
)

# Signature -> inputs, and outputs that must be there: name -> dtype.
SIGNATURES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "serving_default": (
        {"examples": "string"},
        {"probability": "float32", "known_user": "bool", "known_movie": "bool"},
    ),
    "transform_features": ({"examples": "string"}, {}),
    "predict": (
        {"user_ids": "string", "movie_ids": "string"},
        {"probability": "float32", "known_user": "bool", "known_movie": "bool"},
    ),
    "recommend": (
        {"user_ids": "string", "k": "int32", "exclude_rated": "bool"},
        {"movie_ids": "string", "scores": "float32", "known": "bool"},
    ),
    "score_catalogue": (
        {"user_ids": "string"},
        {"movie_ids": "string", "scores": "float32", "known": "bool"},
    ),
    "similar_movies": (
        {"movie_ids": "string", "k": "int32"},
        {"movie_ids": "string", "scores": "float32", "known": "bool"},
    ),
}
EVERYTHING = 2**31 - 1  # as k: beyond any catalogue
K = 10
# More findings of one kind tell no more.
_SHOWN = 5
_WIDE = 16
_LINE = 300
_NOISE = re.compile(
    r"Graph execution error|Detected at node|<stack traces|Traceback|File \"|\[\[|\d+ root error"
)

Answer = dict[str, Any]


class Probe:
    """Loads the export and asks; `report` fills up as it goes."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.report: dict[str, Any] = {"findings": [], "latency_ms": {}, "calls": 0}
        self.examples = [base64.b64decode(example) for example in request["examples"]]
        self.pairs = [(user.encode(), movie.encode()) for user, movie in request["pairs"]]
        self.tolerance: float = request["tolerance"]
        self.signatures: dict[str, Any] = {}

    def run(self) -> None:
        self.step("importing TensorFlow")
        import tensorflow as tf

        self.tf = tf
        self.report["tensorflow"] = tf.__version__
        if not self.load() or not self.read_reference():
            return
        self.weights()
        for name in self.signatures:
            try:
                getattr(self, name)()
            except (
                Exception
            ) as error:  # an answer of an unexpected kind; the other signatures are asked all the same
                self.found("answer", name, "the requests", _line(error), "answers of the documented kind")
        self.warmup()
        if not self.report["findings"]:
            for name in self.signatures:
                self.latency(name)

    def step(self, what: str) -> None:
        print(what, flush=True)

    def found(self, check: str, where: str, sent: str, found: str, expected: str) -> None:
        if sum(1 for finding in self.report["findings"] if finding["where"] == where) < _SHOWN:
            self.report["findings"].append(
                {"check": check, "where": where, "sent": sent, "found": found[:_LINE], "expected": expected}
            )

    def load(self) -> bool:
        """Loads the export and sees that each signature is there; False if it does not load at all."""
        self.step("loading the export")
        started = time.perf_counter()
        try:
            self.loaded = self.tf.saved_model.load(self.request["model"])
            there = dict(self.loaded.signatures)
        except Exception as error:
            self.found("load", "export", "", _line(error), "a SavedModel that TensorFlow alone can load")
            return False
        self.report["load_seconds"] = time.perf_counter() - started
        for name, (inputs, outputs) in SIGNATURES.items():
            if name not in there:
                names = ", ".join(sorted(there)) or "none"
                self.found("signature", name, "", f"no such signature; there are {names}", "the signature")
                continue
            signature = there[name]
            takes = {key: spec.dtype.name for key, spec in signature.structured_input_signature[1].items()}
            gives = {key: spec.dtype.name for key, spec in signature.structured_outputs.items()}
            if takes != inputs:
                self.found("signature", name, "", f"it takes {_dtypes(takes)}", f"inputs {_dtypes(inputs)}")
            elif not outputs.items() <= gives.items():
                self.found("signature", name, "", f"it gives {_dtypes(gives)}", f"outputs {_dtypes(outputs)}")
            else:
                self.signatures[name] = signature
        return True

    def read_reference(self) -> bool:
        path = self.request["reference"]
        try:
            with np.load(path) as stored:
                self.reference = {key: stored[key] for key in stored.files}
            self.users, self.movies = (_bytes(self.reference[key]) for key in ("user_ids", "movie_ids"))
            self.num_rated, num_cold = (int(self.reference[key]) for key in ("num_rated", "num_cold"))
            self.blend = dict(
                zip(_bytes(self.reference["catalogue"]), self.reference["blend"].tolist(), strict=True)
            )
            self.num_movies = len(self.blend)
            self.cold = self.movies[self.num_rated : self.num_rated + num_cold]
        except Exception as error:
            self.found(
                "reference", "export", "", _line(error), f"the Trainer's predictions in {Path(path).name}"
            )
            return False
        self.report |= {"parity": 0.0, "compared": 0}
        # Of the users asked for, some movies that they have rated.
        self.rated: dict[bytes, set[bytes]] = {}
        known = set(self.movies[: self.num_rated])
        for user, movie in [*zip(self.users, self.movies, strict=True)][: self.num_rated]:
            self.rated.setdefault(user, set()).add(movie)
        for user, movie in self.pairs:
            if user in self.rated and movie in known:
                self.rated[user].add(movie)
        return True

    def weights(self) -> None:
        """Every float that a signature reads must be a number: a user whom nobody asks for has a row too."""
        self.step("looking at the weights")
        variables = {id(v): v for signature in self.signatures.values() for v in signature.variables}
        for variable in variables.values():
            if variable.dtype.is_floating:
                values = variable.numpy()
                bad = int(values.size - np.isfinite(values).sum())
                if bad:
                    self.found(
                        "weights",
                        f"variable {variable.name}",
                        "",
                        f"{bad} of {values.size} not finite",
                        "numbers",
                    )

    def call(self, name: str, sent: str, **inputs: Any) -> Answer | None:
        """One request; what the signature raises is a finding, and the answer None."""
        self.step(f"{name}: {sent}")
        self.report["calls"] += 1
        try:
            answer = self.signatures[name](**self.tensors(name, inputs))
            return {key: self.dense(value) for key, value in answer.items()}
        except Exception as error:
            self.found("call", name, sent, _line(error), "an answer")
            return None

    def tensors(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        return {key: self.tf.constant(value, SIGNATURES[name][0][key]) for key, value in inputs.items()}

    def dense(self, value: Any) -> np.ndarray:
        value = self.tf.sparse.to_dense(value) if isinstance(value, self.tf.SparseTensor) else value
        return value.numpy()

    def shape(self, name: str, sent: str, answer: Answer, shapes: dict[str, tuple[int, ...]]) -> bool:
        for key, shape in shapes.items():
            if answer[key].shape != shape:
                self.found("shape", name, sent, f"{key} of shape {answer[key].shape}", f"shape {shape}")
                return False
        return True

    def probabilities(self, name: str, sent: str, values: np.ndarray) -> bool:
        bad = ~(np.isfinite(values) & (values >= 0) & (values <= 1))
        if bad.any():
            one = values[bad].flat[0]
            self.found(
                "probability",
                name,
                sent,
                f"{int(bad.sum())} of {values.size} like {one}",
                "numbers from 0 to 1",
            )
        return not bad.any()

    def same(
        self,
        check: str,
        name: str,
        sent: str,
        answer: np.ndarray,
        expected: np.ndarray,
        whose: str,
        of: Any = None,
    ) -> None:
        """Compares numbers; `of` tells a row's index in words."""
        if not answer.size:
            return
        difference = np.abs(answer.astype(np.float64) - expected)
        if check == "parity":
            self.report["parity"] = max(self.report["parity"], float(np.nan_to_num(difference, nan=1).max()))
            self.report["compared"] += answer.size
        bad = ~(difference <= self.tolerance)
        if bad.any():
            worst = int(np.argmax(np.nan_to_num(difference, nan=np.inf)))
            row = f" for {of(worst)}" if of else ""
            self.found(
                check,
                name,
                sent,
                f"{answer.flat[worst]:.6f}{row}, and {int(bad.sum())} of {answer.size} beyond {self.tolerance:g}",
                f"{expected.flat[worst]:.6f}, {whose}",
            )

    def pair(self, index: int) -> str:
        return f"user {_text(self.users[index])}, movie {_text(self.movies[index])}"

    def batches(self, values: list[bytes]) -> list[tuple[int, list[int]]]:
        """Sizes 0, 1 and the large one, with the indices of the values that make them up."""
        sizes = (0, 1, self.request["batch_size"])
        return [(size, [i % len(values) for i in range(size)]) for size in sizes if values or not size]

    def as_the_trainer(self, name: str, sent: str, answer: Answer | None) -> None:
        """An answer to all pairs of the reference says of them what the Trainer's model did, and marks them."""
        if answer and self.shape(name, sent, answer, {"probability": (len(self.users),)}):
            self.probabilities(name, sent, answer["probability"])
            expected = self.reference["probability"]
            self.same(
                "parity",
                name,
                sent,
                answer["probability"],
                expected,
                "as the Trainer's model says",
                self.pair,
            )
            self.marked(name, sent, answer)

    def predict(self) -> None:
        name = "predict"
        sent = (
            f"{len(self.users)} pairs of the reference, {len(self.users) - self.num_rated} with unknown ids"
        )
        answer = self.call(name, sent, user_ids=self.users, movie_ids=self.movies)
        self.as_the_trainer(name, sent, answer)
        for size, places in self.batches(self.users):
            users, movies = ([of[i] for i in places] for of in (self.users, self.movies))
            self.batch(name, f"{size} pairs", places, answer, user_ids=users, movie_ids=movies)

    def serving_default(self) -> None:
        name = "serving_default"
        made = [self.example(*pair) for pair in zip(self.users, self.movies, strict=True)]
        sent = f"{len(made)} examples of the reference without genres"
        answer = self.call(name, sent, examples=made)
        self.as_the_trainer(name, sent, answer)
        for size, places in self.batches(made):
            self.batch(name, f"{size} examples", places, answer, examples=[made[i] for i in places])
        if not self.examples:
            return
        sent = f"{len(self.examples)} examples of the test split"
        answer = self.call(name, sent, examples=self.examples)
        if not answer or not self.shape(name, sent, answer, {"probability": (len(self.examples),)}):
            return
        self.probabilities(name, sent, answer["probability"])
        if "predict" in self.signatures:
            users, movies = ([pair[i] for pair in self.pairs] for i in (0, 1))
            other = self.call(
                "predict", f"{len(users)} pairs of the test split", user_ids=users, movie_ids=movies
            )
            if other and other["probability"].shape == answer["probability"].shape:
                self.same(
                    "agreement",
                    name,
                    sent,
                    answer["probability"],
                    other["probability"],
                    "as signature predict says",
                )

    def marked(self, name: str, sent: str, answer: Answer) -> None:
        """Ids of the pairs of the reference must be marked as known or not."""
        stranger = self.users[-1]
        expected = {
            "known_user": [user != stranger for user in self.users],
            "known_movie": [movie in self.blend for movie in self.movies],
        }
        for key, values in expected.items():
            wrong = [i for i, value in enumerate(answer[key].tolist()) if value != values[i]]
            if wrong:
                self.found(
                    "known",
                    name,
                    sent,
                    f"{key} is {not values[wrong[0]]} for {self.pair(wrong[0])}",
                    "true for ids of the train split, false for others",
                )

    def batch(self, name: str, sent: str, places: list[int], whole: Answer | None, **inputs: Any) -> None:
        """An answer must not depend on what else is in the batch."""
        answer = self.call(name, sent, **inputs)
        if answer and self.shape(name, sent, answer, {"probability": (len(places),)}) and whole:
            expected = whole["probability"][places]
            self.same("batch", name, sent, answer["probability"], expected, "as in another batch")

    def transform_features(self) -> None:
        name = "transform_features"
        for size, places in self.batches(self.examples):
            sent = f"{size} examples of the test split"
            answer = self.call(name, sent, examples=[self.examples[i] for i in places])
            for key, value in (answer or {}).items():
                if value.shape[:1] != (size,):
                    self.found("shape", name, sent, f"{key} of shape {value.shape}", f"{size} rows")
                elif value.dtype.kind == "f" and not np.isfinite(value).all():
                    self.found("number", name, sent, f"{key} has values that are not finite", "numbers")
                elif value.dtype.kind == "i" and (value < 0).any():
                    self.found("number", name, sent, f"{key} has {value.min()}", "indices from 0 on")

    def recommend(self) -> None:
        name, known = "recommend", [*self.rated][: self.request["requests"]]
        stranger = self.users[-1]
        users = [*known, stranger]
        for size, places in self.batches(users):
            sent = f"{size} users, k = {K}, exclude_rated"
            asked = [users[i] for i in places]
            answer = self.call(name, sent, user_ids=asked, k=K, exclude_rated=True)
            if answer and self.ranked(name, sent, answer, asked, min(K, self.num_movies)):
                self.probabilities(name, sent, answer["scores"])
        # A row of these may be as wide as the catalogue.
        users = [*known[:_WIDE], stranger]
        for k, exclude in ((0, True), (EVERYTHING, True), (EVERYTHING, False)):
            sent = f"{len(users)} users, k = {k}, exclude_rated = {exclude}"
            answer = self.call(name, sent, user_ids=users, k=k, exclude_rated=exclude)
            if not answer or not self.ranked(
                name, sent, answer, users, min(k, self.num_movies), padded=exclude
            ):
                continue
            if answer["known"].tolist() != [True] * (len(users) - 1) + [False]:
                wrong = _wrong(answer["known"])
                self.found(
                    "known",
                    name,
                    sent,
                    f"known is {answer['known'][wrong]} for user {_text(users[wrong])}",
                    "true for users of the train split, false for others",
                )
            for user, row in zip(users, answer["movie_ids"].tolist(), strict=True):
                self.exclusion(sent, user, set(row), k, exclude)
            if k and not exclude and "predict" in self.signatures:
                self.as_predict(sent, users[:2], answer)
            if k:
                self.as_crowd(name, sent, answer["movie_ids"][-1].tolist(), answer["scores"][-1])

    def exclusion(self, sent: str, user: bytes, movies: set[bytes], k: int, exclude: bool) -> None:
        rated = self.rated.get(user, set())
        wrong = rated & movies if exclude else rated - movies if k else set()
        if wrong:
            names = ", ".join(sorted(map(_text, wrong))[:3])
            self.found(
                "rated",
                "recommend",
                sent,
                f"movies that user {_text(user)} has rated {'are' if exclude else 'are not'} among them: {names}",
                "none of them" if exclude else "the whole catalogue",
            )

    def as_predict(self, sent: str, users: list[bytes], answer: Answer) -> None:
        """Scores must be those of `predict` for the same known user and movie."""
        top = answer["movie_ids"][: len(users), :K]
        other = self.call(
            "predict",
            "the pairs that were recommended",
            user_ids=np.repeat(users, top.shape[1]).tolist(),
            movie_ids=top.reshape(-1).tolist(),
        )
        if other:
            scores = answer["scores"][: len(users), :K].reshape(-1)
            self.same(
                "agreement", "recommend", sent, scores, other["probability"], "as signature predict says"
            )

    def as_crowd(self, name: str, sent: str, movies: list[bytes], scores: np.ndarray) -> None:
        """An unknown user's scores of all movies must be the Trainer's blend."""
        expected = np.array([self.blend.get(movie, np.nan) for movie in movies])
        self.same(
            "parity",
            name,
            sent,
            scores,
            expected,
            "as the training rows say for an unknown user",
            lambda i: f"movie {_text(movies[i])}",
        )

    def score_catalogue(self) -> None:
        name, stranger = "score_catalogue", self.users[-1]
        # Each row is as wide as the catalogue.
        for users in ([], [stranger], [*list(self.rated)[:_WIDE], stranger]):
            sent = f"{len(users)} users"
            answer = self.call(name, sent, user_ids=users)
            shapes = {"scores": (len(users), self.num_movies), "movie_ids": (self.num_movies,)}
            if not answer or not self.shape(name, sent, answer, shapes):
                continue
            self.probabilities(name, sent, answer["scores"])
            if len(set(answer["movie_ids"].tolist())) < self.num_movies:
                self.found("distinct", name, sent, "a movie that is there twice", "distinct movies")
            if users and answer["known"].tolist() != [True] * (len(users) - 1) + [False]:
                self.found("known", name, sent, f"known is {answer['known'].tolist()}", "false for the last")
            if users:
                self.as_crowd(name, sent, answer["movie_ids"].tolist(), answer["scores"][-1])
            known = users[:-1]
            other = "predict" in self.signatures and self.call(
                "predict",
                "pairs of the catalogue",
                user_ids=np.repeat(known, min(K, self.num_movies)).tolist(),
                movie_ids=np.tile(answer["movie_ids"][:K], len(known)).tolist(),
            )
            if other:
                scores = answer["scores"][: len(known), :K].reshape(-1)
                self.same("agreement", name, sent, scores, other["probability"], "as signature predict says")

    def similar_movies(self) -> None:
        name = "similar_movies"
        sources, targets = (_bytes(self.reference[key]) for key in ("similar_from", "similar_to"))
        strangers = [*self.cold, self.movies[-1]]
        movies = [*dict.fromkeys([*sources, *self.movies[: self.num_rated]])][: self.request["requests"]]
        movies = [*movies, *strangers]
        most = max(self.num_movies - 1, 0)
        for size, places in self.batches(movies):
            asked = [movies[i] for i in places]
            sent = f"{size} movies, k = {K}"
            answer = self.call(name, sent, movie_ids=asked, k=K)
            if answer:
                self.ranked(name, sent, answer, asked, min(K, most), padded=False, itself=True)
        for k in (0, EVERYTHING):
            asked = [*sources, *strangers]
            sent = f"{len(asked)} movies, {len(strangers)} of them unknown, k = {k}"
            answer = self.call(name, sent, movie_ids=asked, k=k)
            if not answer or not self.ranked(
                name, sent, answer, asked, min(k, most), padded=False, itself=True
            ):
                continue
            if answer["known"].tolist() != [True] * len(sources) + [False] * len(strangers):
                wrong = _wrong(answer["known"], len(strangers))
                self.found(
                    "known",
                    name,
                    sent,
                    f"known is {answer['known'][wrong]} for movie {_text(asked[wrong])}",
                    "true for movies of the train split, false for others",
                )
            if k:
                rows = zip(answer["movie_ids"].tolist(), answer["scores"], targets, strict=False)
                cosines = [scores[ids.index(to)] if to in ids else np.nan for ids, scores, to in rows]
                self.same(
                    "parity",
                    name,
                    sent,
                    np.array(cosines, np.float32),
                    self.reference["cosine"],
                    "as the Trainer's embeddings have it",
                    lambda i: f"movies {_text(sources[i])} and {_text(targets[i])}",
                )

    def ranked(
        self,
        name: str,
        sent: str,
        answer: Answer,
        asked: list[bytes],
        width: int,
        padded: bool = True,
        itself: bool = False,
    ) -> bool:
        """Shapes; best first; no movie twice; where movies end, "" and 0 to the end of the row."""
        rows = len(asked)
        shapes = {"movie_ids": (rows, width), "scores": (rows, width), "known": (rows,)}
        if not self.shape(name, sent, answer, shapes):
            return False
        before = len(self.report["findings"])
        ids, scores = answer["movie_ids"].astype(object), answer["scores"]
        real = ids != b""
        end = real.sum(axis=1)
        if not np.isfinite(scores).all():
            self.found("score", name, sent, "scores that are not finite", "numbers")
        if not (real == (np.arange(width) < end[:, None])).all() or (scores[~real] != 0).any():
            self.found(
                "padding", name, sent, "a gap in a row", 'movie id "" and score 0 at the end of a row only'
            )
        elif not padded and not real.all():
            self.found("padding", name, sent, 'movie id ""', "a movie in each place")
        rising = (scores[:, 1:] > scores[:, :-1]) & real[:, 1:]
        if rising.any():
            row = int(np.argmax(rising.any(axis=1)))
            self.found("order", name, sent, f"scores that rise, for {_text(asked[row])}", "the best first")
        for id_, row, count in zip(asked, ids.tolist(), end.tolist(), strict=True):
            if len(set(row[:count])) < count:
                self.found("distinct", name, sent, f"a movie twice for {_text(id_)}", "each movie once")
                break
            if itself and id_ in row:
                self.found("itself", name, sent, f"movie {_text(id_)} like itself", "other movies only")
                break
        return len(self.report["findings"]) == before

    def warmup(self) -> None:
        """The requests that TensorFlow Serving will send itself at the start must not be refused."""
        for number, request in enumerate(self.request["warmup"], start=1):
            name, where = request["signature"], f"warm-up request {number}"
            if name not in SIGNATURES:
                self.found("warm-up", where, "", f"signature {name!r}", "one of " + ", ".join(SIGNATURES))
            elif name in self.signatures:
                self.step(f"{where}: {name}")
                self.report["calls"] += 1
                try:
                    inputs = {
                        key: np.array(
                            [base64.b64decode(v) for v in values] if dtype == "string" else values,
                            object if dtype == "string" else dtype,
                        ).reshape(shape)
                        for key, (dtype, shape, values) in request["inputs"].items()
                    }
                    self.signatures[name](**self.tensors(name, inputs))
                except Exception as error:
                    self.found("warm-up", where, f"to {name}", _line(error), "an answer")

    def latency(self, name: str) -> None:
        """Seconds from values to answer of calls with one row; by now each signature has been called."""
        self.step(f"{name}: timing")
        count = self.request["requests"]
        users, movies = self.users[: self.num_rated], self.movies[: self.num_rated]
        examples = self.examples or [self.example(*pair) for pair in zip(users, movies, strict=True)]
        taken = []
        for i in range(count + 1):
            inputs: dict[str, Any] = {
                "examples": [examples[i % len(examples)]],
                "user_ids": [users[i % len(users)]],
                "movie_ids": [movies[i % len(movies)]],
                "k": K,
                "exclude_rated": True,
            }
            inputs = {key: inputs[key] for key in SIGNATURES[name][0]}
            started = time.perf_counter()
            answer = self.signatures[name](**self.tensors(name, inputs))
            for value in answer.values():
                self.dense(value)
            taken.append((time.perf_counter() - started) * 1000)
        p50, p95 = np.percentile(taken[1:], [50, 95])
        self.report["latency_ms"][name] = {"p50": p50, "p95": p95, "max": max(taken[1:])}
        self.report["calls"] += count + 1

    def example(self, user: bytes, movie: bytes) -> bytes:
        train = self.tf.train

        def of(value: bytes) -> Any:
            return train.Feature(bytes_list=train.BytesList(value=[value]))

        feature = {"user_id": of(user), "movie_id": of(movie)}
        return train.Example(features=train.Features(feature=feature)).SerializeToString()


def _bytes(values: np.ndarray) -> list[bytes]:
    return [str(value).encode() for value in values]


def _text(value: bytes) -> str:
    return repr(value.decode(errors="replace"))


def _dtypes(of: dict[str, str]) -> str:
    return ", ".join(f"{key} ({dtype})" for key, dtype in sorted(of.items())) or "nothing"


def _wrong(known: np.ndarray, strangers: int = 1) -> int:
    """Which `known` is wrong where all but the last ones should be true."""
    return int(np.argmax(known != (np.arange(len(known)) < len(known) - strangers)))


def _line(error: BaseException) -> str:
    """The line of an error that says what happened; TensorFlow puts where in the graph it did around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    telling = [line for line in lines if not _NOISE.match(line)]
    return f"{type(error).__name__}: {(telling or lines)[0]}"[:_LINE]


def _memory_mb() -> float:
    """Peak of the resident memory. Not that of getrusage: it starts at that of the process which started this one."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def main(request_path: str, report_path: str) -> None:
    for name in BARRED:
        sys.modules[name] = None  # type: ignore[assignment]  # an import raises ImportError
    request = json.loads(Path(request_path).read_text())
    # Should the process that started this one die, nobody else would end it.
    faulthandler.dump_traceback_later(request["timeout_seconds"] + 10, exit=True)
    probe = Probe(request)
    probe.run()
    probe.report |= {"memory_mb": _memory_mb(), "cpu_seconds": time.process_time()}
    Path(report_path).write_text(json.dumps(probe.report))


if __name__ == "__main__":
    main(*sys.argv[1:])
