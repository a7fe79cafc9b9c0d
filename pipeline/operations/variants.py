"""Variants of a pipeline, trained one after another: what came of each, and which is best by validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.shared.artifacts import RANKING_EVALUATOR, TRAINER, of_retrieval
from components.shared.errors import ConfigError
from pipeline.config import PipelineConfig
from pipeline.operations.outcome import ExitCode
from pipeline.state.runs import Run

_PLOTS = (".png", ".svg", ".pdf")

# Custom properties of the model -> headings, in the order of the columns: how good it is, and what it took; between
# them come the figures of the ranking. `train_loss` is the plain log-loss; `loss`, which stands in for it, has the
# penalties in it.
_QUALITY = {
    "train_loss": "train loss",
    "loss": "train loss + L2",
    "val_loss": "val loss",
    "train_auc": "train AUC",
    "val_auc": "val AUC",
    "val_ndcg@10": "val NDCG@10",
}
_EFFORT = {"best_epoch": "epoch", "epochs": "epochs", "parameters": "parameters", "cpu_seconds": "CPU s"}
_OF_MODEL = {**_QUALITY, **_EFFORT}
TRAINING_CPU, TEST = "training_cpu_seconds", "test_"
# By which a variant is best: the first that every variant has. All are of the validation rows; test has no say.
_CRITERIA = (("val_ndcg@10", 1), ("val_auc", 1), ("val_loss", -1))


@dataclass(frozen=True)
class Variant:
    """What is told apart, as it was typed, and the configuration with it."""

    text: str
    config: PipelineConfig


@dataclass(frozen=True)
class Outcome:
    """What came of a variant.

    Attributes:
        value: What it is told apart by, as it was typed.
        state: `done`, `cached` or `failed`.
        seconds: Wall time.
        figures: By name; none where it failed.
        error: What went wrong, and
        component: in which component.
        code: With what `marquee run` would have ended.
        ranking: Folder of the RankingEvaluator's output.
    """

    value: str
    state: str
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)
    error: str = ""
    component: str = ""
    code: ExitCode = ExitCode.DONE
    ranking: str = ""


def placed(error: ConfigError, where: str) -> ConfigError:
    """The same error, in the option that brought it about."""
    return ConfigError(error.problem, where=where, found=error.found, expected=error.expected, fix=error.fix)


def check_output(path: Path, option: str) -> None:
    """That a result can be written there, before hours are spent on it.

    Raises:
        ConfigError: There is no such folder, or no plot has this suffix.
    """
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise ConfigError(
            "The result cannot be written there.",
            where=f"{option} {path}",
            found="a folder" if path.is_dir() else f"no folder {path.parent}",
            expected="a file in a folder that is there",
        )
    if option == "--plot" and path.suffix.lower() not in _PLOTS:
        raise ConfigError(
            "A plot has no such format.", where=f"{option} {path}", expected=f"one of {', '.join(_PLOTS)}"
        )


def outcome(value: str, run: Run, seconds: float) -> Outcome:
    """The figures that the Trainer and the RankingEvaluator have recorded."""
    evaluated = run.nodes[RANKING_EVALUATOR].output("ranking")
    model, ranking = (
        artifact.properties if artifact else {}
        for artifact in (run.nodes[TRAINER].output("model"), evaluated)
    )
    both = of_retrieval(model) | model
    figures = {name: both[name] for name in (*_OF_MODEL, TRAINING_CPU) if name in both}
    if "train_loss" in figures:
        figures.pop("loss", None)
    k = ranking.get("primary_k", 10)
    for metric in (f"ndcg@{k}", f"recall@{k}", "auc", "log_loss"):
        if metric in ranking:
            figures[f"{TEST}{metric}"] = ranking[metric]
    # An AUC of one class alone is NaN.
    figures = {name: figure for name, figure in figures.items() if math.isfinite(figure)}
    return Outcome(value, run.state, seconds, figures, ranking=evaluated.uri if evaluated else "")


def sentence(done: Outcome) -> str:
    """The figures of one variant in a line."""
    shown = [name for name in columns([done]) if name not in _EFFORT or name == "best_epoch"]
    return ", ".join(f"{heading(name)} {cell(done, name)}" for name in shown)


def best(outcomes: Sequence[Outcome]) -> tuple[str, Outcome] | None:
    """The metric of the validation rows by which variants are compared, and the best; None if none has finished."""
    finished = [one for one in outcomes if one.state != "failed"]
    for metric, sign in _CRITERIA:
        if finished and all(metric in one.figures for one in finished):
            return metric, max(finished, key=lambda one: sign * one.figures[metric])
    return None


def columns(outcomes: Sequence[Outcome]) -> list[str]:
    """Names of the figures that at least one variant has."""
    found = dict.fromkeys(name for one in outcomes for name in one.figures)
    of_ranking = [name for name in found if name.startswith(TEST)]
    return [name for name in (*_QUALITY, *of_ranking, *_EFFORT) if name in found]


def heading(name: str) -> str:
    """How a figure is called in the table."""
    if name in _OF_MODEL:
        return _OF_MODEL[name]
    metric = name.removeprefix(TEST)
    return {"auc": "test AUC", "log_loss": "test loss"}.get(metric, metric.replace("ndcg", "NDCG"))


def cell(one: Outcome, name: str) -> str:
    """A figure of an outcome as the table has it."""
    if name not in one.figures:
        return "-"
    figure = one.figures[name]
    if name == "best_epoch":
        return f"{figure} of {one.figures.get('epochs', '-')}"
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.{1 if name in _EFFORT else 4}f}"
