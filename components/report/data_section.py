"""The section on the data: what there is, what the gate found, and how it differs from the last blessed run's."""

from __future__ import annotations

from components.report.charts import Chart, Series, Table, bars, curves
from components.report.content import Content
from components.report.data import DataFacts
from components.report.page import Section
from components.shared.features import TRAIN_SPLIT

_GENRES = 20
_NOW, _BEFORE = "this run", "last blessed"


def data_section(content: Content) -> Section | None:
    """The section; None where there are no data."""
    data, before = content.data, content.baseline
    if data is None:
        return None
    charts: list[Chart | Table] = [_overview(data, before), _findings(content)]
    if data.periods:
        series = [Series(split, data.by_period[split]) for split in data.rows]
        alt = f"From {data.since} to {data.until}, in {len(data.periods)} equal stretches."
        charts.append(
            bars("Ratings over time", alt, data.periods, series, "from", "ratings", stacked=True, show=",")
        )
    charts.append(
        bars(
            "Ratings by value",
            "Share of the rows of each split that have each rating.",
            data.values,
            [Series(split, data.by_value[split]) for split in data.rows],
            "rating",
            "share of rows",
        )
    )
    pairs = [(_NOW, data), *([(_BEFORE, before)] if before else [])]
    for title, points in (
        ("Ratings of each user, most active first", {name: of.activity for name, of in pairs}),
        ("Ratings of each movie, most rated first", {name: of.popularity for name, of in pairs}),
    ):
        most = points[_NOW][0][1]
        alt = f"Both axes logarithmic; the first has {most:,}."
        charts.append(curves(title, alt, points, "rank", "ratings", logarithmic=True, point=0, show=","))
    names = list(data.genres)[:_GENRES]
    if names:
        shares = [Series(name, [of.genres.get(genre, 0.0) for genre in names]) for name, of in pairs]
        alt = f"The most frequent is {names[0]}, with {data.genres[names[0]]:.0%} of the train rows."
        charts.append(bars("Genres of train", alt, names, shares, "share of rows", "genre", across=True))
    if before:
        charts += _drift(data, before)
    return Section("data", "The data", "", charts)


def _overview(data: DataFacts, before: DataFacts | None) -> Table:
    def column(of: DataFacts) -> list[str]:
        rows = sum(of.rows.values())
        liked = sum(of.liked[split] * number for split, number in of.rows.items()) / max(rows, 1)
        return [
            f"{rows:,}",
            *(f"{of.rows.get(split, 0):,}" for split in data.rows),
            f"{of.users:,}",
            f"{of.movies:,}",
            f"{of.since} to {of.until}" if of.since else "no times",
            f"{liked:.1%}",
            ", ".join(f"{split} {share:.1%}" for split, share in of.liked.items()),
        ]

    names = ["ratings", *(f"in {split}" for split in data.rows)]
    names += ["users", "movies", "time span", "share of likes", "by split"]
    columns = [column(data), *([column(before)] if before else [])]
    rows = [[name, *cells] for name, *cells in zip(names, *columns, strict=True)]
    header = ["", _NOW, *([f"{_BEFORE} data"] if before else [])]
    return Table(header, rows, "Numbers", tuple(range(1, len(header))))


def _findings(content: Content) -> Table:
    if content.findings is None:
        return Table(["The data gate"], [["did not come to a verdict"]], "What the gate found")
    rows = [[one["rule"], one["level"], one["sentence"], one["accept"]] for one in content.findings]
    if not rows:
        return Table(["The data gate"], [["nothing to report"]], "What the gate found")
    return Table(["rule", "level", "in words", "to accept it"], rows, "What the gate found")


def _drift(data: DataFacts, before: DataFacts) -> list[Chart]:
    values = list(dict.fromkeys([*before.values, *data.values]))
    series = [
        Series(name, [dict(zip(of.values, of.by_value[TRAIN_SPLIT], strict=True)).get(v) for v in values])
        for name, of in ((_NOW, data), (_BEFORE, before))
    ]
    return [
        bars(
            "Drift: ratings of train",
            "Share of the train rows that have each rating, now and in the data of the last blessed model.",
            values,
            series,
            "rating",
            "share of rows",
        )
    ]
