"""A generated log in MovieLens' CSV, and ways to ingest it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.example_gen.settings import IngestSettings
from components.shared.errors import DataError

Ingest = Callable[..., Any]
HEADER = b"userId,movieId,rating,timestamp\n"


def ingest_settings(**values: Any) -> IngestSettings:
    return IngestSettings.model_validate(values)


def many(users: int = 40, movies: int = 12) -> bytes:
    """A log in which every user rates every movie, in an order that is not that of time."""
    rows = [
        f"u{u},{m},{(u + m) % 10 / 2 + 0.5},{1000 + (u * 7 + m * 5) % 97}"
        for m in range(movies)
        for u in range(users)
    ]
    return HEADER + "\n".join([*rows, ""]).encode()


def refuse(ingest: Ingest, folder: Path, config: IngestSettings | None = None) -> str:
    with pytest.raises(DataError) as caught:
        ingest(folder, config)
    return str(caught.value)
