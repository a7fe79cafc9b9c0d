"""Fingerprints of code."""

from __future__ import annotations

import pytest

from components.shared.fingerprint import code_fingerprint


def test_differs_by_file_and_is_stable():
    assert code_fingerprint("shared/features.py") == code_fingerprint("shared/features.py")
    assert code_fingerprint("shared/features.py") != code_fingerprint("export/export.py")
    assert code_fingerprint("models/*.py") != code_fingerprint("models/mlp.py")


def test_a_pattern_without_files_is_an_error():
    with pytest.raises(ValueError, match=r"nothing\.py"):
        code_fingerprint("nothing.py")
