"""What makes a function a rule of the data gate."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from components.data_gate.findings import Case, Finding
from components.data_gate.settings import RULES

Find = Callable[[Case], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: That of its function.
        what: What it holds against what: the first paragraph of the function's docstring.
        keys: Of the configuration, below `data_gate`; see `settings.RULES`.
        against_baseline: Whether it is only called where there is a last blessed run.
        find: The function.
    """

    name: str
    what: str
    keys: tuple[str, ...]
    against_baseline: bool
    find: Find


# By name.
REGISTRY: dict[str, Rule] = {}


def in_order() -> list[Rule]:
    """As findings of one level are told: those of the data alone first, and each kind as it stands in its file."""
    return sorted(REGISTRY.values(), key=lambda rule: rule.against_baseline)


def of_data(function: Find) -> Find:
    """Makes a function a rule of the data alone."""
    return _register(function, against_baseline=False)


def against_baseline(function: Find) -> Find:
    """Makes a function a rule that holds the data against those of the last blessed run."""
    return _register(function, against_baseline=True)


def _register(function: Find, *, against_baseline: bool) -> Find:
    name, words = function.__name__, inspect.getdoc(function) or ""
    if name not in RULES or name in REGISTRY or not words:
        raise ValueError(f"rule {name!r} needs keys in settings.RULES and a docstring, and to be there once")
    what = " ".join(words.partition("\n\n")[0].split()).rstrip(".")
    REGISTRY[name] = Rule(name, what, RULES[name], against_baseline, function)
    return function
