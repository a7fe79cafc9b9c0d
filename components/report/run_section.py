"""The section on the run: what ran and for how long, where it comes from, and by which configuration."""

from __future__ import annotations

from typing import Any

from components.report.charts import Chart, Series, Table, bars
from components.report.content import Content, RunFacts
from components.report.page import Section


def run_section(run: RunFacts, content: Content) -> Section:
    """The section."""
    blocks: list[Chart | Table] = []
    if run.steps:
        blocks.append(_timeline(run))
    if run.lineage:
        blocks.append(Table(["", ""], [list(pair) for pair in run.lineage], "Lineage"))
    if run.changed:
        rows = [[key, before, now] for key, (before, now) in run.changed.items()]
        blocks.append(Table(["key", "last run", "this run"], rows, "What differs from the run before"))
    if content.serving:
        blocks.append(_serving(content.serving))
    if run.versions:
        blocks.append(Table(["library", "version"], [list(one) for one in run.versions.items()], "The stack"))
    if run.config:
        blocks.append(Table(["key", "value"], [list(one) for one in run.config.items()], "Configuration"))
    return Section("run", "The run", "", blocks)


def _timeline(run: RunFacts) -> Chart:
    names = [f"{step.name} ({step.state})" for step in run.steps]
    chart = bars(
        "Timeline of the components",
        f"{len(run.steps)} components; the longest is {max(run.steps, key=lambda one: one.seconds).name}.",
        names,
        [
            Series("starts", [step.start for step in run.steps], colour="transparent"),
            Series("seconds", [step.seconds for step in run.steps]),
        ],
        "seconds since the start",
        "component",
        stacked=True,
        across=True,
        show=".1f",
    )
    datasets: list[dict[str, Any]] = chart.config["data"]["datasets"]
    datasets[0] |= {"borderWidth": 0}
    chart.config["options"]["plugins"] = {"legend": {"display": False}}
    return chart


def _serving(serving: dict[str, Any]) -> Table:
    rows = [[f"p95 of {name}, ms", f"{of['p95']:.1f}"] for name, of in serving.get("latency_ms", {}).items()]
    rows += [
        [title, f"{serving[key]:.1f}"]
        for key, title in (
            ("load_seconds", "loads in, s"),
            ("size_mb", "size, MB"),
            ("memory_mb", "memory, MB"),
        )
        if serving.get(key) is not None
    ]
    return Table(["", "found"], rows, "Asked in a process of its own", (1,))
