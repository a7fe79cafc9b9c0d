"""All runs and versions of a pipeline over time, as one page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from components.report.charts import Chart, Series, Table, lines
from components.report.page import Report, Section, render
from components.shared.artifacts import RETRIEVAL
from components.shared.features import metric_title
from components.shared.storage import storage, write_aside
from pipeline.config import PipelineConfig
from pipeline.operations.history import Release, history
from pipeline.state.runs import Run, decided_by
from pipeline.state.store import open_store

_MARKS = {
    "blessed": ("$good", "circle"),
    "refused": ("$bad", "crossRot"),
    "no decision": ("$muted", "triangle"),
}


def write(config: PipelineConfig, runs: Sequence[Run]) -> Path:
    """Writes the page; returns its path.

    Raises:
        StorageError: The root cannot be written.
    """
    path = config.report_dir / "history.html"
    page = render(config.name, [report(config.name, runs, history(config, open_store(config)))])
    with storage(path, "The report cannot be written."):
        write_aside(path, page)
    return path


def report(name: str, runs: Sequence[Run], releases: Sequence[Release]) -> Report:
    """What the page says.

    Args:
        name: Of the pipeline.
        runs: Oldest first.
        releases: Every version ever pushed.
    """
    rows = [run.summary() for run in runs]
    served = next((one.version for one in releases if one.state == "served"), "none")
    sections = [
        Section(
            "metrics",
            "Metrics over the runs",
            "A green point is a model that was blessed, a red cross one that was refused.",
            [chart for chart in (_of_metric(metric, rows) for metric in _metrics(rows)) if chart],
        ),
        Section("data", "Data over the runs", "", _of_data(rows)),
        Section("runs", "Runs", "", [_runs(rows)]),
        Section("versions", "Versions", "", [_versions(releases)]),
    ]
    decided = [row for row in rows if "blessed" in row]
    blessed = sum(row["blessed"] for row in decided)
    return Report(
        f"History of {name}",
        "",
        f"{len(rows):,} runs, of which {len(decided):,} came to a decision and {blessed:,} were blessed.",
        [],
        [("Served", served), ("Versions", f"{len(releases):,}")],
        sections,
    )


def _metrics(rows: Sequence[dict[str, Any]]) -> list[str]:
    found = ["log_loss", "auc"]
    for row in rows:
        k = row.get("primary_k", 10)
        found += [
            f"ndcg@{k}",
            f"recall@{k}",
            *(row[key] for key in ("metric", f"{RETRIEVAL}metric") if key in row),
        ]
    return list(dict.fromkeys(found))


def _decision(row: dict[str, Any]) -> str:
    return {True: "blessed", False: "refused", None: "no decision"}[row.get("blessed")]


def _marked(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    marks = [_MARKS[_decision(row)] for row in rows]
    colours = [colour for colour, _ in marks]
    return {
        "pointBackgroundColor": colours,
        "pointBorderColor": colours,
        "pointBorderWidth": 2,
        "pointStyle": [style for _, style in marks],
        "pointRadius": 6,
    }


def _when(row: dict[str, Any]) -> str:
    return f"{datetime.fromisoformat(row['started']):%Y-%m-%d %H:%M:%S}"


def _of_metric(metric: str, rows: Sequence[dict[str, Any]]) -> Chart | None:
    """Of the runs that have it, beside popularity where that has it too."""
    kept = [row for row in rows if metric in row]
    if not kept:
        return None
    series = [Series("candidate", [row[metric] for row in kept], points=_marked(kept))]
    floor = f"popularity_{metric}"
    if any(floor in row for row in kept):
        series.append(Series("popularity", [row.get(floor) for row in kept], dashed=True))
    decisions = "; ".join(f"{_when(row)} {_decision(row)} at {row[metric]:.4f}" for row in kept[-5:])
    return lines(
        f"{metric_title(metric)} on test",
        f"The last: {decisions}.",
        [_when(row) for row in kept],
        series,
        "run",
        metric_title(metric),
    )


def _of_data(rows: Sequence[dict[str, Any]]) -> list[Chart | Table]:
    kept = [row for row in rows if "num_rows" in row]
    labels = [_when(row) for row in kept]
    charts: list[Chart | Table] = []
    for title, names in (("Ratings", ("num_rows",)), ("Users and movies", ("num_users", "num_movies"))):
        series = [
            Series(name.removeprefix("num_"), [row.get(name) for row in kept], points=_marked(kept))
            for name in names
        ]
        alt = f"In {len(kept):,} runs that read data."
        charts.append(lines(title, alt, labels, series, "run", title.lower(), show=","))
    return charts if kept else []


def _runs(rows: Sequence[dict[str, Any]]) -> Table:
    cells = [
        [
            _when(row),
            row["state"],
            " + ".join(row[key] for key in ("model_name", f"{RETRIEVAL}model_name") if key in row) or "-",
            f"{row['num_rows']:,}" if "num_rows" in row else "-",
            decided_by(row) or "-",
            _decision(row),
            row.get("version", "-"),
            "; ".join([*row.get("failures", []), *row.get("serving_failures", [])]) or "-",
        ]
        for row in reversed(rows)
    ]
    header = ["run", "state", "model", "rows", "decided by", "decision", "version", "broken"]
    return Table(header, cells, "Every run, the last first", (3,))


def _versions(releases: Sequence[Release]) -> Table:
    cells = [
        [
            one.version,
            one.state,
            one.pushed_at or "-",
            one.run_id or "-",
            decided_by(one.figures) or "-",
            one.blessing,
        ]
        for one in reversed(releases)
    ]
    return Table(
        ["version", "state", "pushed", "run", "decided by", "blessing"],
        cells,
        "Every version, the last first",
    )
