"""One process at a time on a pipeline's root; standard library only."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from components.shared.errors import LockedError
from components.shared.storage import storage

_FILE = ".lock"
# `holder` takes the lock for a moment to see whether it is free.
_GRACE_SECONDS = 0.2
_FREES_SPACE = "gc"
_LONGEST_NOTE = 1000


@dataclass(frozen=True)
class Holder:
    """Who holds the lock, or held it when it died."""

    pid: int
    host: str
    started: float
    command: str

    @property
    def age(self) -> str:
        """How long ago it took the lock, in words."""
        seconds = max(0, int(time.time() - self.started))
        for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
            if seconds >= size:
                return f"{seconds // size} {unit}{'s' if seconds >= 2 * size else ''}"
        return f"{seconds} s"

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (`marquee {self.command}`), started {self.age} ago"


@contextmanager
def locked(
    root: Path, command: str, wait: bool = False, on_wait: Callable[[Holder | None], None] | None = None
) -> Iterator[Holder | None]:
    """Holds the lock of a pipeline's root. The kernel releases it when the process dies, however it does.

    Args:
        root: Folder of the pipeline; made if it is missing.
        command: What is going to be done, for the message that another process gets.
        wait: Wait for another process instead of refusing.
        on_wait: Called once, before waiting.

    Yields:
        The process that held the lock before and died without releasing it, else None.

    Raises:
        LockedError: Another process holds it.
        StorageError: The root cannot be written.
    """
    with storage(root, "The pipeline's root cannot be written."):
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / _FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _take(descriptor, _GRACE_SECONDS):
            other = _read(root)
            if not wait:
                raise LockedError(
                    "Another process is at work on this pipeline.",
                    where=str(root),
                    found=str(other) if other else "a process that has just started",
                    expected="one at a time",
                    fix="wait for it to end, add --wait, or end it: what it has completed is kept",
                )
            if on_wait:
                on_wait(other)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        dead = _read(root)
        mine = Holder(os.getpid(), socket.gethostname(), time.time(), command)
        with storage(root, "The pipeline's root cannot be written."), _room_for_note(command):
            _write(descriptor, json.dumps(asdict(mine)).encode())
        try:
            yield dead
        finally:
            with suppress(OSError):  # a disk that has become read-only
                _write(descriptor, b"")
    finally:
        os.close(descriptor)


def holder(root: Path) -> Holder | None:
    """Who holds the lock now; None if nobody does."""
    try:
        descriptor = os.open(root / _FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _read(root)
    finally:
        os.close(descriptor)


@contextmanager
def _room_for_note(command: str) -> Iterator[None]:
    """Whoever is to free space on a full disk does without the note: it is the kernel that holds the lock."""
    try:
        yield
    except OSError as error:
        if command != _FREES_SPACE or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def _take(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)


def _read(root: Path) -> Holder | None:
    """The note in the file; None where there is none, or it is not one of ours."""
    try:
        with (root / _FILE).open(encoding="utf-8") as file:
            found = json.loads(file.read(_LONGEST_NOTE))
        note = Holder(int(found["pid"]), str(found["host"]), float(found["started"]), str(found["command"]))
        return note if math.isfinite(note.started) else None
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _write(descriptor: int, content: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.truncate(descriptor, 0)
    os.write(descriptor, content)
