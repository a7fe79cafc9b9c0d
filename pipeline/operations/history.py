"""What has been pushed and why; needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from components.pusher import versions
from components.shared.artifacts import FORCED, PUSH, ROLLBACK
from components.shared.features import deciding_metric
from pipeline.config import PipelineConfig
from pipeline.state import repair
from pipeline.state.runs import read_runs
from pipeline.state.store import Store, properties


@dataclass(frozen=True)
class Release:
    """One version that has ever been pushed.

    Args:
        state: `served`, `kept`, or `removed`.
        kind: `push`, `forced` or `rollback`.
    """

    version: str
    state: str
    kind: str
    run_id: str
    pushed_at: str
    model_id: int
    blessing_id: int
    objective: str
    metric: str
    retrieval_metric: str
    metrics: dict[str, float]
    data_span: int | None
    first_span: str
    last_span: str
    oldest_timestamp: int | None
    newest_timestamp: int | None
    of_version: str
    reason: str
    by: str

    @property
    def figures(self) -> dict[str, Any]:
        """What `decided_by` looks at."""
        return {
            "objective": self.objective,
            "metric": self.metric,
            "retrieval_metric": self.retrieval_metric,
            **self.metrics,
        }

    @property
    def blessing(self) -> str:
        """Why it was let through, in words."""
        why = f" by {self.by}" if self.by else ""
        why += f": {self.reason}" if self.reason else ""
        if self.kind == FORCED:
            return f"forced{why}"
        if self.kind == ROLLBACK:
            return f"rollback to {self.of_version}{why}"
        return "passed"


def history(config: PipelineConfig, store: Store | None) -> list[Release]:
    """Every version ever pushed, oldest first, also those that are gone."""
    present = versions.versions(config.serving_model_dir, repair.pushes(store))
    served = present[-1].name if present else ""
    found: dict[str, dict[str, Any]] = {}
    blessings = {
        of["pushed_version"]: artifact.id
        for artifact in (store.artifacts("ModelBlessing") if store else [])
        if (of := properties(artifact)).get("pushed_version")
    }
    for artifact in store.artifacts("PushedModel") if store else []:
        of = properties(artifact)
        if of.get("pushed") == 1:
            of["metrics"] = {name: value for name, value in of.items() if isinstance(value, float)}
            # The first record is the push; a later one of the same version can only complete it.
            found[of["pushed_version"]] = of | found.get(of["pushed_version"], {})
    for path in present:
        marker = versions.read_marker(path)
        found.setdefault(path.name, (vars(marker) | {"pushed_version": path.name}) if marker else {})
    here = {path.name for path in present}
    releases = [
        Release(
            version,
            "served" if version == served else "kept" if version in here else "removed",
            of.get("kind", PUSH),
            of.get("run_id", ""),
            of.get("pushed_at", ""),
            of.get("model_id", 0),
            of.get("blessing_id") or blessings.get(version, 0),
            of.get("objective", ""),
            of.get("metric", ""),
            of.get("retrieval_metric", ""),
            of.get("metrics", {}),
            of.get("data_span"),
            of.get("first_span", ""),
            of.get("last_span", ""),
            of.get("oldest_timestamp"),
            of.get("newest_timestamp"),
            of.get("of_version", ""),
            of.get("reason", ""),
            of.get("by", ""),
        )
        for version, of in sorted(found.items(), key=lambda item: int(item[0]))
    ]
    if all(one.metric for one in releases):
        return releases
    # Pushed by an earlier version of this program: what decided is known of the run.
    runs = {run.id: run.summary() for run in read_runs(config)}
    return [one if one.metric else _judged(one, runs.get(one.run_id, {})) for one in releases]


def _judged(release: Release, summary: dict[str, Any]) -> Release:
    if "objective" not in summary:
        return release
    metric = summary.get("metric") or deciding_metric(summary["objective"], summary.get("primary_k", 10))
    of_run = {metric: summary[metric]} if metric in summary else {}
    return replace(release, objective=summary["objective"], metric=metric, metrics=of_run | release.metrics)


def forced(releases: list[Release]) -> list[Release]:
    """Those whose model was let through by force, also those that go back to one."""
    by_version = {one.version: one for one in releases}
    return [one for one in releases if origin(one, by_version).kind == FORCED]


def origin(release: Release, by_version: dict[str, Release]) -> Release:
    """The push that a rollback goes back to; itself if it is none."""
    while release.kind == ROLLBACK and release.of_version in by_version:
        release = by_version[release.of_version]
    return release
