"""What the lock has to give."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.conftest import REPOSITORY


def test_remote_files_and_tensorflow_import_without_a_warning():
    """Beam loses gs:// without a word when one of Google's packages does not import."""
    script = (
        "from apache_beam.io.filesystems import FileSystems; import tensorflow;"
        "print(type(FileSystems.get_filesystem('gs://bucket/file')).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "GCSFileSystem\n", done.stderr


def test_every_requirement_has_a_hash_and_no_index_is_named():
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in lock
    entries = re.split(r"\n(?=\S)", lock)
    assert all("--hash=sha256:" in entry for entry in entries if not entry.startswith("#"))
