"""Fingerprints of our own code: TFX's cache does not see a changed function otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def code_fingerprint(*patterns: str, also: Iterable[Path | None] = ()) -> str:
    """Digest of source files; 16 hexadecimal digits.

    Args:
        patterns: Those of `components` that match, e.g. `models/*.py`.
        also: Those from outside, where there are any.

    Raises:
        ValueError: A pattern matches no file.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for pattern in patterns:
        paths = sorted(root.glob(pattern))
        if not paths:
            raise ValueError(f"no source file matches {pattern!r} in {root}")
        for path in paths:
            digest.update(path.read_bytes())
    for outside in also:
        if outside:
            digest.update(outside.read_bytes())
    return digest.hexdigest()[:16]
