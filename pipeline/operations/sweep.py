"""A sweep: one key at several values, and what came of each, as a table, a CSV and a plot."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from components.shared.artifacts import RANKING_EVALUATOR, RETRIEVAL, TRAINER
from components.shared.errors import ConfigError
from components.shared.storage import storage
from pipeline.config import PipelineConfig, load_config
from pipeline.state.runs import Run

# Keys that decide what happens after a sweep's last component, or where its results are: no use to sweep over them.
_WITHOUT_EFFECT = ("name", "root", "metadata", "evaluation", "serving", "blessing")
# Keys with which the validation rows or their labels differ, and so the figures of one value from those of another.
_VALIDATED_OTHERWISE = ("data", "label")
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
# By which a value is best: the first that every value has. All are of the validation rows; test has no say.
_CRITERIA = (("val_ndcg@10", 1), ("val_auc", 1), ("val_loss", -1))


@dataclass(frozen=True)
class Value:
    """One value of the key, as it was typed, and the configuration with it."""

    text: str
    config: PipelineConfig


@dataclass(frozen=True)
class Outcome:
    """What came of a value: `state` is `done`, `cached` or `failed`; figures by name, none where it failed."""

    value: str
    state: str
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)
    error: str = ""


def plan(over: str, file: str | None, overrides: Sequence[str]) -> tuple[str, list[Value]]:
    """The key and its values, all of which are allowed.

    The configurations are those of one pipeline, `<name>-sweep`, so that they share a cache and are never mistaken
    for what is served.

    Args:
        over: `key=value,value,...`: YAML, split at the commas outside of brackets and quotes.
        file: As of `load_config`.
        overrides: As of `load_config`; the key's value comes after them.

    Raises:
        ConfigError: The key or a value is not allowed, or a value is there twice.
    """
    key, equals, text = (part.strip() for part in over.partition("="))
    if not equals or not key:
        raise ConfigError(
            "What to sweep over is not of the form KEY=V1,V2,...",
            where="--over",
            found=repr(over),
            expected="for example --over model.embedding_dim=8,16,32",
        )
    if key.split(".")[0] in _WITHOUT_EFFECT:
        raise ConfigError(
            f"A sweep over {key!r} would show nothing.",
            where=f"--over {over}",
            expected="a key that the data, the training or the ranking depend on",
            fix="`marquee config` shows all keys; a sweep ends before models are compared, blessed and pushed",
        )
    values: list[Value] = []
    for one in split_values(text, key):
        try:
            config = load_config(file, [*overrides, f"{key}={one}"])
        except ConfigError as error:
            where = f"--over {key}={one}"
            if error.where and not error.where.endswith((f"key {key}", f"--set {key}={one}")):
                where += f": {error.where}"
            raise ConfigError(
                error.problem, where=where, found=error.found, expected=error.expected, fix=error.fix
            ) from None
        name = values[0].config.name if values else f"{config.name}-sweep"
        config = config.model_copy(update={"name": name, **_only(config, key)})
        same = next((value.text for value in values if value.config == config), None)
        if same is not None:
            raise ConfigError(
                "A value is there twice.",
                where=f"--over {key}",
                found=f"{same} and {one}",
                fix="leave one out",
            )
        values.append(Value(one, config))
    return key, values


def _only(config: PipelineConfig, key: str) -> dict[str, Any]:
    """The other model, of which a sweep over a key of one says nothing, is not trained."""
    if key.startswith("model.") or config.retrieval is None:
        return {"retrieval": None}
    return {"model": config.retrieval, "retrieval": None} if key.startswith("retrieval.") else {}


def split_values(text: str, key: str) -> list[str]:
    """The values as they were typed, e.g. `[64],[128,64]` -> `[64]` and `[128,64]`."""
    listed = f"[{text}]"
    try:
        node = yaml.compose(listed, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(
            "The values are not YAML separated by commas.",
            where=f"--over {key}",
            found=repr(text),
            expected="for example 8,16,32 or [64],[128,64]",
            fix="""quote a value that has signs of YAML in it, for example --over 'data.delimiter=",","|"'""",
        ) from None
    assert isinstance(node, yaml.SequenceNode)
    values = [listed[item.start_mark.index : item.end_mark.index] for item in node.value]
    if not values:
        raise ConfigError("There is no value to sweep over.", where=f"--over {key}", found="nothing after =")
    return values


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
    model, ranking = (
        artifact.properties if artifact else {}
        for artifact in (
            run.nodes[TRAINER].output("model"),
            run.nodes[RANKING_EVALUATOR].output("ranking"),
        )
    )
    second = {
        name.removeprefix(RETRIEVAL): value for name, value in model.items() if name.startswith(RETRIEVAL)
    }
    figures = {name: (second | model)[name] for name in _OF_MODEL if name in second | model}
    if "train_loss" in figures:
        figures.pop("loss", None)
    k = ranking.get("primary_k", 10)
    for metric in (f"ndcg@{k}", f"recall@{k}", "auc", "log_loss"):
        if metric in ranking:
            figures[f"test_{metric}"] = ranking[metric]
    # An AUC of one class alone is NaN.
    figures = {name: figure for name, figure in figures.items() if math.isfinite(figure)}
    return Outcome(value, run.state, seconds, figures)


def sentence(done: Outcome) -> str:
    """The figures of one value in a line."""
    shown = [name for name in columns([done]) if name not in _EFFORT or name == "best_epoch"]
    return ", ".join(f"{heading(name)} {cell(done, name)}" for name in shown)


def best(outcomes: Sequence[Outcome]) -> tuple[str, Outcome] | None:
    """The metric of the validation rows by which values are compared, and the best; None if none has finished."""
    finished = [one for one in outcomes if one.state != "failed"]
    for metric, sign in _CRITERIA:
        if finished and all(metric in one.figures for one in finished):
            return metric, max(finished, key=lambda one: sign * one.figures[metric])
    return None


def columns(outcomes: Sequence[Outcome]) -> list[str]:
    """Names of the figures that at least one value has."""
    found = dict.fromkeys(name for one in outcomes for name in one.figures)
    of_ranking = [name for name in found if name not in _OF_MODEL]
    return [name for name in (*_QUALITY, *of_ranking, *_EFFORT) if name in found]


def heading(name: str) -> str:
    """How a figure is called in the table."""
    if name in _OF_MODEL:
        return _OF_MODEL[name]
    metric = name.removeprefix("test_")
    return {"auc": "test AUC", "log_loss": "test loss"}.get(metric, metric.replace("ndcg", "NDCG"))


def notes(key: str, outcomes: Sequence[Outcome]) -> list[str]:
    """What a reader has to know not to misread the table."""
    found = []
    if "loss" in columns(outcomes):
        found.append(
            "The train loss has the L2 penalties in it, so it is no measure of overfitting beside the val loss."
        )
    if key.split(".")[0] in _VALIDATED_OTHERWISE and len(outcomes) > 1:
        found.append(
            f"With another {key} the validation and test rows or their labels may be others: compare with care."
        )
    return found


def as_json(key: str, pipeline: str, outcomes: Sequence[Outcome], file: Path) -> dict[str, Any]:
    """The same for programs."""
    chosen = best(outcomes)
    return {
        "pipeline": pipeline,
        "key": key,
        "best": {"value": chosen[1].value, "metric": chosen[0]} if chosen else None,
        "values": [vars(one) for one in outcomes],
        "notes": notes(key, outcomes),
        "csv": str(file),
    }


def write_csv(path: Path, key: str, outcomes: Sequence[Outcome]) -> None:
    """Writes a row a value: the value, its state and seconds, its figures as they are recorded, its error."""
    names = columns(outcomes)
    with storage(path, "The results of the sweep cannot be written."):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow([key, "state", "seconds", *names, "error"])
            for one in outcomes:
                figures = [one.figures.get(name, "") for name in names]
                rows.writerow([one.value, one.state, f"{one.seconds:.1f}", *figures, one.error])


def write_plot(path: Path, key: str, outcomes: Sequence[Outcome]) -> None:
    """Plots losses, AUC and ranking metrics against the values; the line across is at the best one."""
    # Not pyplot, which would look for a screen.
    from matplotlib.figure import Figure

    finished = [one for one in outcomes if one.state != "failed"]
    names = columns(finished)
    panels = [
        (title, [name for name in names if any(part in name for part in parts)])
        for title, parts in (("log-loss", ("loss",)), ("AUC", ("auc",)), ("ranking", ("ndcg", "recall")))
    ]
    panels = [(title, shown) for title, shown in panels if shown]
    positions, logarithmic = _positions([one.value for one in finished])
    order = sorted(range(len(finished)), key=positions.__getitem__)
    ticks = [positions[i] for i in order]
    chosen = best(finished)
    figure = Figure(figsize=(4.5 * max(len(panels), 1), 3.6), layout="constrained")
    axes = figure.subplots(1, max(len(panels), 1), squeeze=False)[0]
    for axis, (title, shown) in zip(axes, panels, strict=False):
        for name in shown:
            heights = [finished[i].figures.get(name, math.nan) for i in order]
            axis.plot(ticks, heights, marker="o", color=_colour(name), label=heading(name))
        if chosen:
            axis.axvline(positions[finished.index(chosen[1])], color="grey", linestyle=":", linewidth=1)
        if logarithmic:
            axis.set_xscale("log", base=2)
        axis.set_xticks(ticks, [finished[i].value for i in order])
        axis.minorticks_off()
        axis.set(title=title, xlabel=key)
        axis.legend(fontsize="small")
    with storage(path, "The plot of the sweep cannot be written."):
        figure.savefig(path, dpi=120)


def _colour(name: str) -> str:
    """Train, validation and test look the same in every panel."""
    if name == "loss" or name.startswith("train_"):
        return "C0"
    return "C1" if name.startswith("val_") else "C3" if "recall" in name else "C2"


def _positions(values: Sequence[str]) -> tuple[list[float], bool]:
    """Where the values are on the axis, and whether it is logarithmic; in their order if they are not numbers."""
    parsed = [yaml.safe_load(value) for value in values]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in parsed):
        return [float(i) for i in range(len(values))], False
    low, high = min(parsed, default=0), max(parsed, default=0)
    return [float(one) for one in parsed], low > 0 and high / low >= 8


def cell(one: Outcome, name: str) -> str:
    """A figure of an outcome as the table has it."""
    if name not in one.figures:
        return "-"
    figure = one.figures[name]
    if name == "best_epoch":
        return f"{figure} of {one.figures.get('epochs', '-')}"
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.{1 if name in _EFFORT else 4}f}"
