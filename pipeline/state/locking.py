"""One process at a time on a pipeline's root, of all hosts that share it; standard library only.

The lock is the kernel's (flock), not the file: what the file says is for messages, and to notice that a lock was lost.
On NFS the server holds it, and frees that of a host that it has not heard of for a lease.
"""

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

from components.shared.errors import LockedError, StorageError
from components.shared.storage import storage

_FILE = ".lock"
# `holder` takes the lock for a moment to see whether it is free.
_GRACE_SECONDS = 0.2
_FREES_SPACE = "gc"
_LONGEST_NOTE = 1000
_UNWRITABLE = "The pipeline's root cannot be written."


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
        # Not in backticks: those are what to call next, and get the options of this call.
        return f"process {self.pid} on {self.host} (marquee {self.command}), started {self.age} ago"


# What this process holds, by root: a pid and a host's name may be those of its successor in another container.
_held: dict[Path, Holder] = {}


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
        StorageError: The root cannot be written or locked.
    """
    with storage(root, _UNWRITABLE):
        root.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(root, wait, on_wait)
    try:
        dead = _read(root)
        mine = Holder(os.getpid(), socket.gethostname(), time.time(), command)
        with storage(root, _UNWRITABLE), _room_for_note(command):
            _write(descriptor, json.dumps(asdict(mine)).encode())
            _held[root] = mine
        try:
            yield dead
        finally:
            _held.pop(root, None)
            if _read(root) == mine:  # else the lock was lost, and the note is another's
                with suppress(OSError):  # a disk that has become read-only
                    _write(descriptor, b"")
    finally:
        os.close(descriptor)


def check_held() -> None:
    """Looks whether this process still has its locks.

    A host that is cut off from the file server for longer than a lease loses them without a notice, and so does who
    holds a lock whose file is removed.

    Raises:
        LockedError: Another process has taken one, or its file is gone.
    """
    for root, mine in _held.items():
        now = _read(root)
        if now != mine:
            raise LockedError(
                "The lock of this pipeline was lost, so that this process stops.",
                where=str(root / _FILE),
                found=str(now)
                if now
                else "nobody: the file is gone, or another one had the lock and has ended",
                expected=str(mine),
                fix="run again: what had completed is kept. A lock is lost where its host is cut off from the file"
                " server, or where somebody removes the file",
            )


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
    except OSError:
        return None  # a file system without locks
    finally:
        os.close(descriptor)


def _acquire(root: Path, wait: bool, on_wait: Callable[[Holder | None], None] | None) -> int:
    """The descriptor that has the lock."""
    while True:
        with storage(root, _UNWRITABLE):
            descriptor = os.open(root / _FILE, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _take(descriptor, root, _GRACE_SECONDS):
                other = _read(root)
                if not wait:
                    raise LockedError(
                        "Another process is at work on this pipeline.",
                        where=str(root),
                        found=str(other) if other else "a process that has just started",
                        expected="one at a time",
                        fix=_how_to_go_on(other),
                    )
                if on_wait:
                    on_wait(other)
                    on_wait = None
                _flock(descriptor, root, fcntl.LOCK_EX)
            # Somebody may have removed the file meanwhile: the lock of one that nobody sees keeps nobody out.
            if _is_at(descriptor, root / _FILE):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _how_to_go_on(other: Holder | None) -> str:
    if other is None or other.host == socket.gethostname():
        return "wait for it to end, add --wait, or end it: what it has completed is kept"
    return (
        f"wait for it to end, add --wait, or end it on {other.host}: what it has completed is kept. Where that host is"
        f" gone, the file server frees the lock by itself (NFSv4: after its lease, mostly 90 s); leave {_FILE} alone"
    )


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _flock(descriptor: int, root: Path, how: int) -> None:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        raise
    except OSError as error:
        raise StorageError(
            "The pipeline's root cannot be locked.",
            where=str(root),
            found=error.strerror,
            expected="a file system with locks, which hold on all hosts that share it",
            fix="mount it with locks (NFSv4 has them; not with nolock), or choose another with the key root",
        ) from error


@contextmanager
def _room_for_note(command: str) -> Iterator[None]:
    """Whoever is to free space on a full disk does without the note: it is the kernel that holds the lock."""
    try:
        yield
    except OSError as error:
        if command != _FREES_SPACE or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def _take(descriptor: int, root: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            _flock(descriptor, root, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
    os.fsync(descriptor)  # or other hosts do not see it until the lock is released
