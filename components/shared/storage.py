"""Says of a disk that is full or cannot be written what to do about it; standard library only."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.shared.errors import StorageError

# By error number: what is needed, and what to do.
CAUSES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("enough free space", "free some space, for example with `marquee gc`, and run again"),
    errno.EDQUOT: ("room in the quota", "free some space, for example with `marquee gc`, and run again"),
    errno.EFBIG: ("files of the model's size to be allowed", "raise the limit (`ulimit -f`) and run again"),
    errno.EROFS: ("a folder that can be written", "mount it writable, or choose another with the key root"),
    errno.EACCES: (
        "a folder that can be written",
        "change its permissions, or choose another with the key root",
    ),
    errno.EPERM: (
        "a folder that can be written",
        "change its permissions, or choose another with the key root",
    ),
}

# As TensorFlow, Beam and SQLite say it.
_PHRASES = {
    "no space left on device": errno.ENOSPC,
    "disk is full": errno.ENOSPC,
    "disk quota exceeded": errno.EDQUOT,
    "file too large": errno.EFBIG,
    "read-only file system": errno.EROFS,
    "readonly database": errno.EROFS,
}


@contextmanager
def storage(path: Path, problem: str) -> Iterator[None]:
    """Says of an OSError what to do about it."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, problem) or StorageError(
            problem, where=str(error.filename or path), found=error.strerror or str(error)
        ) from error


def write_aside(path: Path, text: str) -> None:
    """Writes a file that others see whole or not at all; its folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_text(text, encoding="utf-8")
    aside.rename(path)


def is_full(error: StorageError) -> bool:
    """Whether it is for want of space, so that removing files helps."""
    return error.found in (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


def storage_error(error: BaseException, path: Path, problem: str) -> StorageError | None:
    """The error to show if a full or read-only disk is behind `error`, whoever has wrapped it; else None."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one and one not in seen:
        seen.append(one)
        one = one.__cause__ or one.__context__
    for one in reversed(seen):  # what came first says it best
        number = one.errno if isinstance(one, OSError) and one.errno in CAUSES else None
        text = str(one).lower()
        for phrase, meant in _PHRASES.items():
            number = meant if number is None and phrase in text else number
        if number is not None:
            expected, fix = CAUSES[number]
            name = getattr(one, "filename", None)
            return StorageError(
                problem, where=str(name or path), found=os.strerror(number), expected=expected, fix=fix
            )
    return None
