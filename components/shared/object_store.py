"""Reading from S3: TFX's file operations for `s3://`, by pyarrow, which brings all that it takes.

TensorFlow's own need a package beside TensorFlow. Credentials are found as AWS does, in the environment, a profile
or the role of the machine; `AWS_REGION` counts, and `AWS_ENDPOINT_URL` for a server that is not AWS's. Importing this
module registers them.
"""

from __future__ import annotations

import fnmatch
import io
import os
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, ClassVar, cast

from pyarrow import fs
from tfx.dsl.io import fileio, filesystem, filesystem_registry  # noqa: F401  # fileio registers TFX's own

SCHEME = "s3://"
_BEFORE_TENSORFLOW = 0  # whose priority is 10; TFX prefers the lower number
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Stat:
    """What TFX's fingerprint of the input looks at."""

    length: int
    mtime_nsec: int


class ObjectStore(filesystem.Filesystem):
    """What is read of an input. Paths are `s3://bucket/key`; what ends in none of the keys of a prefix is a folder."""

    SUPPORTED_SCHEMES: ClassVar = [SCHEME]

    @staticmethod
    def open(name: str, mode: str = "rb") -> BinaryIO:
        """A file to read from any place in it.

        Raises:
            OSError: It cannot be read.
            ValueError: Another mode than rb.
        """
        if mode != "rb":
            raise ValueError(f"an object store is read here, not written: mode {mode!r}")
        raw = cast("io.RawIOBase", _store().open_input_file(_key(name)))
        return cast("BinaryIO", io.BufferedReader(raw, _BUFFER_BYTES))

    @staticmethod
    def exists(path: str) -> bool:
        return _info(path).type != fs.FileType.NotFound

    @staticmethod
    def isdir(path: str) -> bool:
        return _info(path).type == fs.FileType.Directory

    @staticmethod
    def listdir(path: str) -> list[str]:
        found = _store().get_file_info(fs.FileSelector(_key(path)))
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
        return [
            SCHEME + one.path
            for one in _store().get_file_info(below)
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
def _store() -> fs.S3FileSystem:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not endpoint:
        return fs.S3FileSystem(region=region)
    scheme, _, host = endpoint.rpartition("://")
    return fs.S3FileSystem(region=region, scheme=scheme or "https", endpoint_override=host.rstrip("/"))


def _key(path: str) -> str:
    """Bucket and key, as pyarrow takes them; `glob.escape` leaves brackets around what it escapes."""
    return path.removeprefix(SCHEME).rstrip("/")


def _info(path: str) -> fs.FileInfo:
    return _store().get_file_info(_key(path))


filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(ObjectStore, priority=_BEFORE_TENSORFLOW)
