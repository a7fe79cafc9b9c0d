"""Errors a user can meet: each says what is wrong, where, what was found and expected, and what to do."""

from __future__ import annotations


class MarqueeError(Exception):
    """Base of every error that is the input's or the configuration's fault, not the program's.

    Args:
        problem: One sentence that says what is wrong.
        where: File and line, column, configuration key or component.
        found: What was there.
        expected: What should have been there.
        fix: What to do next.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.problem, self.where, self.found, self.expected, self.fix = problem, where, found, expected, fix
        parts = [("where", where), ("found", found), ("expected", expected), ("to fix", fix)]
        super().__init__("\n".join([problem, *(f"  {name + ':':<10}{text}" for name, text in parts if text)]))


class ConfigError(MarqueeError):
    """The configuration is not valid."""


class DataError(MarqueeError):
    """The ratings or movies cannot be used as they are."""


class ModelError(MarqueeError):
    """A model is missing, or does not do what it has to."""


class StorageError(MarqueeError):
    """A folder cannot be written: the disk is full, or it is read-only."""


class LockedError(MarqueeError):
    """Another process is at work on the same pipeline."""
