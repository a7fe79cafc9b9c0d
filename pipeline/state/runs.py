"""What ML Metadata and the serving folder say about past runs; needs no TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher.versions import versions
from components.shared.artifacts import (
    BASELINE_MODEL,
    BLESSING,
    EVALUATOR,
    EXAMPLE_GEN,
    FIRST_SPAN,
    INFRA_VALIDATOR,
    LAST_SPAN,
    NOT_PUSHED,
    PUSHER,
    RANKING_EVALUATOR,
    RETRIEVAL,
    SERVING_VALIDATOR,
    TRAINER,
)
from components.shared.features import deciding_metric, metric_title
from pipeline.config import PipelineConfig
from pipeline.state.locking import holder
from pipeline.state.recovery import INTERRUPTED
from pipeline.state.store import open_store

_STATES = {
    mlmd.Execution.COMPLETE: "done",
    mlmd.Execution.CACHED: "cached",
    mlmd.Execution.FAILED: "failed",
    mlmd.Execution.CANCELED: "canceled",
    mlmd.Execution.RUNNING: "running",
}

# The component that ends a run. That of a sweep ends with the RankingEvaluator, and has no baseline to look for.
_LAST = PUSHER
_LAST_OF_SWEEP, _NOT_OF_SWEEP = RANKING_EVALUATOR, BASELINE_MODEL

# A Resolver's outputs are internal ones.
_OUTPUTS = (mlmd.Event.OUTPUT, mlmd.Event.INTERNAL_OUTPUT)


@dataclass(frozen=True)
class Artifact:
    """An output of a component: its folder, and its properties and custom properties together."""

    id: int
    type: str
    uri: str
    properties: dict[str, Any]


@dataclass(frozen=True)
class Node:
    """One component in one run. `outputs` has the artifacts by output key; a `resolver` runs each time.

    `started` is in seconds since 1970, `seconds` how long it took.
    """

    id: str
    state: str
    resolver: bool
    outputs: dict[str, list[Artifact]]
    started: float = 0.0
    seconds: float = 0.0

    def output(self, key: str) -> Artifact | None:
        """The only artifact of an output, None if there is none."""
        artifacts = self.outputs.get(key)
        return artifacts[0] if artifacts else None


@dataclass(frozen=True)
class Run:
    """One run of the pipeline; `nodes` in the order in which they ran; `live` while a process is at it."""

    id: str
    started: datetime
    nodes: dict[str, Node] = field(default_factory=dict)
    live: bool = False

    @property
    def state(self) -> str:
        """`done`, `cached` (every component), `failed`, `running`, or `interrupted` (its process died)."""
        states = {node.state for node in self.nodes.values() if not node.resolver}
        for state in ("failed", "canceled"):
            if state in states:
                return state
        ended = _LAST in self.nodes or (_LAST_OF_SWEEP in self.nodes and _NOT_OF_SWEEP not in self.nodes)
        if not states <= {"done", "cached"} or not ended:
            return "running" if self.live else "interrupted"
        return "done" if "done" in states else "cached"

    def summary(self) -> dict[str, Any]:
        """Figures of the run by name; those that it did not reach are missing."""
        found: dict[str, Any] = {"run": self.id, "started": self.started.isoformat(), "state": self.state}
        for node_id, key, names in (
            (
                EXAMPLE_GEN,
                "examples",
                (
                    *("num_rows", "num_users", "num_movies", "num_rejected", FIRST_SPAN, LAST_SPAN),
                    *("oldest_timestamp", "newest_timestamp"),
                ),
            ),
            (
                TRAINER,
                "model",
                (
                    "model_name",
                    "objective",
                    "tuned",
                    "warm_start",
                    "parameters",
                    "best_epoch",
                    "train_loss",
                    "val_auc",
                    "val_loss",
                    "val_ndcg@10",
                    "val_recall@10",
                    "cpu_seconds",
                    "training_cpu_seconds",
                    *(
                        f"{RETRIEVAL}{name}"
                        for name in ("model_name", "parameters", "best_epoch", "val_ndcg@10", "val_recall@10")
                    ),
                ),
            ),
            (
                EVALUATOR,
                "evaluation",
                ("auc", "log_loss", "accuracy", "calibration"),
            ),
            (
                BLESSING,
                "report",
                (
                    "failures",
                    "warnings",
                    "metric",
                    "candidate_metric",
                    "baseline_metric",
                    *(f"{RETRIEVAL}{name}" for name in ("metric", "candidate_metric", "baseline_metric")),
                    "compared_rows",
                    "left_out_rows",
                ),
            ),
        ):
            artifact = self._output(node_id, key)
            if artifact:
                found |= {name: artifact.properties[name] for name in names if name in artifact.properties}
        ranking = self._output(RANKING_EVALUATOR, "ranking")
        if ranking:
            found |= {name: ranking.properties[name] for name in ("ece",) if name in ranking.properties}
            k = found["primary_k"] = ranking.properties.get("primary_k", 10)
            for name in (f"{of}{metric}@{k}" for metric in ("ndcg", "recall") for of in ("", "popularity_")):
                if name in ranking.properties:
                    found[name] = ranking.properties[name]
            for metric in (found.get("metric", ""), found.get(f"{RETRIEVAL}metric", "")):
                if "@" in metric and metric in ranking.properties:
                    found[metric] = ranking.properties[metric]
        blessing = self._output(BLESSING, "blessing")
        if blessing:
            found["blessed"] = blessing.properties.get("blessed") == 1
            if "baseline_model_id" in blessing.properties:
                found["baseline_model_id"] = blessing.properties["baseline_model_id"]
        serving = self._output(SERVING_VALIDATOR, "blessing") or self._output(INFRA_VALIDATOR, "blessing")
        if serving:
            found["fit_for_serving"] = serving.properties.get("blessed") == 1
            found["serving_failures"] = serving.properties.get("failures", "[]")
        for name in ("failures", "warnings", "serving_failures"):
            if name in found:
                found[name] = json.loads(found[name])
        pushed = self._output(PUSHER, "pushed_model")
        if pushed and pushed.properties.get("pushed") == 1:
            found["version"] = pushed.properties["pushed_version"]
        elif pushed and NOT_PUSHED in pushed.properties:
            found[NOT_PUSHED] = pushed.properties[NOT_PUSHED]
        return found

    def _output(self, node_id: str, key: str) -> Artifact | None:
        node = self.nodes.get(node_id)
        return node.output(key) if node else None


def read_runs(config: PipelineConfig, last: int | None = None) -> list[Run]:
    """Runs of a pipeline, oldest first; none before the first one."""
    store = open_store(config)
    if not store:
        return []
    contexts = store.run_contexts()
    by, since = holder(config.pipeline_root), float("inf")
    if by and by.command in ("run", "sweep", "compare"):
        since = by.started
    elif by and by.command == "node" and contexts:
        # An orchestrator's task is of the newest run, which began with another task.
        since = contexts[-1].create_time_since_epoch / 1000
    return [_run(store.raw, context, since) for context in contexts[-last if last else 0 :]]


def decided_by(figures: Mapping[str, Any]) -> str:
    """The figures that decide, beside the baseline's where there was one: `log-loss 0.5453 (baseline 0.5460)`.

    Args:
        figures: Of `Run.summary`, or of a pushed version. Those of older versions do not name the metric.
    """
    first = deciding_metric(figures.get("objective", ""), figures.get("primary_k", 10))
    parts = []
    for prefix, default in (("", first), (RETRIEVAL, "")):
        metric = figures.get(f"{prefix}metric") or default
        value = figures.get(f"{prefix}candidate_metric", figures.get(metric))
        if value is not None:
            baseline = figures.get(f"{prefix}baseline_metric")
            beside = f" (baseline {baseline:.4f})" if baseline is not None else ""
            parts.append(f"{metric_title(metric)} {value:.4f}{beside}")
    return ", ".join(parts)


def pushed_versions(serving_model_dir: Path) -> list[Path]:
    """Folders of the pushed versions, oldest first; TensorFlow Serving serves the last."""
    return versions(serving_model_dir)


def _run(store: MetadataStore, context: mlmd.Context, live_since: float) -> Run:
    executions = sorted(store.get_executions_by_context(context.id), key=lambda execution: execution.id)
    events = store.get_events_by_execution_ids([execution.id for execution in executions])
    outputs = [event for event in events if event.type in _OUTPUTS]
    artifacts = {
        artifact.id: artifact
        for artifact in store.get_artifacts_by_id([event.artifact_id for event in outputs])
    }
    nodes = {}
    for execution in executions:
        contexts = store.get_contexts_by_execution(execution.id)
        name = next((c.name for c in contexts if c.type == "node"), str(execution.id))
        pipeline = next((c.name for c in contexts if c.type == "pipeline"), "")
        by_key: dict[str, list[Artifact]] = {}
        for event in outputs:
            if event.execution_id == execution.id:
                key = next((step.key for step in event.path.steps if step.key), "")
                by_key.setdefault(key, []).append(_artifact(artifacts[event.artifact_id]))
        node_id = name.removeprefix(f"{pipeline}.")
        nodes[node_id] = Node(
            node_id,
            _state(execution),
            execution.type.endswith(".Resolver"),
            by_key,
            execution.create_time_since_epoch / 1000,
            (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000,
        )
    started = datetime.fromtimestamp(context.create_time_since_epoch / 1000, UTC).astimezone()
    return Run(context.name, started, nodes, context.create_time_since_epoch / 1000 >= live_since)


def _state(execution: mlmd.Execution) -> str:
    # One that is taken up after an interruption goes on as the same execution.
    if execution.last_known_state == mlmd.Execution.FAILED and INTERRUPTED in execution.custom_properties:
        return "interrupted"
    return _STATES.get(execution.last_known_state, "unknown")


def _artifact(artifact: mlmd.Artifact) -> Artifact:
    properties = {}
    for name, value in [*artifact.properties.items(), *artifact.custom_properties.items()]:
        kind = value.WhichOneof("value")
        properties[name] = getattr(value, kind) if kind else None
    return Artifact(artifact.id, artifact.type, artifact.uri, properties)
