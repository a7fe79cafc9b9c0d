"""What a comparison of models finds under one question: figures, paired differences, a sentence; as JSON, CSV, plot."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from components.ranking.bootstrap import Estimate
from components.ranking.evaluation import AUC, CANDIDATE, LOG_LOSS
from components.ranking.figures import Figures
from components.ranking.settings import RankingSettings
from components.shared.artifacts import PER_USER_FILE
from components.shared.features import metric_title
from components.shared.storage import storage
from pipeline.operations.variants import TRAINING_CPU, Outcome, best

BEST, WITHIN_CHANCE, WORSE, BETTER, FAILED = "best", "within chance", "worse", "better", "failed"
# What the others are held against in words, and a pair of which the second has genres beside what the first has.
_PLAIN, _WITHOUT_GENRES, _WITH_GENRES = "dot_product", "mlp", "genre_mlp"
_COUNTS = ("num_test", "num_liked", "num_positives")
# Of floors whose name in the artifact is not what they are called.
_FLOORS = {"ease": "EASE", "item_knn": "ItemKNN", "bias_genre_logistic_regression": "user x genre regression"}
AGAINST = {"cpu": (TRAINING_CPU, "training, CPU seconds"), "parameters": ("parameters", "parameters")}


@dataclass(frozen=True)
class Row:
    """A model, or a floor.

    Attributes:
        name: As the table has it.
        outcome: Of its training; None of a floor.
        figures: By metric, of the test split.
        differences: By metric, less the best model's, paired; none of the best itself.
        verdict: By the first metric: one of BEST and so on; empty where there is nothing to say.
    """

    name: str
    outcome: Outcome | None
    figures: Mapping[str, Estimate] = field(default_factory=dict)
    differences: Mapping[str, Estimate] = field(default_factory=dict)
    verdict: str = ""


@dataclass(frozen=True)
class Answer:
    """What is known under one question.

    Attributes:
        objective: The question.
        metrics: The one that decides, more being better, and a second.
        confidence: Level of the intervals.
        users: How many the figures are of.
        rows: Models and floors, best first, what failed last.
        chosen: The metric of the validation rows by which a model is to be taken, and the outcome of that model.
        sentence: What it brings to put something else than a dot product on the embeddings.
    """

    objective: str
    metrics: tuple[str, str]
    confidence: float
    users: int
    rows: Sequence[Row]
    chosen: tuple[str, Outcome] | None
    sentence: str


def answer(objective: str, outcomes: Sequence[Outcome], settings: RankingSettings) -> Answer:
    """Holds the models against the best of them, and the floors with them.

    Args:
        objective: The question.
        outcomes: Of the models that have been trained so far.
        settings: With which they have been evaluated.
    """
    ranked = (f"ndcg@{settings.primary_k}", f"recall@{settings.primary_k}")
    metrics = ranked if objective == "interaction" else (AUC, LOG_LOSS)
    first = metrics[0]
    outcomes, columns = _on_the_same_rows(outcomes)
    finished = {one.value: one for one in outcomes if one.state != FAILED}
    failed = [Row(one.value, one, verdict=FAILED) for one in outcomes if one.state == FAILED]
    if not finished:
        return Answer(objective, metrics, settings.confidence, 0, failed, None, "")
    figures = Figures(columns, ranked, settings)
    floors = [name for name in _floors(columns, objective, first) if figures.has(name, first)]
    values = {
        name: {metric: figures.of(name, metric) for metric in metrics if figures.has(name, metric)}
        for name in (*finished, *floors)
    }

    def difference(name: str, other: str, metric: str = first) -> Estimate:
        return figures.estimate(values[name][metric] - values[other][metric])

    order = sorted(values, key=lambda name: -_finite(values[name][first][0]))
    top = next((name for name in order if name in finished and math.isfinite(values[name][first][0])), None)
    rows = []
    for name in order:
        differences = {m: difference(name, top, m) for m in values[name]} if top and name != top else {}
        rows.append(
            Row(
                name
                if name in finished
                else _FLOORS.get(name, name.replace("logistic_", "").replace("_", " ")),
                finished.get(name),
                {metric: figures.estimate(of) for metric, of in values[name].items()},
                differences,
                BEST if name == top else _verdict(differences.get(first)),
            )
        )
    counted = columns["num_positives" if objective == "interaction" else "num_test"]
    return Answer(
        objective,
        metrics,
        settings.confidence,
        int((counted > 0).sum()),
        [*rows, *failed],
        best(outcomes),
        what_it_brings(list(finished), difference, metric_title(first)),
    )


def _on_the_same_rows(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], dict[str, np.ndarray]]:
    """Columns of all models, and the outcomes, of which those fail that were not evaluated on the last one's rows.

    The ratings may have changed while the models were trained: then users of one are not those of another.
    """
    tables = {one.value: pq.read_table(Path(one.ranking) / PER_USER_FILE) for one in outcomes if one.ranking}
    if not tables:
        return list(outcomes), {}
    last = next(reversed(tables.values()))
    who = last.select(["user_id", *_COUNTS])
    columns = {
        name: last[name].to_numpy()
        for name in last.column_names
        if name in _COUNTS or ("." in name and not name.startswith(f"{CANDIDATE}."))
    }
    kept = []
    for one in outcomes:
        table = tables.get(one.value)
        if table is not None and not table.select(["user_id", *_COUNTS]).equals(who):
            one = replace(one, state=FAILED, error="The ratings have changed since: compare anew.")
        elif table is not None:
            columns |= {
                f"{one.value}.{name.removeprefix(f'{CANDIDATE}.')}": table[name].to_numpy()
                for name in table.column_names
                if name.startswith(f"{CANDIDATE}.")
            }
        kept.append(one)
    return kept, columns


def _floors(columns: Mapping[str, np.ndarray], objective: str, metric: str) -> list[str]:
    """Those that are made for the question: for likes those that say how likely one is, for rankings the others."""
    names = dict.fromkeys(name.rpartition(".")[0] for name in columns if "." in name)
    return [name for name in names if (f"{name}.{LOG_LOSS}" in columns) == (objective == "like")]


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else -math.inf


def _verdict(difference: Estimate | None) -> str:
    if difference is None or not math.isfinite(difference.low):
        return ""
    return WORSE if difference.high < 0 else BETTER if difference.low > 0 else WITHIN_CHANCE


def what_it_brings(names: Sequence[str], difference: Callable[[str, str], Estimate], title: str) -> str:
    """What comes of it to put something else than a dot product on the embeddings; empty of a single model.

    Args:
        names: The models; where the dot product is not among them, the first takes its place.
        difference: Of a figure of two models, the first less the second; more is better.
        title: What the figure is called.
    """
    plain = _PLAIN if _PLAIN in names else next(iter(names), "")
    found: dict[str, list[str]] = {BETTER: [], WITHIN_CHANCE: [], WORSE: []}
    others = {name: difference(name, plain) for name in names if name != plain}
    for name, of in sorted(others.items(), key=lambda item: -_finite(item[1].value)):
        if verdict := _verdict(of):
            found[verdict].append(f"{name} ({of.value:+.4f})")
    if not any(found.values()):
        return ""
    better = found[BETTER]
    does = "do" if len(better) > 1 else "does"
    parts = [
        f"Of what is put on the embeddings, {', '.join(better) or 'nothing'} {does} better in {title} than {plain}"
        " here"
    ]
    parts += [
        f"{words}: {', '.join(found[verdict])}"
        for verdict, words in ((WITHIN_CHANCE, "within chance of it"), (WORSE, "worse"))
        if found[verdict]
    ]
    if {plain, _WITHOUT_GENRES, _WITH_GENRES} <= set(names) and plain != _WITHOUT_GENRES:
        of = difference(_WITH_GENRES, _WITHOUT_GENRES)
        chance = ", within chance" if _verdict(of) == WITHIN_CHANCE else ""
        parts.append(f"genres change {_WITHOUT_GENRES} by {of.value:+.4f}{chance}")
    return "; ".join(parts) + "."


def as_json(found: Answer) -> dict[str, Any]:
    """The same for programs."""
    rows = [_row_as_json(row) for row in found.rows]
    return {
        "objective": found.objective,
        "split": "test",
        "metrics": list(found.metrics),
        "confidence": found.confidence,
        "users": found.users,
        "best": next((row.name for row in found.rows if row.verdict == BEST), None),
        "best_by_validation": (
            {"model": found.chosen[1].value, "metric": found.chosen[0]} if found.chosen else None
        ),
        "sentence": found.sentence,
        "models": [of for row, of in zip(found.rows, rows, strict=True) if row.outcome],
        "floors": [of for row, of in zip(found.rows, rows, strict=True) if not row.outcome],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    of_test = {
        "name": row.name,
        "verdict": row.verdict,
        "test": {metric: of.as_dict() for metric, of in row.figures.items()},
        "less_best": {metric: of.as_dict() for metric, of in row.differences.items()},
    }
    one = row.outcome
    if not one:
        return of_test
    return of_test | {"state": one.state, "seconds": one.seconds, "recorded": one.figures, "error": one.error}


def write_csv(path: Path, answers: Sequence[Answer]) -> None:
    """Writes a row for each model and floor under each question, with the ends of all intervals."""
    rows = [(found, row) for found in answers for row in found.rows]
    metrics = list(dict.fromkeys(metric for found in answers for metric in found.metrics))
    recorded = list(dict.fromkeys(name for _, row in rows if row.outcome for name in row.outcome.figures))
    recorded = [name for name in recorded if not name.startswith("test_")]  # the same as the metrics
    parts = ("value", "low", "high")
    with storage(path, "The results of the comparison cannot be written."):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            of_metrics = [
                f"{metric}{what}{end}"
                for metric in metrics
                for what in ("", "_less_best")
                for end in ("", "_low", "_high")
            ]
            writer.writerow(
                ["objective", "kind", "name", "state", "verdict", *of_metrics, *recorded, "error"]
            )
            for found, row in rows:
                cells = [
                    getattr(of[metric], part) if metric in of else ""
                    for metric in metrics
                    for of in (row.figures, row.differences)
                    for part in parts
                ]
                one = row.outcome
                of_training = [one.figures.get(name, "") if one else "" for name in recorded]
                kind, state, error = ("model", one.state, one.error) if one else ("floor", "", "")
                writer.writerow(
                    [found.objective, kind, row.name, state, row.verdict, *cells, *of_training, error]
                )


def write_plot(path: Path, answers: Sequence[Answer], against: str, asks: Mapping[str, str]) -> None:
    """Plots the figure that decides, with its interval, against what a model takes; floors are lines across.

    Args:
        path: Where to; its suffix is the format.
        answers: A panel each.
        against: A key of AGAINST.
        asks: Objective -> what it asks, in words.
    """
    # Not pyplot, which would look for a screen.
    from matplotlib.figure import Figure

    taken, label = AGAINST[against]
    figure = Figure(figsize=(6.4 * max(len(answers), 1), 4.4), layout="constrained")
    axes = figure.subplots(1, max(len(answers), 1), squeeze=False)[0]
    for axis, found in zip(axes, answers, strict=False):
        metric = found.metrics[0]
        for row in found.rows:
            of = row.figures.get(metric)
            if of is None or not math.isfinite(of.value):
                continue
            if row.outcome is None:
                axis.axhline(of.value, color="grey", linestyle=":", linewidth=1)
                axis.annotate(
                    row.name, (0, of.value), (2, 2), xycoords=("axes fraction", "data"), color="grey",
                    textcoords="offset points", fontsize="small",
                )  # fmt: skip
            elif taken in row.outcome.figures:
                x = row.outcome.figures[taken]
                ends = [[max(of.value - of.low, 0)], [max(of.high - of.value, 0)]]
                colour = "C3" if row.verdict == BEST else "C0"
                axis.errorbar([x], [of.value], ends, marker="o", capsize=3, color=colour)
                axis.annotate(row.name, (x, of.value), (5, 5), textcoords="offset points", fontsize="small")
        axis.set_xlim(0, 1.25 * axis.dataLim.x1 if math.isfinite(axis.dataLim.x1) else None)  # for the names
        title = f"{found.objective}: {asks.get(found.objective, '')}"
        interval = f"{100 * found.confidence:g}% interval"
        axis.set(title=title, xlabel=label, ylabel=f"test {metric_title(metric)}, {interval}")
    with storage(path, "The plot of the comparison cannot be written."):
        figure.savefig(path, dpi=120)
