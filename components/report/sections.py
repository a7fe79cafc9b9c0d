"""A report of what is known of a run: its verdict, and a section for each thing that a reader asks."""

from __future__ import annotations

from typing import Any

from components.report.charts import Chart, Estimate, Table, intervals
from components.report.content import Content, RunFacts
from components.report.data_section import data_section
from components.report.model_section import model_section
from components.report.page import Report, Section
from components.report.run_section import run_section
from components.report.space import Space
from components.report.sweep_section import sweep_section
from components.shared.artifacts import DATA_GATE
from components.shared.features import metric_title

_SHOWN_MOVIES, _SHOWN_NEIGHBOURS = 50, 3
_MARKS = {True: ("holds", "$good"), None: ("nothing to decide", "$muted")}


def report(content: Content, run: RunFacts | None = None, title: str = "") -> Report:
    """The report.

    Args:
        content: What the files say.
        run: What is known of the run beside them; None inside of it.
        title: Of the page; by default the run's.
    """
    outcome = _outcome(content, run)
    sections = [
        _rules(content),
        data_section(content),
        model_section(content),
        sweep_section(run.sweeps) if run else None,
        _space(content.space) if content.space else None,
        Section("people", "Four users", people=content.people) if content.people else None,
        run_section(run, content) if run else None,
    ]
    return Report(
        title or (f"Run of {run.started}" if run else "Run"),
        outcome,
        _verdict(content, run, outcome),
        _reasons(content, run, outcome),
        _facts(content, run),
        [section for section in sections if section],
    )


def _outcome(content: Content, run: RunFacts | None) -> str:
    failed = run and (run.error or run.state in ("failed", "canceled", "interrupted"))
    if run and failed:
        last = next((step.name for step in reversed(run.steps) if step.state == "failed"), "")
        return "interrupted" if run.state == "interrupted" else "stopped" if last == DATA_GATE else "failed"
    if content.decision is None:
        return "unfinished"
    if not content.decision["blessed"]:
        return "refused"
    if content.pushed is False or (content.serving and not content.serving["blessed"]):
        return "unfit"
    return "blessed"


def _verdict(content: Content, run: RunFacts | None, outcome: str) -> str:
    last = run.steps[-1].name if run and run.steps else ""
    if outcome == "stopped":
        return "The data gate stopped the run; what is served is as before."
    if outcome == "failed":
        return f"{last or 'The run'} failed; what is served is as before."
    if outcome == "interrupted":
        return f"The run was interrupted in {last}; the next one takes up what had completed."
    decision = content.decision
    if decision is None:
        return "The run came to no decision."
    rules = [rule for rule in decision["rules"] if rule["passed"] is not None]
    broken = f"{len(decision['failures'])} of {len(rules)} rules"
    model = f"Model {decision['model']['id']}"
    if outcome == "refused":
        return f"{model} is not blessed and not pushed, as it breaks {broken}: {_figures(decision)}."
    if outcome == "unfit":
        return f"{model} is blessed, but not fit for serving, so not pushed: {_figures(decision)}."
    pushed = f" and pushed as version {content.version}" if content.version else ""
    return f"{model} is blessed{pushed}, as all of {len(rules)} rules hold: {_figures(decision)}."


def _figures(decision: dict[str, Any]) -> str:
    """What decided: `log-loss 0.5302 (baseline 0.5302), NDCG@10 0.1975`, as `marquee status` has it."""
    parts = []
    for prefix in ("", "retrieval_"):
        value, before = (decision.get(f"{prefix}{of}_metric") for of in ("candidate", "baseline"))
        if value is not None:
            beside = f" (baseline {before:.4f})" if before is not None else ""
            parts.append(f"{metric_title(decision[f'{prefix}metric'])} {value:.4f}{beside}")
    return ", ".join(parts)


def _reasons(content: Content, run: RunFacts | None, outcome: str) -> list[str]:
    found = [run.error] if run and run.error else []
    if outcome in ("failed", "stopped", "interrupted"):
        return found or ["Why is in the log of the run."]
    decision, serving = content.decision or {}, content.serving or {}
    found += decision.get("failures", [])
    found += serving.get("failures", [])
    found += [f"Warning: {one}" for one in decision.get("warnings", [])]
    return found + [f"Warning of the data gate: {one['sentence']}" for one in content.findings or []]


def _facts(content: Content, run: RunFacts | None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if content.data:
        found.append(("Ratings", f"{sum(content.data.rows.values()):,}"))
    found += [
        (f"{key} model", f"{content.model[name]}")
        for key, name in (("Rating", "model_name"), ("Retrieval", "retrieval_model_name"))
        if name in content.model
    ]
    if content.decision:
        baseline = content.decision["baseline"]
        found.append(("Compared with", f"model {baseline['id']}" if baseline else "no earlier model"))
    if content.version:
        found.append(("Version", content.version))
    if run:
        found += [("Run", run.id), ("State", run.state)]
        if run.steps:
            found.append(("Took", f"{max(step.start + step.seconds for step in run.steps):.1f} s"))
    return found


def _rules(content: Content) -> Section | None:
    if content.decision is None:
        return None
    rules = content.decision["rules"]
    groups: dict[tuple[str, str], list[Estimate]] = {}
    for rule in rules:
        if rule["value"] is None:
            continue
        signed = rule["kind"] in ("floor", "change")
        unit = f"difference of {metric_title(rule['metric'])}" if signed else "value"
        title = f"{'Beside the floors and the last blessed model' if signed else 'Bars'}: {unit}"
        name = f"{rule['rule']} ({mark(rule)})"
        estimate = Estimate(name, rule["value"], rule["low"], rule["high"], rule["bar"], _colour(rule))
        groups.setdefault((title, unit), []).append(estimate)
    charts: list[Chart | Table] = [
        intervals(title, of, unit, signed=unit != "value") for (title, unit), of in groups.items()
    ]
    table = Table(
        ["rule", "verdict", "in words"], [[r["rule"], mark(r), r["sentence"]] for r in rules], "Every rule"
    )
    return Section(
        "decision",
        "The decision",
        "A point is a value, the bar around it its 95% interval, the stroke its threshold; a difference is the"
        " candidate's less the other's, so that of a loss what lies left of 0 is better.",
        [*charts, table],
    )


def _space(space: Space) -> Section:
    rows = [
        [
            space.titles[i],
            space.genres[i],
            "; ".join(space.titles[place] for place in near[:_SHOWN_NEIGHBOURS]),
        ]
        for i, near in enumerate(space.near[:_SHOWN_MOVIES])
    ]
    listed = Table(
        ["movie", "genres", "nearest"],
        rows,
        f"The {len(rows)} most rated movies and what is near them",
        folded=True,
    )
    return Section(
        "space",
        "The embedding space",
        "Movies by the two principal components of their vectors, at length 1, in the colour of the rarest of"
        f" their genres; the two hold {space.explained:.0%} of the variance, so that movies may be near each other"
        " here alone. Neighbours are those of all dimensions, as `marquee similar` gives them.",
        [listed] if rows else [],
        space=space,
    )


def mark(rule: dict[str, Any]) -> str:
    """What became of a rule, in words."""
    broken = "broken" if rule["action"] == "gate" else "a warning"
    return broken if rule["passed"] is False else _MARKS[rule["passed"]][0]


def _colour(rule: dict[str, Any]) -> str:
    broken = "$bad" if rule["action"] == "gate" else "$warn"
    return broken if rule["passed"] is False else _MARKS[rule["passed"]][1]
