"""What is wrong with a value, in words."""

from __future__ import annotations

import re
from typing import Any

from components.example_gen.times import UNITS
from components.example_gen.values import CONTROL, MAX_ID_BYTES
from components.shared.errors import cut
from components.shared.features import MOVIE_KEY, RATING_KEY, USER_KEY

SHOWN_CHARS = 200  # of one value, in the reason why a row cannot be used


def problem(key: str, found: Any, unit: str = "s") -> str:
    """What is wrong with a value, to be read after its name."""
    if found is None or (isinstance(found, str | bytes) and not found.strip()):
        return "is missing"
    shown = repr(cut(found if isinstance(found, str) else str(found), SHOWN_CHARS))
    if key in (USER_KEY, MOVIE_KEY):
        return key_problem(found, MAX_ID_BYTES) or f"is {shown}, expected an id"
    if key == RATING_KEY:
        return f"is {shown}, expected a finite number"
    if unit == "iso":
        return f"is {shown}, expected a time such as 2019-05-03T12:00:00Z{_unit_hint(str(found), unit)}"
    whole = "whole " if unit == "s" else ""
    return f"is {shown}, expected {whole}{UNITS[unit]}{_unit_hint(str(found), unit)}"


def key_problem(found: Any, most: int) -> str | None:
    """Why an id or a genre cannot be one; None if it can."""
    try:
        text = found.decode() if isinstance(found, bytes) else str(found)
    except UnicodeDecodeError:
        return f"is {cut(repr(found), SHOWN_CHARS)}, which is not UTF-8"
    size = len(text.encode())
    if size > most:
        return f"has {size:,} bytes, of which {most:,} are the most: {cut(text, SHOWN_CHARS)!r}"
    if re.search(CONTROL, text):
        shown = repr(cut(text, SHOWN_CHARS))
        return f"is {shown}, with a line break or another control character, which no vocabulary keeps"
    return None


def _unit_hint(text: str, unit: str) -> str:
    """Which unit a time looks like, where that is not the one it was said to be in."""
    text = text.strip()[:SHOWN_CHARS]
    likely = None
    if re.match(r"\d{4}-\d{2}-\d{2}(?:[T ]|$)", text):
        likely, what = "iso", "an ISO date"
    elif digits := re.fullmatch(r"-?(\d{1,19})(?:\.\d*)?", text):
        # Seconds of 12 digits would be past the year 5138.
        count = len(digits[1])
        likely = "s" if count < 12 else "ms" if count < 15 else "us" if count < 18 else "ns"
        what = UNITS[likely]
    return (
        f"; it looks like {what}: set data.timestamp_unit to {likely}" if likely not in (None, unit) else ""
    )
