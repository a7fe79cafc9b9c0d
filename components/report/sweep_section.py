"""The section on sweeps: what other values of a key came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.report.charts import Chart, Series, Table, lines
from components.report.page import Section

_PANELS = (("log-loss", ("loss",)), ("AUC", ("auc",)), ("ranking", ("ndcg", "recall")))


@dataclass(frozen=True)
class Sweep:
    """The table of `marquee sweep`: a row a value, the first cell being the value, and the names of the columns."""

    key: str
    header: list[str]
    rows: list[list[str]]


def sweep_section(sweeps: Sequence[Sweep]) -> Section | None:
    """The section; None where there were no sweeps."""
    blocks: list[Chart | Table] = []
    for sweep in sweeps:
        labels = [row[0] for row in sweep.rows]
        for title, parts in _PANELS:
            names = [name for name in sweep.header[1:] if any(part in name for part in parts)]
            series = [
                Series(name.replace("_", " "), [_number(row[sweep.header.index(name)]) for row in sweep.rows])
                for name in names
            ]
            if series:
                alt = f"Of {len(labels)} values, {', '.join(labels)}."
                blocks.append(
                    lines(f"Sweep over {sweep.key}: {title}", alt, labels, series, sweep.key, title)
                )
    intro = "Each value was trained for itself, by `marquee sweep`."
    return Section("sweeps", "Sweeps", intro, blocks) if blocks else None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
