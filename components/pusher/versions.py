"""Pushed versions: folders `<base>/<number>` that a reader sees whole or not at all; standard library only.

A version is made aside, in a hidden folder of the same file system, and renamed. A process that dies before the
rename has pushed nothing; one that dies after it has pushed, and the marker inside the version says what, so that
nobody pushes it twice. TensorFlow Serving and `marquee recommend` serve the highest number.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from components.shared.artifacts import CARD_FILE, CARD_JSON_FILE, EXTRA, MARKER_FILE, PUSH
from components.shared.errors import ModelError
from components.shared.storage import CAUSES, storage

MARKER = Path(EXTRA) / MARKER_FILE
# What is written beside the model, and so is no part of it.
BESIDE = {MARKER, Path(EXTRA) / CARD_FILE, Path(EXTRA) / CARD_JSON_FILE}
_MODEL, _VARIABLES, _FOLDER = "saved_model.pb", "variables", "its folder"
GONE = f"{_FOLDER} is missing"  # what `damage` says of a version that is not there
_LOCK = ".lock"
_PUSHING, _REMOVING = ".pushing-", ".removing-"


@dataclass(frozen=True)
class Marker:
    """What a version is: written into it before it appears, and recorded with `pushed_model` in ML Metadata.

    Args:
        kind: `push`, `forced` or `rollback`.
        model_id: Id of the model artifact in ML Metadata.
        model_uri: Its folder.
        run_id: The run that trained or pushed it.
        execution_id: The execution that pushes, so that its record can be completed if the process dies.
        blessing_id: Id of the blessing artifact, 0 where the blessing is recorded together with the push.
        data_span: Span of the examples, where known.
        first_span: The first span of the window that was read, where the input has spans.
        last_span: The last one.
        oldest_timestamp: Of the oldest rating, in seconds, where known.
        newest_timestamp: Of the newest rating, the same.
        objective: What the model is for: `like`, `interaction` or, with a model for each, `like+interaction`.
        metric: The one of `metrics` that decided.
        retrieval_metric: The one that decided on the model that recommends, where that is another one.
        metrics: On the test split.
        of_version: The version that a rollback brought back.
        reason: Why a blessing was forced, or a version brought back.
        by: Who did that.
        model_digest: Of all the files but this; `push` fills it in.
        version: `push` fills it in.
        pushed_at: Local time with its zone; `push` fills it in.
    """

    kind: str
    model_id: int
    model_uri: str
    run_id: str
    execution_id: int
    blessing_id: int = 0
    data_span: int | None = None
    first_span: str = ""
    last_span: str = ""
    oldest_timestamp: int | None = None
    newest_timestamp: int | None = None
    objective: str = ""
    metric: str = ""
    retrieval_metric: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    of_version: str = ""
    reason: str = ""
    by: str = ""
    model_digest: str = ""
    version: str = ""
    pushed_at: str = ""

    def properties(self) -> dict[str, str | int | float]:
        """As custom properties of an artifact: whatever is known; the floats are the metrics."""
        found = asdict(self)
        metrics = found.pop("metrics")
        found["pushed_version"] = found.pop("version")
        return {**{name: value for name, value in found.items() if value not in ("", None)}, **metrics}

    @classmethod
    def of_properties(cls, recorded: Mapping[str, Any]) -> Marker:
        """What `properties` was made of. The record of the stock Pusher gives a marker without a digest."""
        known = {one.name for one in fields(cls)} - {"metrics", "version"}
        given = {name: value for name, value in recorded.items() if name in known}
        first = {"kind": PUSH, "model_id": 0, "model_uri": "", "run_id": "", "execution_id": 0}
        metrics = {name: value for name, value in recorded.items() if isinstance(value, float)}
        return cls(**{**first, **given}, metrics=metrics, version=recorded["pushed_version"])


def versions(base: Path, recorded: Collection[str] = ()) -> list[Path]:
    """Folders of the pushed versions, oldest first.

    A folder with a number is one if its marker has this number, or if ML Metadata says so; without a marker also if it
    has a SavedModel, as those of the stock Pusher.

    Args:
        base: Folder of the versions.
        recorded: The versions that ML Metadata knows, where that is at hand.
    """
    return [path for path in _numbered(base) if _is_version(path, recorded)]


def strays(base: Path, recorded: Collection[str] = ()) -> list[Path]:
    """Entries that have a number for a name, and yet are no versions; args as `versions`."""
    return [path for path in _numbered(base) if not _is_version(path, recorded)]


def read_marker(version: Path) -> Marker | None:
    """The marker of a version; None where it has none, as those of the stock Pusher."""
    try:
        content = json.loads((version / MARKER).read_text(encoding="utf-8"))
        names = {one.name for one in fields(Marker)}
        return Marker(**{name: value for name, value in content.items() if name in names})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def missing(version: Path) -> str:
    """The part of a SavedModel that a version lacks: its folder, saved_model.pb or variables; "" if it is all there."""
    if not version.is_dir():
        return _FOLDER
    if not (version / _MODEL).is_file():
        return _MODEL
    return "" if any((version / _VARIABLES).glob("*")) else _VARIABLES


def damage(version: Path, expected: str) -> str:
    """What is wrong with the files of a version, in words; "" if nothing is.

    Args:
        version: Its folder.
        expected: Its digest; "" where that is not known.
    """
    lacking = missing(version)
    if expected and lacking != _FOLDER and digest(version) == expected:
        return ""
    if lacking:
        return f"{lacking} is missing"
    return "its files are not those that were pushed" if expected else ""


def digest(folder: Path) -> str:
    """Fingerprint of names and contents of all files but the marker and the model card."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if name not in BESIDE:
            with path.open("rb") as file:
                total.update(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def push(
    source: Path,
    base: Path,
    marker: Marker,
    link: bool = False,
    card: Callable[[Marker], Mapping[str, str]] | None = None,
) -> tuple[Path, Marker]:
    """Makes `source` the served version, once.

    The model is not pushed again if the newest version is this very model, or any version holds it with the same
    blessing: then a process died between the push and its record.

    Args:
        source: Folder of a SavedModel.
        base: Folder of the versions.
        marker: What is pushed.
        link: Hard links instead of copies, where the file system can.
        card: Makes the files of the model card of the complete marker: name -> text.

    Returns:
        The version's folder and its complete marker: an older one if the model was there.

    Raises:
        StorageError: The disk is full, or `base` cannot be written; no version has appeared.
        ModelError: There is no SavedModel in `source`.
    """
    if not (source / _MODEL).is_file():
        raise ModelError(
            "There is no model to push.",
            where=str(source),
            expected="a SavedModel",
            fix="run the pipeline again",
        )
    with storage(base, "The model cannot be pushed; the served version is as before."), _exclusive(base):
        marker = replace(marker, model_digest=digest(source))
        pushed = _already_pushed(base, marker)
        if pushed:
            return pushed
        # Above whatever has a number: TensorFlow Serving does not ask what it is.
        newest = max((int(path.name) for path in _numbered(base)), default=0)
        marker = replace(
            marker,
            version=str(max(int(time.time()), newest + 1)),
            pushed_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        )
        with _aside(source, base, marker, link, card(marker) if card else {}) as partial:
            target = base / marker.version
            partial.rename(target)
        _sync(base)
        return target, marker


def restore(source: Path, base: Path, marker: Marker, link: bool = False) -> Path:
    """Brings a version that is gone or damaged back under its own number; returns its folder.

    Args:
        source: A folder with its files.
        base: Folder of the versions.
        marker: That of the version.
        link: Hard links instead of copies, where the file system can.

    Raises:
        StorageError: The disk is full, or `base` cannot be written.
        ModelError: The files in `source` are not those that were pushed.
    """
    target = base / marker.version
    with storage(base, f"Version {marker.version} cannot be restored."), _exclusive(base):
        wrong = damage(source, marker.model_digest)
        if wrong:
            raise ModelError(f"The version cannot be restored: {wrong}.", where=str(source))
        marker = replace(marker, model_digest=marker.model_digest or digest(source))
        card = {
            name: (target / EXTRA / name).read_text(encoding="utf-8", errors="replace")
            for name in (CARD_FILE, CARD_JSON_FILE)
            # The model itself has none.
            if (target / EXTRA / name).is_file() and not (source / EXTRA / name).is_file()
        }
        with _aside(source, base, marker, link, card) as partial:
            if target.exists():
                target.rename(base / f"{_REMOVING}{marker.version}")
            partial.rename(target)
        _sync(base)
    clean(base)
    return target


@contextmanager
def _aside(
    source: Path, base: Path, marker: Marker, link: bool, card: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """A hidden folder with the files of `source`, the marker and the model card, to be renamed."""
    partial = base / f"{_PUSHING}{marker.version}"
    try:
        copy_tree(source, partial, link)
        (partial / MARKER).parent.mkdir(exist_ok=True)
        texts = {MARKER_FILE: json.dumps(asdict(marker), indent=2), **(card or {})}
        for name, text in texts.items():
            path = partial / EXTRA / name
            path.unlink(missing_ok=True)  # a link to the one of `source`
            path.write_text(text, encoding="utf-8")
        _sync_tree(partial)
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def remove(version: Path) -> None:
    """Removes a version; a reader sees all of it or nothing.

    Raises:
        StorageError: The folder of the versions cannot be written.
    """
    with storage(version.parent, f"Version {version.name} cannot be removed."), _exclusive(version.parent):
        gone = version.with_name(f"{_REMOVING}{version.name}")
        version.rename(gone)
        shutil.rmtree(gone)


def clean(base: Path) -> None:
    """Removes what processes that died while pushing or removing left behind; waits for one that is at it."""
    if base.is_dir():
        with storage(base, "What a dead process left cannot be removed."), _exclusive(base):
            pass


def copy_tree(source: Path, target: Path, link: bool = False) -> None:
    """Copies or hard-links all files of a folder."""

    def put(old: str, new: str) -> None:
        # Written over in place, it would change under every other of its names.
        Path(new).unlink(missing_ok=True)
        if link:
            try:
                os.link(old, new)
                return
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
        shutil.copyfile(old, new)

    try:
        shutil.copytree(source, target, copy_function=put, dirs_exist_ok=True)
    except shutil.Error as error:
        # A list of (source, target, message); the first says enough, but without its number.
        _, new, message = error.args[0][0]
        number = next((one for one in CAUSES if os.strerror(one) in str(message)), errno.EIO)
        raise OSError(number, os.strerror(number) if number in CAUSES else str(message), new) from None


def _already_pushed(base: Path, wanted: Marker) -> tuple[Path, Marker] | None:
    present = versions(base)
    for path in reversed(present):
        marker = read_marker(path)
        if path == present[-1] and wanted.kind == PUSH:
            # One of the stock Pusher has no marker.
            found = marker or replace(wanted, version=path.name, model_digest=digest(path))
            if found.model_digest == wanted.model_digest and not damage(path, wanted.model_digest):
                return path, found
        if marker and _same(marker, wanted) and not damage(path, marker.model_digest):
            return path, marker
    return None


def _numbered(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    found = [path for path in base.iterdir() if path.name.isascii() and path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name))


def _is_version(path: Path, recorded: Collection[str]) -> bool:
    if not path.is_dir():
        return False
    marker = read_marker(path)
    if path.name in recorded or (marker and marker.version == path.name):
        return True
    return not marker and (path / _MODEL).is_file()


def _same(one: Marker, other: Marker) -> bool:
    if PUSH in (one.kind, other.kind):
        return (one.kind, one.model_digest, one.blessing_id) == (
            other.kind,
            other.model_digest,
            other.blessing_id,
        )
    # What a person asked for is done each time it is asked for.
    return (one.kind, one.execution_id) == (other.kind, other.execution_id) and one.run_id == other.run_id


@contextmanager
def _exclusive(base: Path) -> Iterator[None]:
    """One process at a time, whatever orchestrator it is of; hidden folders are then of dead ones."""
    base.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(base / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for path in base.iterdir():
            if path.name.startswith((_PUSHING, _REMOVING)):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        yield
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for path, _, names in os.walk(folder):
        for name in names:
            _sync(Path(path) / name)
        _sync(Path(path))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot for folders
            raise
    finally:
        os.close(descriptor)
