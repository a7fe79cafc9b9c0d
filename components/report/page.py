"""The page: one HTML file that needs nothing else, neither a network nor a server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components.report.charts import Chart, Table
from components.report.people import Person
from components.report.space import Space

_TEMPLATES = Path(__file__).parent / "templates"
# What has no place in a page: control characters, and marks that turn the direction of what follows.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True)
class Section:
    """A part of a report: plots and tables in order, and what only one section has."""

    id: str
    title: str
    intro: str = ""
    blocks: Sequence[Chart | Table] = field(default_factory=list)
    space: Space | None = None
    people: list[Person] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """Of one run.

    Attributes:
        title: Of the page, or the column.
        outcome: `blessed`, `refused`, `unfit`, `stopped`, `failed`, `unfinished`, or empty for what is not of a run.
        verdict: One sentence.
        reasons: Sentences: rules that are broken, warnings, what went wrong.
        facts: What a reader looks for first: name and value.
        sections: The parts.
    """

    title: str
    outcome: str
    verdict: str
    reasons: list[str]
    facts: list[tuple[str, str]]
    sections: list[Section]


def render(name: str, reports: Sequence[Report]) -> str:
    """HTML of a report, or of two beside each other.

    Args:
        name: Of the pipeline.
        reports: One or two.
    """
    titles: dict[str, str] = {}
    for report in reports:
        for section in report.sections:
            titles.setdefault(section.id, section.title)
    data: list[Any] = []

    def keep(value: Any) -> int:
        """A place in the data of the page."""
        data.append(value)
        return len(data) - 1

    columns = [{section.id: section for section in report.sections} for report in reports]
    return (
        _environment()
        .get_template("report.html")
        .render(
            name=name,
            reports=reports,
            titles=titles,
            columns=columns,
            keep=keep,
            style=_asset("report.css"),
            script=_asset("report.js"),
            library=_asset("vendor/chart.umd.min.js").partition("//# sourceMappingURL")[0],
            data=lambda: _json(data),
        )
    )


def plain(value: Any) -> Any:
    """The value with a mark in place of each character that could not be seen, in whatever it holds."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return _UNSEEN.sub("\ufffd", value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def _json(data: Any) -> Markup:
    """JSON that may stand in a script element."""
    text = json.dumps(plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", text))


@cache
def _asset(name: str) -> Markup:
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=plain,
    )
    environment.tests["chart"] = lambda block: isinstance(block, Chart)
    return environment
