"""Loads SavedModels, each once a process: two nodes of a run ask the same export, and to load it takes a while."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import tensorflow as tf

_LOCK = Lock()  # Beam may ask from several threads


def loaded(path: str) -> Any:
    """The SavedModel in a folder, loaded anew where its file has changed.

    Raises:
        OSError: It cannot be loaded.
    """
    file = Path(path) / tf.saved_model.SAVED_MODEL_FILENAME_PB
    with _LOCK:
        return _loaded(path, file.stat().st_mtime_ns if file.exists() else 0)


@lru_cache(maxsize=2)  # the candidate and its baseline
def _loaded(path: str, changed: int) -> Any:
    del changed  # is there for the cache
    return tf.saved_model.load(path)
