"""Reading from S3 and Google Cloud Storage: TFX's file operations for `s3://` and `gs://`, by pyarrow.

It brings all that it takes; TensorFlow's own need a package beside TensorFlow for S3, and raise errors of their own
for the other. Credentials are found as AWS and Google do, in the environment, a profile or the role of the machine;
`AWS_REGION` counts, and `AWS_ENDPOINT_URL` and `STORAGE_EMULATOR_HOST` for servers that are not theirs. Importing this
module registers them.
"""

from __future__ import annotations

import fnmatch
import io
import os
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import BinaryIO, ClassVar, cast

from pyarrow import fs

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TFX imports TensorFlow, which tells of the processor
from tfx.dsl.io import fileio, filesystem, filesystem_registry  # noqa: F401  # fileio registers TFX's own

S3, GS = SCHEMES = ("s3://", "gs://")
_BEFORE_TENSORFLOW = 0  # whose priority is 10; TFX prefers the lower number
_BUFFER_BYTES = 1 << 20
_PATIENCE = timedelta(seconds=30)  # of Google's client, which else tries for 15 minutes


@dataclass(frozen=True)
class Stat:
    """What TFX's fingerprint of the input looks at."""

    length: int
    mtime_nsec: int


class ObjectStore(filesystem.Filesystem):
    """What is read of an input; what begins a key, up to a slash in it, is a folder."""

    SUPPORTED_SCHEMES: ClassVar = [*SCHEMES]

    @staticmethod
    def open(name: str, mode: str = "rb") -> BinaryIO:
        """A file to read from any place in it.

        Raises:
            OSError: It cannot be read.
            ValueError: Another mode than rb.
        """
        if mode != "rb":
            raise ValueError(f"an object store is read here, not written: mode {mode!r}")
        raw = cast("io.RawIOBase", _store(_scheme(name)).open_input_file(_key(name)))
        return cast("BinaryIO", io.BufferedReader(raw, _BUFFER_BYTES))

    @staticmethod
    def exists(path: str) -> bool:
        return _info(path).type != fs.FileType.NotFound

    @staticmethod
    def isdir(path: str) -> bool:
        return _info(path).type == fs.FileType.Directory

    @staticmethod
    def listdir(path: str) -> list[str]:
        found = _store(_scheme(path)).get_file_info(fs.FileSelector(_key(path)))
        return [one.base_name for one in found]

    @staticmethod
    def glob(pattern: str) -> list[str]:
        """As of the standard library: `*` ends at a slash, and `[*]` is a star."""
        key = _key(pattern)
        parts = key.split("/")
        fixed = next((place for place, part in enumerate(parts) if _MAGIC & set(part)), len(parts))
        if fixed == len(parts):
            return [pattern] if ObjectStore.exists(pattern) else []
        below = fs.FileSelector("/".join(parts[:fixed]), allow_not_found=True, recursive=True)
        scheme = _scheme(pattern)
        return [
            scheme + one.path
            for one in _store(scheme).get_file_info(below)
            if one.path.count("/") == key.count("/")
            and all(map(fnmatch.fnmatchcase, one.path.split("/"), parts))
        ]

    @staticmethod
    def stat(path: str) -> Stat:
        found = _info(path)
        if found.type == fs.FileType.NotFound:
            raise filesystem.NotFoundError(path)
        return Stat(found.size or 0, found.mtime_ns or 0)


_MAGIC = frozenset("*?[")


@cache
def _store(scheme: str) -> fs.FileSystem:
    if scheme == GS:
        emulator = os.environ.get("STORAGE_EMULATOR_HOST")
        if not emulator:
            return fs.GcsFileSystem(retry_time_limit=_PATIENCE)
        protocol, _, host = emulator.rpartition("://")
        return fs.GcsFileSystem(
            anonymous=True,
            scheme=protocol or "http",
            endpoint_override=host.rstrip("/"),
            retry_time_limit=_PATIENCE,
        )
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not endpoint:
        return fs.S3FileSystem(region=region)
    protocol, _, host = endpoint.rpartition("://")
    return fs.S3FileSystem(region=region, scheme=protocol or "https", endpoint_override=host.rstrip("/"))


def _scheme(path: str) -> str:
    return path[: path.index("://") + 3]


def _key(path: str) -> str:
    """Bucket and key, as pyarrow takes them; `glob.escape` leaves brackets around what it escapes."""
    return path.removeprefix(_scheme(path)).rstrip("/")


def _info(path: str) -> fs.FileInfo:
    return _store(_scheme(path)).get_file_info(_key(path))


filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(ObjectStore, priority=_BEFORE_TENSORFLOW)
