"""The export and its reference, how it is asked, and what is noted of it."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from .runtime import Runtime, SavedModel, TensorFlowError

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
        {"movie_ids": "string", "scores": "float32", "probability": "float32", "known": "bool"},
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
K = 10  # length of the lists that are asked for
# More findings of one kind tell no more.
_SHOWN = 5
_LINE = 300
_NOISE = re.compile(
    r"Graph execution error|Detected at node|<stack traces|Traceback|File \"|\[\[|\d+ root error"
)

Answer = dict[str, Any]


class Session:
    """The loaded export; `report` fills up as it goes."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.report: dict[str, Any] = {"findings": [], "latency_ms": {}, "calls": 0}
        self.examples, self.made = (
            [base64.b64decode(example) for example in request[key]] for key in ("examples", "made")
        )
        self.pairs = [(user.encode(), movie.encode()) for user, movie in request["pairs"]]
        self.tolerance: float = request["tolerance"]
        self.signatures: dict[str, Any] = {}

    def step(self, what: str) -> None:
        """Says what is about to be done."""
        print(what, flush=True)

    def found(self, check: str, where: str, sent: str, found: str, expected: str) -> None:
        """Notes a finding, unless there are many of its place, or a request has ended the same way already."""
        before = self.report["findings"]
        if check in ("call", "warm-up") and any(finding["found"] == found[:_LINE] for finding in before):
            return
        if sum(1 for finding in before if finding["where"] == where) < _SHOWN:
            self.report["findings"].append(
                {"check": check, "where": where, "sent": sent, "found": found[:_LINE], "expected": expected}
            )

    def load(self) -> bool:
        """Loads the export and sees that each signature is there; False if it does not load at all."""
        self.step("starting TensorFlow")
        runtime = Runtime()
        self.report["tensorflow"] = runtime.version
        self.step("loading the export")
        started = time.perf_counter()
        readable, there = self.request["signatures"] is not None, self.request["signatures"] or {}
        try:
            self.model = SavedModel(runtime, self.request["model"])
        except Exception as error:
            where = "export" if readable else "export, whose saved_model.pb cannot be read"
            self.found("load", where, "", line(error), "a SavedModel that TensorFlow alone can load")
            return False
        self.report["load_seconds"] = time.perf_counter() - started
        for name, (inputs, outputs) in SIGNATURES.items():
            if name not in there:
                names = ", ".join(sorted(there)) or "none"
                self.found("signature", name, "", f"no such signature; there are {names}", "the signature")
                continue
            takes, gives = (
                {key: dtype for key, (dtype, _) in there[name][of].items()} for of in ("inputs", "outputs")
            )
            if takes != inputs:
                self.found("signature", name, "", f"it takes {_dtypes(takes)}", f"inputs {_dtypes(inputs)}")
            elif not outputs.items() <= gives.items():
                self.found("signature", name, "", f"it gives {_dtypes(gives)}", f"outputs {_dtypes(outputs)}")
            else:
                self.signatures[name] = there[name]
        return True

    def read_reference(self) -> bool:
        """Reads what the Trainer's model said; False if that cannot be read."""
        path = self.request["reference"]
        try:
            with np.load(path) as stored:
                self.reference = {key: stored[key] for key in stored.files}
            self.users, self.movies = (bytes_of(self.reference[key]) for key in ("user_ids", "movie_ids"))
            self.num_rated, num_cold = (int(self.reference[key]) for key in ("num_rated", "num_cold"))
            self.blend = dict(
                zip(bytes_of(self.reference["catalogue"]), self.reference["blend"].tolist(), strict=True)
            )
            self.num_movies = len(self.blend)
            self.cold = self.movies[self.num_rated : self.num_rated + num_cold]
        except Exception as error:
            self.found(
                "reference", "export", "", line(error), f"the Trainer's predictions in {Path(path).name}"
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

    def call(self, name: str, sent: str, **inputs: Any) -> Answer | None:
        """One request; what the signature raises is a finding, and the answer None."""
        self.step(f"{name}: {sent}")
        self.report["calls"] += 1
        try:
            return self.ask(name, self.arrays(name, inputs))
        except Exception as error:
            self.found("call", name, sent, line(error), "an answer")
            return None

    def arrays(self, name: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        """Values as a signature takes them."""
        return {key: np.asarray(value, dtype_of(SIGNATURES[name][0][key])) for key, value in inputs.items()}

    def ask(self, name: str, inputs: dict[str, np.ndarray]) -> Answer:
        """The answer of a signature, or what the runtime raises."""
        of = self.signatures[name]
        feeds = {of["inputs"][key][1][0]: value for key, value in inputs.items()}
        fetches = [tensor for _, tensors in of["outputs"].values() for tensor in tensors]
        values = iter(self.model.run(feeds, fetches))
        return {
            key: next(values) if len(tensors) == 1 else _dense(next(values), next(values), next(values))
            for key, (_, tensors) in of["outputs"].items()
        }

    def pair(self, index: int) -> str:
        """A pair of the reference in words."""
        return f"user {text(self.users[index])}, movie {text(self.movies[index])}"

    def batches(self, values: list[bytes]) -> list[tuple[int, list[int]]]:
        """Sizes 0, 1 and the large one, with the indices of the values that make them up."""
        sizes = (0, 1, self.request["batch_size"])
        return [(size, [i % len(values) for i in range(size)]) for size in sizes if values or not size]


def dtype_of(name: str) -> Any:
    """NumPy's dtype by the name of TensorFlow's."""
    return object if name == "string" else name


def bytes_of(values: np.ndarray) -> list[bytes]:
    """Strings of an array as TensorFlow has them."""
    return [str(value).encode() for value in values]


def text(value: bytes) -> str:
    """An id in words."""
    return repr(value.decode(errors="replace"))


def _dense(values: np.ndarray, indices: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """A sparse tensor, as three, with 0 where it has no value."""
    dense = np.zeros(shape, values.dtype)
    dense[tuple(indices.T)] = values
    return dense


def _dtypes(of: dict[str, str]) -> str:
    return ", ".join(f"{key} ({dtype})" for key, dtype in sorted(of.items())) or "nothing"


def line(error: BaseException) -> str:
    """The line of an error that says what happened; TensorFlow puts where in the graph it did around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    telling = [line for line in lines if not _NOISE.match(line)]
    kind = "" if isinstance(error, TensorFlowError) else f"{type(error).__name__}: "
    return f"{kind}{(telling or lines)[0]}"[:_LINE]
