"""Files of the input, local or remote, and the patterns that match them."""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from typing import Any, BinaryIO

from components.errors import DataError

_SPAN_SPEC = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(:\d+)?\}")


class _Local:
    open = staticmethod(open)
    exists = staticmethod(os.path.exists)
    isdir = staticmethod(os.path.isdir)
    listdir = staticmethod(os.listdir)
    glob = staticmethod(glob.glob)


def operations(path: str) -> Any:
    """File operations for a path; those of TFX cost an import of TensorFlow, so only for remote ones."""
    if "://" not in path:
        return _Local
    from tfx.dsl.io import fileio

    return fileio


def open_file(path: str) -> BinaryIO:
    """Opens a local or remote file for reading bytes.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return operations(path).open(path, "rb")
    except OSError as error:
        raise DataError(f"The file cannot be read: {error.strerror or error}.", where=path) from error


def match(base: str, pattern: str) -> list[str]:
    """Files that match a pattern relative to `base`, sorted; span specs match anything."""
    return glob_files(os.path.join(glob.escape(base), _SPAN_SPEC.sub("*", pattern)))


def sole_file(paths: Sequence[str]) -> str:
    """The one movies table.

    Raises:
        DataError: There are several.
    """
    if len(paths) > 1:
        raise DataError(
            "More than one file matches data.movies_file.",
            found=", ".join(paths),
            expected="one movies table",
        )
    return paths[0]


def glob_files(pattern: str) -> list[str]:
    """Files that match a glob, sorted, without folders."""
    files = operations(pattern)
    return sorted(path for path in files.glob(pattern) if not files.isdir(path))


def specs(pattern: str) -> set[str]:
    """The span specs of a pattern, such as YYYY; empty for one that is not of spans."""
    return {name for name, _ in _SPAN_SPEC.findall(pattern)}
