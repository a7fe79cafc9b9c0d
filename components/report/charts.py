"""Plots as configurations of Chart.js, each with an alternative text and the table of its numbers.

Colours are names of the style sheet (`$good`), so that they follow the colour scheme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PALETTE = [f"$c{i}" for i in range(1, 9)]
_EVERY = {"ticks": {"autoSkip": False}}  # each row has its name
_ROW_PX, _AXIS_PX, _TALL_PX = 28, 70, 260


@dataclass(frozen=True)
class Table:
    """Cells in words; `numeric` are the places of the columns that are aligned to the right.

    One that is `folded` is shown when it is asked for.
    """

    header: list[str]
    rows: list[list[str]]
    caption: str = ""
    numeric: tuple[int, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Chart:
    """A plot.

    Attributes:
        title: What it is of.
        alt: What it shows, in a sentence or two.
        config: Of Chart.js.
        table: Its numbers.
        height: In pixels.
    """

    title: str
    alt: str
    config: dict[str, Any]
    table: Table
    height: int = _TALL_PX


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, and the threshold that it is held against; None where there is none."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    colour: str = PALETTE[0]


@dataclass(frozen=True)
class Series:
    """A line, or the bars of one colour: a value for each label, None for a gap."""

    name: str
    values: Sequence[float | None]
    dashed: bool = False
    axis: str = "y"
    colour: str = ""
    points: dict[str, Any] = field(default_factory=dict)


def intervals(title: str, of: Sequence[Estimate], unit: str, signed: bool = False) -> Chart:
    """A row for each estimate: its interval as a bar, its value as a point, its threshold as a stroke."""
    show = f"{'+' if signed else ''}.4f"
    names = [one.name for one in of]
    colours = [one.colour for one in of]

    def points(label: str, values: list[float | None], **style: Any) -> dict[str, Any]:
        return {
            "type": "line",
            "label": label,
            "indexAxis": "y",
            "data": values,
            "showLine": False,
            **style,
        }

    datasets = [
        points(
            "value",
            [one.value for one in of],
            pointRadius=5,
            pointHoverRadius=7,
            pointBackgroundColor=colours,
            pointBorderColor="$surface",
            backgroundColor=PALETTE[0],
        ),
        {
            "type": "bar",
            "label": "95% interval",
            "data": [None if one.low is None or one.high is None else [one.low, one.high] for one in of],
            "backgroundColor": [f"{colour}/45" for colour in colours],
            "barThickness": 12,
            "grouped": False,
        },
    ]
    if any(one.threshold is not None for one in of):
        datasets.append(
            points(
                "threshold",
                [one.threshold for one in of],
                pointStyle="line",
                pointRotation=90,
                pointRadius=11,
                pointHoverRadius=12,
                pointBorderWidth=3,
                pointBorderColor="$text",
                backgroundColor="$text",
                borderColor="$text",
            )
        )
    config = _config(
        "bar",
        {"labels": names, "datasets": datasets},
        indexAxis="y",
        scales={
            "x": {**_axis(unit), "beginAtZero": False, "grace": "3%"},
            "y": {"grid": {"display": False}, **_EVERY},
        },
    )

    def cell(value: float | None) -> str:
        return "-" if value is None else format(value, show)

    rows = [
        [one.name, cell(one.value), _interval(one.low, one.high, show), cell(one.threshold)] for one in of
    ]
    header = ["", unit, "interval", "threshold"]
    if not any(one.threshold is not None for one in of):
        header, rows = header[:3], [row[:3] for row in rows]
    said = "; ".join(f"{row[0]} {row[1]}" for row in rows)
    table = Table(header, rows, title, tuple(range(1, len(header))))
    return Chart(title, f"{unit}: {said}.", config, table, _AXIS_PX + _ROW_PX * (len(of) + 1))


def _interval(low: float | None, high: float | None, show: str) -> str:
    return "-" if low is None or high is None else f"[{low:{show}}, {high:{show}}]"


def lines(
    title: str,
    alt: str,
    labels: Sequence[str],
    series: Sequence[Series],
    x: str,
    y: str,
    y2: str = "",
    logarithmic: bool = False,
    show: str = ".4f",
    label_header: str = "",
) -> Chart:
    """Lines over labels."""
    datasets = [
        {
            "label": one.name,
            "data": list(one.values),
            "borderColor": one.colour or PALETTE[i % len(PALETTE)],
            "backgroundColor": one.colour or PALETTE[i % len(PALETTE)],
            "borderDash": [6, 4] if one.dashed else [],
            "borderWidth": 2,
            "pointRadius": 2 if len(labels) > 15 else 3,
            "spanGaps": True,
            "yAxisID": one.axis,
            **one.points,
        }
        for i, one in enumerate(series)
    ]
    scales: dict[str, Any] = {"x": _axis(x), "y": _axis(y)}
    if y2:
        scales["y2"] = {**_axis(y2), "position": "right", "grid": {"drawOnChartArea": False}}
    if logarithmic:
        scales["y"]["type"] = "logarithmic"
    config = _config("line", {"labels": list(labels), "datasets": datasets}, scales=scales)
    return Chart(title, alt, config, _table(title, labels, series, label_header or x, show))


def curves(
    title: str, alt: str, of: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str, **options: Any
) -> Chart:
    """Lines through points; `diagonal` draws that of equals, `logarithmic` both axes."""
    datasets: list[dict[str, Any]] = [
        {
            "label": name,
            "data": [{"x": a, "y": b} for a, b in points],
            "borderColor": PALETTE[i],
            "backgroundColor": PALETTE[i],
            "borderDash": [6, 4] if i else [],
            "borderWidth": 2,
            "showLine": True,
            "pointRadius": options.get("point", 2),
        }
        for i, (name, points) in enumerate(of.items())
    ]
    if options.get("diagonal"):
        datasets.append(
            {
                "label": "as it should be",
                "data": [{"x": 0, "y": 0}, {"x": 1, "y": 1}],
                "borderColor": "$muted",
                "backgroundColor": "$muted",
                "borderDash": [2, 3],
                "borderWidth": 1,
                "showLine": True,
                "pointRadius": 0,
            }
        )
    scales = {"x": _axis(x), "y": _axis(y)}
    if options.get("logarithmic"):
        scales = {key: {**axis, "type": "logarithmic"} for key, axis in scales.items()}
    config = _config("scatter", {"datasets": datasets}, scales=scales)
    show = options.get("show", ".4g")
    rows = [[name, f"{a:{show}}", f"{b:{show}}"] for name, points in of.items() for a, b in points]
    return Chart(title, alt, config, Table(["", x, y], rows, title, (1, 2)))


def bars(
    title: str,
    alt: str,
    labels: Sequence[str],
    series: Sequence[Series],
    x: str,
    y: str,
    stacked: bool = False,
    across: bool = False,
    show: str = ".4f",
) -> Chart:
    """Bars over labels, one beside the other or stacked; `across` has them lie."""
    datasets = [
        {
            "label": one.name,
            "data": list(one.values),
            "backgroundColor": one.colour or PALETTE[i % len(PALETTE)],
            "borderColor": "$surface",
            "borderWidth": 1,
        }
        for i, one in enumerate(series)
    ]
    scales = {"x": {**_axis(x), "stacked": stacked}, "y": {**_axis(y), "stacked": stacked}}
    if across:
        scales["y"] |= _EVERY
    config = _config(
        "bar",
        {"labels": list(labels), "datasets": datasets},
        scales=scales,
        **({"indexAxis": "y"} if across else {}),
    )
    height = _AXIS_PX + _ROW_PX * (len(labels) + 1) if across else _TALL_PX
    return Chart(title, alt, config, _table(title, labels, series, y if across else x, show), height)


def _table(title: str, labels: Sequence[str], series: Sequence[Series], first: str, show: str) -> Table:
    rows = [
        [label, *("-" if (value := one.values[i]) is None else f"{value:{show}}" for one in series)]
        for i, label in enumerate(labels)
    ]
    return Table([first, *(one.name for one in series)], rows, title, tuple(range(1, len(series) + 1)))


def _axis(title: str) -> dict[str, Any]:
    return {"title": {"display": bool(title), "text": title}}


def _config(kind: str, data: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"type": kind, "data": data, "options": options}
