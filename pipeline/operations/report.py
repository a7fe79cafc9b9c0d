"""The report of a run, of whatever it has come to: one HTML file under the pipeline's root."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from components.report.content import Made, RunFacts, Step, gather
from components.report.page import Report, render
from components.report.sections import report as of_content
from components.report.sweep_section import Sweep
from components.shared.artifacts import (
    BASE_MODEL,
    BASELINE_MODEL,
    DATA_BASELINE,
    EXAMPLE_GEN,
    TRAINER,
    TUNED_VALUES,
)
from components.shared.storage import storage, write_aside
from pipeline.config import PipelineConfig, describe
from pipeline.state.runs import Run

_STACK = (
    "marquee",
    "tfx",
    "tensorflow",
    "keras",
    "tensorflow-transform",
    "tensorflow-data-validation",
    "tensorflow-model-analysis",
    "apache-beam",
    "ml-metadata",
    "numpy",
    "pyarrow",
)


def path_of(config: PipelineConfig, run: Run) -> Path:
    """The file of a run's report."""
    return config.report_dir / f"{run.id.replace(':', '-')}.html"  # a colon is no part of a name everywhere


def write(
    config: PipelineConfig, runs: Sequence[Run], run: Run, error: str = "", current: bool = False
) -> Path:
    """Writes the report of a run.

    Args:
        config: Of the pipeline.
        runs: All of it, oldest first, or the last ones up to this one.
        run: Which.
        error: Why it did not come to its end.
        current: Whether `config` is what the run ran with; it is kept for the reports of later ones then.

    Raises:
        StorageError: The root cannot be written.
    """
    path = path_of(config, run)
    page = render(config.name, [report(config, runs, run, error, current)])
    with storage(path, "The report cannot be written."):
        if current:
            record = {"config": _configuration(config), "error": error, "versions": _versions()}
            write_aside(_record_of(config, run), json.dumps(record, indent=1))
        write_aside(path, page)
    return path


def write_beside(config: PipelineConfig, runs: Sequence[Run], run: Run, other: Run) -> Path:
    """Writes a report of two runs, one beside the other.

    Raises:
        StorageError: The root cannot be written.
    """
    path = path_of(config, run).with_name(f"{path_of(config, run).stem}-beside-{path_of(config, other).name}")
    page = render(config.name, [report(config, runs, one) for one in (run, other)])
    with storage(path, "The report cannot be written."):
        write_aside(path, page)
    return path


def report(
    config: PipelineConfig, runs: Sequence[Run], run: Run, error: str = "", current: bool = False
) -> Report:
    """What the report of a run says; arguments as of `write`."""
    outputs: dict[str, dict[str, Made]] = {
        node.id: {key: made[0] for key, made in node.outputs.items() if made} for node in run.nodes.values()
    }
    model = outputs.get(TRAINER, {}).get("model")
    label = model.properties.get("min_rating", config.label.min_rating) if model else config.label.min_rating
    return of_content(gather(outputs, float(label)), _facts(config, runs, run, error, current, outputs))


def _facts(
    config: PipelineConfig,
    runs: Sequence[Run],
    run: Run,
    error: str,
    current: bool,
    outputs: Mapping[str, Mapping[str, Made]],
) -> RunFacts:
    began = min((node.started for node in run.nodes.values()), default=0.0)
    record = _record(config, run)
    own: Mapping[str, str] = _configuration(config) if current else record.get("config", {})
    earlier = [_record(config, one).get("config") for one in runs if one.started < run.started]
    last = next((one for one in reversed(earlier) if one), None)
    changed = (
        {
            key: (last.get(key, "-"), own.get(key, "-"))
            for key in dict.fromkeys([*own, *last])
            if last.get(key) != own.get(key)
        }
        if last and own
        else {}
    )
    return RunFacts(
        id=run.id,
        started=f"{run.started:%Y-%m-%d %H:%M:%S}",
        state=run.state,
        steps=[Step(node.id, node.state, node.started - began, node.seconds) for node in run.nodes.values()],
        lineage=_lineage(outputs),
        config=own,
        changed=changed,
        versions=_versions() if current else record.get("versions", {}),
        error=error or record.get("error", ""),
        sweeps=_sweeps(config),
    )


def _sweeps(config: PipelineConfig) -> list[Sweep]:
    """What `marquee sweep` has left, see `pipeline.operations.sweep`."""
    folder = config.pipeline_root.with_name(f"{config.name}-sweep") / "sweeps"
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        found.append(Sweep(path.stem, header, rows))
    return found


def _lineage(outputs: Mapping[str, Mapping[str, Made]]) -> list[tuple[str, str]]:
    found = []
    for node, key, what in (
        (EXAMPLE_GEN, "examples", "learns from and is tested on"),
        (DATA_BASELINE, "examples", "data of the last blessed model"),
        (TUNED_VALUES, "hyperparameters", "tuned values"),
        (BASE_MODEL, "model", "model to start from"),
        (TRAINER, "model", "candidate"),
        (BASELINE_MODEL, "model", "last blessed model"),
    ):
        made = outputs.get(node, {}).get(key)
        if made:
            found.append((what, f"{key} {made.id}: {made.uri}"))
        elif node in outputs:
            found.append((what, "none"))
    model = outputs.get(TRAINER, {}).get("model")
    start = model.properties.get("warm_start") if model else None
    return [*found, ("warm start", str(start))] if start else found


def _configuration(config: PipelineConfig) -> dict[str, str]:
    return {key: json.dumps(value, default=_plain) for key, value, _ in describe(config)}


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


def _record_of(config: PipelineConfig, run: Run) -> Path:
    return path_of(config, run).with_suffix(".json")


def _record(config: PipelineConfig, run: Run) -> dict[str, Any]:
    """What was kept beside the report of a run; empty where nothing was."""
    path = _record_of(config, run)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in _STACK:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
