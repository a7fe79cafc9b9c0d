"""The table of rules of README.md, from the registry and the defaults of the settings.

    python -m components.data_gate.table

writes it there anew, between the two lines that mark it; a test holds that it is up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from components.data_gate import rules  # noqa: F401  fills the registry
from components.data_gate.registry import Rule, in_order
from components.data_gate.settings import DEFAULT_POLICY, Bars, DataGateSettings, Floors, MinimumSettings

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- rules: python -m components.data_gate.table -->", "<!-- end of rules -->"
_HEAD = ("rule", "what it holds against what", "keys under `data_gate`", "stops the run", "tells")
_DEFAULTS = DataGateSettings()


def table() -> str:
    """In Markdown: a row for each rule."""
    policy = "; ".join(f"`{key}`" for key, level in DEFAULT_POLICY.items() if level == "warn")
    anomalies = "ExampleValidator's findings against the schema"
    rows = [
        _HEAD,
        ("---",) * len(_HEAD),
        ("a type of TFDV's anomalies", anomalies, "`policy`", "all but those beside", policy),
        *map(_row, in_order()),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(rule: Rule) -> tuple[str, ...]:
    bars = [bar for key in rule.keys for bar in _bars(key)]
    names, shown = [], ""
    for key in rule.keys:
        section, _, name = key.rpartition(".")
        if not section:
            key = f"{key}.*"
        elif section == shown:  # it is said once
            key = name
        names.append(f"`{key}`")
        shown = section
    cells = [_grouped([(key, bar[place]) for key, bar in bars]) for place in (0, 1)]
    stops, tells = cells if any(cells) else ("off by default", "")
    return f"`{rule.name}`", rule.what, ", ".join(names), stops, tells


def _bars(key: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """(name, (stops the run, tells)) of each bar of a key or section, in words; "" for none."""
    value, name = _DEFAULTS.at(key), key.rpartition(".")[2]
    if isinstance(value, (Bars, Floors)):
        sign = ">" if isinstance(value, Bars) else "<"
        yield name, (_bar(sign, value, value.fatal), _bar(sign, value, value.warn))
    elif isinstance(value, MinimumSettings):
        yield from ((name, (f"< {least}", "")) for name, least in value)
    elif isinstance(value, BaseModel):
        for name, _ in value:
            yield from _bars(f"{key}.{name}")


def _bar(sign: str, bars: Bars | Floors, bar: float | None) -> str:
    if bar is None:
        return ""
    if not bar:
        return "any"
    if isinstance(bars, Bars) and bars.unit == "%":
        return f"{sign} {bar * 100:g} %"
    return f"{sign} {bar:g}{bars.unit if isinstance(bars, Bars) else ''}"


def _grouped(bars: list[tuple[str, str]]) -> str:
    """Names that have the same bar beside each other; a single name goes without saying."""
    by_bar: dict[str, list[str]] = {}
    for name, bar in bars:
        if bar:
            by_bar.setdefault(bar, []).append(name)
    if len(bars) == 1:
        return next(iter(by_bar), "")
    return "; ".join(f"{', '.join(names)} {bar}" for bar, names in by_bar.items())


def write(path: Path = README) -> None:
    """Puts the table where the marks are."""
    before, _, rest = path.read_text().partition(f"{BEGIN}\n")
    path.write_text(f"{before}{BEGIN}\n{table()}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    write()
