"""The layouts of ratings and movies, by name: `ml-100k` is the object LAYOUT of the module `ml_100k` beside this one.

A module from outside, by its dotted path, has such an object too. Nothing is imported before a layout is looked for,
so the names cost nothing.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from components.shared.errors import ConfigError

if TYPE_CHECKING:
    from components.example_gen.layouts.base import Layout

# In the order in which they are tried.
BUILT_IN = ("ml-100k", "ml-dat", "ml-csv", "recbole", "csv", "parquet")

_EXPECTED = "a module with an object LAYOUT of components.example_gen.layouts.base.Layout"


def find(name: str) -> Layout:
    """The layout that data.layout names.

    Raises:
        ConfigError: A module from outside cannot be imported, or has no LAYOUT.
    """
    if name in BUILT_IN:
        return import_module(f"{__name__}.{name.replace('-', '_')}").LAYOUT
    from components.example_gen.layouts.base import Layout

    try:
        module = import_module(name)
    except Exception as error:  # whatever a module of a user's may raise
        raise ConfigError(
            f"The layout {name} cannot be imported.",
            where="key data.layout",
            found=f"{type(error).__name__}: {error}",
            expected=_EXPECTED,
            fix="correct the path, or put the folder that holds the module's package in PYTHONPATH"
            if isinstance(error, ImportError)
            else f"correct the module {name}",
        ) from error
    layout = getattr(module, "LAYOUT", None)
    if not isinstance(layout, Layout):
        raise ConfigError(
            f"The module {name} has no layout.",
            where="key data.layout",
            found="no LAYOUT" if layout is None else f"a LAYOUT of the type {type(layout).__name__}",
            expected=_EXPECTED,
            fix=f"set LAYOUT = Layout(...) in {module.__file__}",
        )
    return layout


def built_in() -> list[Layout]:
    """The layouts that `auto` tries, in order."""
    return [find(name) for name in BUILT_IN]


def outside_fingerprint(name: str) -> str:
    """Digest of the file of a layout from outside, 16 hexadecimal digits; empty for one of these.

    Raises:
        ConfigError: As `find`.
    """
    if name in BUILT_IN:
        return ""
    find(name)
    file = import_module(name).__file__
    assert file is not None  # a package without a file has no LAYOUT either
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]
