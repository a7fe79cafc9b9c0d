"""Files of the input, local or remote, and the patterns that match them."""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH112, PTH116, PTH118, PTH207

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Sequence
from typing import Any, BinaryIO

from components.shared.errors import DataError

SPAN_SPEC = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")  # name, width


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


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
    if path.startswith(("s3://", "gs://")):
        # Registers itself with TFX, whose driver asks for the files, too.
        from components.shared import object_store  # noqa: F401
    from tfx.dsl.io import fileio

    return fileio


def open_file(path: str) -> BinaryIO:
    """Opens a local or remote file for reading bytes.

    Raises:
        DataError: It cannot be read, or is a pipe, a socket or a device, which could be waited for without end.
    """
    try:
        if "://" not in path:
            mode = os.stat(path).st_mode
            if not stat.S_ISREG(mode):
                raise DataError(
                    "This is not a regular file.",
                    where=path,
                    found=next((name for is_kind, name in _KINDS if is_kind(mode)), "something else"),
                    expected="a file that can be read more than once, and from any place in it",
                    fix="write the data to a file, and give that one",
                )
        return operations(path).open(path, "rb")
    except (OSError, ValueError) as error:  # a ValueError for a NUL byte
        raise _unreadable("file", path, error) from error


def is_folder(path: str) -> bool:
    """Whether the input path is a folder.

    Raises:
        DataError: It does not exist, or it cannot be told.
    """
    try:
        if "://" not in path:
            return stat.S_ISDIR(os.stat(path).st_mode)
        if operations(path).exists(path):
            return operations(path).isdir(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        raise _unreadable("input path", path, error, fix="correct data.path") from error
    raise DataError("The input path does not exist.", where=path, fix="correct data.path")


def list_folder(path: str) -> list[str]:
    """The names in a folder, sorted.

    Raises:
        DataError: It may not be read or entered.
    """
    try:
        if "://" not in path:
            os.stat(os.path.join(path, "."))  # what is in it can be named with one right, read with another
        return sorted(operations(path).listdir(path))
    except OSError as error:
        raise _unreadable("folder", path, error) from error


def _unreadable(what: str, path: str, error: Exception, fix: str | None = None) -> DataError:
    reason = getattr(error, "strerror", None) or str(error)
    denied = isinstance(error, PermissionError)
    return DataError(
        f"The {what} cannot be read: {reason}.",
        where=path,
        fix="give the user that runs Marquee the right to read it" if denied else fix,
    )


def match(base: str, pattern: str) -> list[str]:
    """Files that match a pattern relative to `base`, sorted; span specs match anything."""
    return glob_files(os.path.join(glob.escape(base), SPAN_SPEC.sub("*", pattern)))


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
    """What matches a glob and is no folder, sorted.

    Raises:
        DataError: A folder on the way may not be read; glob itself would pass over it.
    """
    files = operations(pattern)
    if files is _Local:
        _check_folders(pattern)
    return sorted(path for path in files.glob(pattern) if not files.isdir(path))


def _check_folders(pattern: str) -> None:
    parent, name = os.path.split(pattern)
    if not name:
        return
    _check_folders(parent)
    for folder in glob.glob(parent or "."):
        if os.path.isdir(folder):
            try:
                os.stat(os.path.join(folder, "."))
                if glob.has_magic(name):
                    os.scandir(folder).close()
            except OSError as error:
                raise _unreadable("folder", folder, error) from error


def specs(pattern: str) -> set[str]:
    """The span specs of a pattern, such as YYYY; empty for one that is not of spans."""
    return {name for name, _ in SPAN_SPEC.findall(pattern)}
