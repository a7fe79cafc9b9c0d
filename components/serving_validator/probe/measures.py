"""Warm-up, and figures of time and memory."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from .session import SIGNATURES, K, Session, dtype_of, line


def warmup(session: Session) -> None:
    """The requests that TensorFlow Serving will send itself at the start must not be refused."""
    for number, request in enumerate(session.request["warmup"], start=1):
        name, where = request["signature"], f"warm-up request {number}"
        if name not in SIGNATURES:
            session.found("warm-up", where, "", f"signature {name!r}", "one of " + ", ".join(SIGNATURES))
        elif name in session.signatures:
            session.step(f"{where}: {name}")
            session.report["calls"] += 1
            try:
                inputs = {
                    key: np.array(
                        [base64.b64decode(v) for v in values] if dtype == "string" else values,
                        dtype_of(dtype),
                    ).reshape(shape)
                    for key, (dtype, shape, values) in request["inputs"].items()
                }
                session.ask(name, inputs)
            except Exception as error:
                session.found("warm-up", where, f"to {name}", line(error), "an answer")


def latency(session: Session, name: str) -> None:
    """Milliseconds that TensorFlow takes for calls with one row; by now each signature has been called."""
    session.step(f"{name}: timing")
    count = session.request["requests"]
    users, movies = session.users[: session.num_rated], session.movies[: session.num_rated]
    examples = session.examples or session.made[: session.num_rated]
    taken = []
    for i in range(count + 1):
        inputs: dict[str, Any] = {
            "examples": [examples[i % len(examples)]],
            "user_ids": [users[i % len(users)]],
            "movie_ids": [movies[i % len(movies)]],
            "k": K,
            "exclude_rated": True,
        }
        session.ask(name, session.arrays(name, {key: inputs[key] for key in SIGNATURES[name][0]}))
        taken.append(session.model.seconds * 1000)
    p50, p95 = np.percentile(taken[1:], [50, 95])
    session.report["latency_ms"][name] = {"p50": p50, "p95": p95, "max": max(taken[1:])}
    session.report["calls"] += count + 1


def memory_mb() -> float:
    """Peak of the resident memory. Not that of getrusage: it starts at that of the process which started this one."""
    for row in Path("/proc/self/status").read_text().splitlines():
        if row.startswith("VmHWM:"):
            return int(row.split()[1]) * 1024 / 1e6
    return 0.0
