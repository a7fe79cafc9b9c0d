"""What the lock has to give."""

from __future__ import annotations

import importlib.metadata
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


def test_no_package_was_compiled_here():
    """A bare machine has no compiler: what is compiled comes as a wheel, whose tag says for which systems."""
    tags = {
        distribution.name: re.findall(r"^Tag: (\S+)$", distribution.read_text("WHEEL") or "", re.MULTILINE)
        for distribution in importlib.metadata.distributions()
    }
    here = {name for name, of in tags.items() if any(tag.endswith("-linux_x86_64") for tag in of)}
    assert here <= {"crcmod"}  # which does without where there is no compiler


def test_tfdv_finds_the_hash_functions_that_it_imports():
    import farmhash

    assert farmhash.Fingerprint64(b"abc") == 2640714258260161385  # as the package that TFDV names has it
    done = subprocess.run(
        [sys.executable, "-c", "import tensorflow_data_validation"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
