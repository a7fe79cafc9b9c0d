"""A sweep: one key at several values, and what came of each, as a table, a CSV and a plot."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from components.shared.errors import ConfigError
from components.shared.storage import storage
from pipeline.config import PipelineConfig, load_config
from pipeline.operations.variants import Outcome, Variant, best, columns, heading, placed

# Keys that decide what happens after a sweep's last component, or where its results are: no use to sweep over them.
_WITHOUT_EFFECT = ("name", "root", "metadata", "evaluation", "serving", "blessing")
# Keys with which the validation rows or their labels differ, and so the figures of one value from those of another.
_VALIDATED_OTHERWISE = ("data", "label")


def plan(over: str, file: str | None, overrides: Sequence[str]) -> tuple[str, list[Variant]]:
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
    values: list[Variant] = []
    for one in split_values(text, key):
        try:
            config = load_config(file, [*overrides, f"{key}={one}"])
        except ConfigError as error:
            where = f"--over {key}={one}"
            if error.where and not error.where.endswith((f"key {key}", f"--set {key}={one}")):
                where += f": {error.where}"
            raise placed(error, where) from None
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
        values.append(Variant(one, config))
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
