"""What is known of a run, as one plain structure: read from the files of its artifacts, whichever there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from components.report.data import DataFacts, describe
from components.report.people import Person, people
from components.report.space import Space, space
from components.report.sweep_section import Sweep
from components.shared.artifacts import (
    ANSWERS_FILE,
    BLESSING,
    DATA_BASELINE,
    DATA_GATE,
    DECISION_FILE,
    EXAMPLE_GEN,
    FINDINGS_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    PUSHER,
    RANKING_EVALUATOR,
    REPORT_FILE,
    SERVING_VALIDATOR,
    TRAINER,
)


class Made(Protocol):
    """An artifact: its folder, and its properties of both kinds together."""

    @property
    def id(self) -> int: ...

    @property
    def uri(self) -> str: ...

    @property
    def properties(self) -> Mapping[str, Any]: ...


# Node -> output key -> the artifact.
Outputs = Mapping[str, Mapping[str, Made]]


@dataclass(frozen=True)
class Step:
    """A component in a run: its state as `marquee run` prints it, and when it started and ended, seconds since then."""

    name: str
    state: str
    start: float
    seconds: float


@dataclass(frozen=True)
class RunFacts:
    """What ML Metadata and the command know of a run beside its artifacts.

    Attributes:
        id: The run's.
        started: As `marquee status` prints it.
        state: `Run.state`.
        steps: In the order in which they started.
        lineage: What of it comes from where, in words: name and value.
        config: Key -> value, as JSON; empty where it is not known.
        changed: Key -> the value in the last run before and in this one.
        versions: Library -> version.
        error: Of a run that did not come to its end, why.
        sweeps: Those of the pipeline, whichever run they were beside.
    """

    id: str
    started: str
    state: str
    steps: list[Step] = field(default_factory=list)
    lineage: list[tuple[str, str]] = field(default_factory=list)
    config: Mapping[str, str] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    sweeps: list[Sweep] = field(default_factory=list)


@dataclass(frozen=True)
class Content:
    """What the files of a run say; None or empty for what it did not reach.

    Attributes:
        decision: decision.json.
        serving: report.json of the serving validator.
        findings: findings.json of the data gate; None where it did not come to them.
        data: Of the examples, and `baseline` the same of the last blessed run's.
        training: history.json, an entry a model.
        model: Properties of the model.
        ranking: metrics.json.
        space: The map of the movies.
        people: Sample users.
        pushed: Whether the Pusher has pushed the model.
        version: The pushed one.
    """

    decision: dict[str, Any] | None = None
    serving: dict[str, Any] | None = None
    findings: list[dict[str, Any]] | None = None
    data: DataFacts | None = None
    baseline: DataFacts | None = None
    training: list[dict[str, Any]] = field(default_factory=list)
    model: Mapping[str, Any] = field(default_factory=dict)
    ranking: dict[str, Any] | None = None
    space: Space | None = None
    people: list[Person] = field(default_factory=list)
    pushed: bool | None = None
    version: str = ""


def gather(outputs: Outputs, min_rating: float) -> Content:
    """Reads what there is.

    Args:
        outputs: What the components have made.
        min_rating: From which rating on a movie is liked.
    """
    examples, movies = _made(outputs, EXAMPLE_GEN, "examples"), _made(outputs, EXAMPLE_GEN, "movies")
    before = _made(outputs, DATA_BASELINE, "examples")
    model_run = _made(outputs, TRAINER, "model_run")
    answers = _json(_made(outputs, RANKING_EVALUATOR, "ranking"), ANSWERS_FILE) or {}
    model, pushed = _made(outputs, TRAINER, "model"), _made(outputs, PUSHER, "pushed_model")
    return Content(
        decision=_json(_made(outputs, BLESSING, "report"), DECISION_FILE),
        serving=_json(_made(outputs, SERVING_VALIDATOR, "blessing"), REPORT_FILE),
        findings=_json(_made(outputs, DATA_GATE, "verdict"), FINDINGS_FILE),
        data=describe(examples.uri, examples.properties, min_rating) if examples else None,
        baseline=describe(before.uri, before.properties, min_rating) if before else None,
        training=_json(model_run, HISTORY_FILE) or [],
        model=model.properties if model else {},
        ranking=_json(_made(outputs, RANKING_EVALUATOR, "ranking"), METRICS_FILE),
        space=space(Path(model_run.uri), answers.get("neighbours", {})) if model_run else None,
        people=people(answers.get("users", []), examples.uri, movies.uri, min_rating)
        if examples and movies
        else [],
        pushed=pushed.properties.get("pushed") == 1 if pushed else None,
        version=str(pushed.properties.get("pushed_version", "")) if pushed else "",
    )


def _made(outputs: Outputs, node: str, key: str) -> Made | None:
    return outputs.get(node, {}).get(key)


def _json(made: Made | None, name: str) -> Any:
    """A file of an artifact; None where either is not there, or no longer."""
    path = Path(made.uri) / name if made else None
    if path is None or not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))
