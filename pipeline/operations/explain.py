"""Why a run's model was blessed or not: the decision of the Blessing component, for `marquee explain`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.shared.artifacts import BLESSING
from components.shared.errors import ModelError
from pipeline.state.runs import Run

COLUMNS = [("rule", "left"), ("bar", "right"), ("value", "right"), ("interval", "right"), ("passed", "left")]
_FILE = "decision.json"


def find(runs: Sequence[Run], wanted: str | None) -> Run:
    """The run that is asked for.

    Args:
        runs: Oldest first.
        wanted: The beginning of a run's id or of the time at which `marquee status` says it started, or a pushed
            version; None for the last run that came to a decision.

    Raises:
        ModelError: There is none, or more than one.
    """
    decided = [run for run in runs if _report_uri(run)]
    if wanted is None:
        if decided:
            return decided[-1]
        raise ModelError(
            "No run has come to a decision yet.",
            fix="run `marquee run` first",
        )
    found = matching(runs, wanted)
    if _report_uri(found):
        return found
    raise ModelError("This run came to no decision.", found=f"{found.id}, which {found.state}")


def matching(runs: Sequence[Run], wanted: str) -> Run:
    """The run that is meant by the beginning of its id or start, or by a pushed version, whatever it came to.

    Raises:
        ModelError: There is none, or more than one.
    """
    found = [run for run in runs if wanted in (run.id, run.summary().get("version"))]
    # Of the runs that pushed nothing as nothing had changed, the first is meant: it pushed the version.
    found = found[:1] or [
        run
        for run in runs
        if run.id.startswith(wanted) or f"{run.started:%Y-%m-%d %H:%M:%S}".startswith(wanted)
    ]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(run.id for run in (found or runs)[-5:])
    raise ModelError(
        f"{len(found)} runs are meant by this." if found else "There is no such run.",
        found=repr(wanted),
        expected=f"the beginning of a run's id, such as {shown}" if shown else "a run, but there is none yet",
        fix="`marquee status --json` lists the runs",
    )


def decision(run: Run) -> dict[str, Any]:
    """The content of the run's decision.json, with the run's id.

    Raises:
        ModelError: The file is gone.
    """
    path = Path(_report_uri(run) or "") / _FILE
    try:
        return {"run": run.id, **json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError) as error:
        raise ModelError(
            "The decision of this run cannot be read.", where=str(path), found=str(error)
        ) from None


def table(decided: dict[str, Any]) -> list[list[str]]:
    """A row for each rule, in the order of COLUMNS."""
    rows = []
    for rule in decided["rules"]:
        bar = "-" if rule["bar"] is None else f"{'>=' if rule['at_least'] else '<='} {rule['bar']:g}"
        signed = "+" if rule["kind"] in ("floor", "change") else ""
        value, low, high = (
            "-" if rule[key] is None else f"{rule[key]:{signed}.4f}" for key in ("value", "low", "high")
        )
        name = rule["rule"] + (f" ({rule['metric']})" if rule["kind"] == "floor" else "")
        passed = {True: "yes", None: "-"}.get(rule["passed"], "NO" if rule["action"] == "gate" else "warning")
        rows.append([name, bar, value, "-" if low == "-" else f"[{low}, {high}]", passed])
    return rows


def sentences(decided: dict[str, Any]) -> list[str]:
    """The verdict, then the rules in words, broken ones first."""
    verdict = "Blessed" if decided["blessed"] else "Not blessed"
    lines = [
        f"{verdict}: model {decided['model']['id']}, {_beside(decided)}; objective {decided['objective']}."
    ]
    order = sorted(decided["rules"], key=lambda rule: [False, None, True].index(rule["passed"]))
    return lines + [f"  - {rule['rule']}: {rule['sentence']} ({_mark(rule)})" for rule in order]


def _mark(rule: dict[str, Any]) -> str:
    broken = "broken" if rule["action"] == "gate" else "a warning"
    return {False: broken, None: "nothing to decide", True: "holds"}[rule["passed"]]


def _beside(decided: dict[str, Any]) -> str:
    if not decided["baseline"]:
        return "the first, with no baseline"
    baseline = f"compared with model {decided['baseline']['id']}"
    # Decisions of earlier versions were on the whole test split, and do not count its rows.
    rows, left_out = decided.get("compared_rows"), decided.get("left_out_rows", 0)
    if rows == 0:
        return f"not {baseline}"
    return baseline + (f" on {rows:,} of {rows + left_out:,} test rows" if rows and left_out else "")


def _report_uri(run: Run) -> str | None:
    node = run.nodes.get(BLESSING)
    report = node.output("report") if node else None
    return report.uri if report else None
