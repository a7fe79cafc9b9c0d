"""The temporary folder of a run: one under the pipeline's root, so that nothing stays behind in the system's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FOLDER = "tmp"


@contextmanager
def temporary_folder(root: Path) -> Iterator[None]:
    """What TFX, Beam, TensorFlow and child processes put into the temporary folder goes under `root`; only for whoever
    holds its lock.

    It is removed at the end. What a process that died has left is removed at the start. Each process has one of its own
    in there: one that has lost the lock must not remove that of the process that has it now.

    Raises:
        OSError: It cannot be made.
    """
    of_all = root / _FOLDER
    shutil.rmtree(of_all, ignore_errors=True)
    of_all.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(dir=of_all)
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    try:
        yield
    finally:
        variable, tempfile.tempdir = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            of_all.rmdir()
