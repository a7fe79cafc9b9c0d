"""What an import may do without; standard library only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    """Packages that what is imported in here does not find, but for those that were imported before."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None is Python's mark of a missing one
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
