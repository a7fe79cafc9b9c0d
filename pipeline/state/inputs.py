"""Files of the installation that a run reads, brought under the pipeline's root.

TFX's cache key has the path of what a component reads, and of data also the times of the files. Under a name that their
content gives them they are the same for every checkout and every environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from components.shared.storage import storage

_PARTIAL = ".partial"


def bring(files: Sequence[Path], under: Path) -> Path:
    """Copies files into a folder of their own that is named after their names and contents, unless they are there.

    Args:
        files: Of different names.
        under: Where the folder is; only for whoever holds the lock of the pipeline's root.

    Raises:
        StorageError: A file cannot be read, or `under` cannot be written.
    """
    with storage(under, "The schema or the built-in data cannot be brought under the pipeline's root."):
        name = _digest(files)
        folder = under / name
        copies = [folder / file.name for file in files]
        if all(copy.is_file() for copy in copies) and _digest(copies) == name:
            return folder
        partial = under / _PARTIAL
        for gone in (partial, folder):
            shutil.rmtree(gone, ignore_errors=True)
        partial.mkdir(parents=True)
        for file in files:
            copy = shutil.copyfile(file, partial / file.name)
            os.utime(copy, (0, 0))  # else one that is made anew would be other data
        partial.rename(folder)
        return folder


def _digest(files: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        with path.open("rb") as file:
            total.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()[:16]
