"""Errors a user can meet: each says what is wrong, where, what was found and expected, and what to do."""

from __future__ import annotations

# What was found may be a field as large as its file; a message is for a terminal.
_LINE_CHARS = 500


def cut(text: str, most: int) -> str:
    """The text, or its beginning and its end where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    note, tail = f" ... ({len(text):,} characters) ... ", most // 5
    return text[: most - tail - len(note)] + note + text[-tail:]


class MarqueeError(Exception):
    """Base of every error that is the input's or the configuration's fault, not the program's.

    Args:
        problem: One sentence that says what is wrong.
        where: File and line, column, configuration key or component.
        found: What was there; a long line of it is cut in the message, as one of `where` is.
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
        parts = [("where", _lines(where)), ("found", _lines(found)), ("expected", expected), ("to fix", fix)]
        super().__init__("\n".join([problem, *(f"  {name + ':':<10}{text}" for name, text in parts if text)]))


def _lines(text: str | None) -> str | None:
    return text and "\n".join(cut(line, _LINE_CHARS) for line in text.split("\n"))


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
