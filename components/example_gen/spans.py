"""Windows of spans: which files of a growing log are read together, as one log.

A pattern with `{SPAN}` (a number, `{SPAN:3}` with three digits) or with `{YYYY}`, `{MM}`, `{DD}` names a file a span,
as TFX has it. TFX's own ExampleGen reads one span; a window is many, read as one: duplicates and each user's split are
taken over all of it.
"""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal

from components.example_gen import files
from components.example_gen.settings import SpansSettings
from components.shared.errors import ConfigError, DataError

_EPOCH = date(1970, 1, 1)
_DATE = {"YYYY", "MM", "DD"}


@dataclass(frozen=True)
class Span:
    """One of them.

    Attributes:
        number: Its own, or days since 1970 as TFX counts dates.
        name: As the pattern has it: `7`, or `2026-11-26`.
        pattern: Of its ratings, within the input's folder.
        tokens: What stands in its files' names in place of each spec.
    """

    number: int
    name: str
    pattern: str
    tokens: Mapping[str, str]


def window(
    base: str, pattern: str, settings: SpansSettings, is_empty: Callable[[str], bool]
) -> tuple[list[Span], list[str]]:
    """The spans to read, oldest first, and what the policies tell of the others.

    Args:
        base: Folder of the input.
        pattern: Of the ratings, with specs.
        settings: Which spans, and the policies.
        is_empty: Whether a file has no rows.

    Raises:
        ConfigError: The pattern has no spans, or not such that `from` and `to` fit.
        DataError: There is no span in the window, or a policy stops.
    """
    specs = files.specs(pattern)
    if specs not in ({"SPAN"}, _DATE):
        raise ConfigError(
            "data.spans needs a pattern with spans.",
            where="key data.ratings_file",
            found=pattern,
            expected="{SPAN}, or {YYYY}, {MM} and {DD}, such as ratings-{YYYY}-{MM}-{DD}.csv; no {VERSION}",
        )
    bounds = [_number(bound, key, specs) for key, bound in (("from", settings.from_), ("to", settings.to))]
    present = _present(base, pattern)
    if not present:
        raise DataError(
            f"There is no file {pattern}.",
            where=base,
            expected="a file for each span",
            fix="correct data.path or data.ratings_file",
        )
    first, last = min(present), max(present)
    if settings.last:
        first = max(first, last - settings.last + 1)
    first = bounds[0] if bounds[0] is not None else first
    last = bounds[1] if bounds[1] is not None else last
    chosen = [span for number, span in sorted(present.items()) if first <= number <= last]
    if not chosen:
        raise DataError(
            "There is no span in the window.",
            where=os.path.join(base, pattern),
            found=f"spans {_listed([present[number].name for number in sorted(present)])}",
            expected=f"some of {_name(first, specs)} to {_name(last, specs)}",
            fix="correct data.spans",
        )
    told: list[str] = []
    missing = _gaps([span.number for span in chosen], first, last, specs)
    _apply(settings.missing, "missing", "not there", missing, base, told)
    empty = [span for span in chosen if all(map(is_empty, files.match(base, span.pattern)))]
    _apply(settings.empty, "empty", "empty", [span.name for span in empty], base, told)
    kept = [span for span in chosen if span not in empty]
    if not kept:
        raise DataError("All spans of the window are empty.", where=os.path.join(base, pattern))
    return kept, told


def _gaps(numbers: Sequence[int], first: int, last: int, specs: set[str]) -> list[str]:
    """What is not there from `first` to `last`, as `7` or `7 to 9`: a gap may be of millions."""
    return [
        _name(low, specs) if low == high else f"{_name(low, specs)} to {_name(high, specs)}"
        for low, high in ((a + 1, b - 1) for a, b in pairwise([first - 1, *numbers, last + 1]))
        if low <= high
    ]


def filled(pattern: str, tokens: Mapping[str, str]) -> str:
    """A pattern with what stands in place of each spec."""
    return files.SPAN_SPEC.sub(lambda found: tokens[found[1]], pattern)


def judge_late(settings: SpansSettings, names: Sequence[str], base: str) -> list[str]:
    """What the policy tells of spans that have changed since an earlier run read them.

    Raises:
        DataError: It stops.
    """
    told: list[str] = []
    _apply(settings.late, "late", "not what an earlier run has read", names, base, told)
    return told


def _apply(
    policy: Literal["stop", "warn", "ignore"],
    key: str,
    what: str,
    names: Sequence[str],
    base: str,
    told: list[str],
) -> None:
    if not names or policy == "ignore":
        return
    one = len(names) == 1 and " to " not in names[0]
    sentence = f"{'span' if one else 'spans'} {_listed(names)} {'is' if one else 'are'} {what}"
    if policy == "stop":
        raise DataError(
            f"{sentence[0].upper()}{sentence[1:]}.",
            where=base,
            fix=f"bring the data and run again, or set data.spans.{key} to warn",
        )
    told.append(sentence)


def _present(base: str, pattern: str) -> dict[int, Span]:
    """The spans of the files that are there, by number."""
    specs = files.specs(pattern)
    regex = re.compile(_regex(pattern))
    found: dict[int, Span] = {}
    for path in files.match(base, pattern):
        match = regex.fullmatch(path.removeprefix(base).lstrip("/"))
        if not match:
            continue  # of another width, or not of digits
        tokens = {name: match[name] for name in specs}
        if specs == _DATE:
            try:
                day = date(int(tokens["YYYY"]), int(tokens["MM"]), int(tokens["DD"]))
            except ValueError:
                raise DataError(
                    "The name of a file has a date that there is not.", where=path, expected=pattern
                ) from None
            number = (day - _EPOCH).days
        else:
            number = int(tokens["SPAN"])
        name = _name(number, specs)
        span = Span(number, name, filled(pattern, tokens), tokens)
        if found.setdefault(number, span).tokens != tokens:
            raise DataError(
                f"Span {name} is there twice.",
                where=base,
                found=f"{found[number].pattern} and {span.pattern}",
                fix="keep one of them",
            )
    return found


def _regex(pattern: str) -> str:
    """A pattern as a regular expression, each spec a group of digits; the same one twice has the same digits."""
    parts, seen, at = [], set(), 0
    for spec in files.SPAN_SPEC.finditer(pattern):
        parts.append(_glob(pattern[at : spec.start()]))
        name, width = spec[1], spec[2]
        digits = {"YYYY": "{4}", "MM": "{2}", "DD": "{2}"}.get(name, f"{{{width}}}" if width else "+")
        parts.append(f"(?P={name})" if name in seen else rf"(?P<{name}>\d{digits})")
        seen.add(name)
        at = spec.end()
    return "".join([*parts, _glob(pattern[at:])])


def _glob(text: str) -> str:
    """Part of a glob; `*` ends at a slash."""
    return fnmatch.translate(text).removeprefix("(?s:").removesuffix(r")\Z").replace(".*", "[^/]*")


def _number(bound: int | date | None, key: str, specs: set[str]) -> int | None:
    if bound is None:
        return None
    if isinstance(bound, date) != (specs == _DATE):
        raise ConfigError(
            "The window and the pattern do not have spans of one kind.",
            where=f"key data.spans.{key}",
            found=str(bound),
            expected="a date such as 2026-11-26" if specs == _DATE else "a number",
        )
    return (bound - _EPOCH).days if isinstance(bound, date) else bound


def _name(number: int, specs: set[str]) -> str:
    if specs == _DATE:
        return f"{_EPOCH + timedelta(days=number)}"
    return str(number)


def _listed(names: Sequence[str]) -> str:
    some = [*names] if len(names) <= 6 else [*names[:3], "...", *names[-2:]]
    return ", ".join(some)
