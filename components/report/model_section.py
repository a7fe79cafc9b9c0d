"""The section on the models: candidate, last blessed one and floors; learning curves, calibration, slices."""

from __future__ import annotations

from typing import Any

from components.report.charts import PALETTE, Chart, Estimate, Series, Table, bars, curves, intervals, lines
from components.report.content import Content
from components.report.page import Section
from components.shared.features import LIKE, metric_title

# Of `components.ranking.evaluation`, in words and in this order.
MODELS = {
    "candidate": "candidate",
    "baseline": "last blessed",
    "ease": "EASE",
    "item_knn": "ItemKNN",
    "popularity": "popularity",
    "movie_mean": "movie mean",
    "bias_logistic_regression": "bias regression",
    "bias_genre_logistic_regression": "user x genre regression",
}
QUESTIONS = {LIKE: "will they like it", "interaction": "will they watch it"}
_SHARES = ("coverage", "novelty", "diversity", "head_share")
_TITLES = {"head_share": "share of head", "log_loss": "log-loss", "auc": "AUC", "ece": "ECE"}


def model_section(content: Content) -> Section | None:
    """The section; None where no model was trained."""
    blocks: list[Chart | Table] = [chart for one in content.training for chart in _learning(one)]
    if content.ranking:
        ranking = content.ranking
        k = ranking["settings"]["primary_k"]
        models = {name: ranking["models"][name] for name in MODELS if name in ranking["models"]}
        primary = ("log_loss", "auc", f"ndcg@{k}", f"recall@{k}")
        found = [_beside(metric, models) for metric in primary]
        blocks = [*(one for one in found if one), *blocks]
        blocks += [*_reliability(models), *_slices(models, k), _lists(models, k), _all(models)]
    if not blocks:
        return None
    users = (
        f" {content.ranking['users']:,} users, {content.ranking['ratings']:,} ratings of test."
        if content.ranking
        else ""
    )
    return Section(
        "models",
        "The models",
        f"Points are values, bars their 95% intervals over resampled users.{users}",
        blocks,
    )


def title(metric: str) -> str:
    """A metric in words."""
    name, at, k = metric.partition("@")
    return f"{_TITLES[name]}{at}{k}" if name in _TITLES else metric_title(metric)


def _beside(metric: str, models: dict[str, Any]) -> Chart | None:
    found = [
        Estimate(
            MODELS[name],
            (of := model["overall"][metric])["value"],
            of["low"],
            of["high"],
            colour=PALETTE[0] if name == "candidate" else PALETTE[1] if name == "baseline" else "$muted",
        )
        for name, model in models.items()
        if model["overall"].get(metric, {}).get("value") is not None
    ]
    better = "less is better" if metric == "log_loss" else "more is better"
    return intervals(f"{title(metric)} on test ({better})", found, title(metric)) if found else None


def _learning(one: dict[str, Any]) -> list[Chart]:
    metrics: dict[str, list[float]] = one["metrics"]
    epochs = [str(i + 1) for i in range(len(metrics["loss"]))]
    named = f"{one['model_name']} ({QUESTIONS.get(one['objective'], one['objective'])})"
    best = f"The best epoch by {one['monitor'].replace('_', ' ')} is {one['best_epoch']} of {len(epochs)}."

    def series(*names: str, axis: str = "y") -> list[Series]:
        return [
            Series(
                name.replace("_", " "),
                metrics[name],
                dashed=name.startswith("val_"),
                axis=axis,
                colour=PALETTE[i + (2 if axis == "y2" else 0)],
                points=_best_point(one["best_epoch"], len(epochs)),
            )
            for i, name in enumerate(names)
            if name in metrics
        ]

    if "val_loss" in metrics:
        return [
            lines(f"Learning curves of {named}: {what}", best, epochs, series(*names), "epoch", what)
            for what, names in (("log-loss", ("train_loss", "val_loss")), ("AUC", ("train_auc", "val_auc")))
        ]
    ranked = [name for name in metrics if name.startswith("val_")]
    return [
        lines(
            f"Learning curves of {named}",
            f"{best} The train loss is what was minimised, penalties included.",
            epochs,
            [*series("loss"), *series(*ranked, axis="y2")],
            "epoch",
            "train loss",
            y2="validation" if ranked else "",
        )
    ]


def _best_point(best: int, epochs: int) -> dict[str, Any]:
    return {"pointRadius": [6 if epoch == best else 2 for epoch in range(1, epochs + 1)]}


def _reliability(models: dict[str, Any]) -> list[Chart]:
    shown = {
        name: of for name, of in models.items() if name in ("candidate", "baseline") and of.get("reliability")
    }
    if not shown:
        return []
    points = {
        MODELS[name]: [(one["probability"], one["liked"]) for one in of["reliability"]]
        for name, of in shown.items()
    }
    errors = "; ".join(
        f"expected calibration error of the {MODELS[name]} {of['calibration']['ece']:.4f}"
        for name, of in shown.items()
        if of["calibration"]["ece"] is not None
    )
    return [
        curves(
            "Reliability: share of likes by predicted probability",
            f"On the diagonal what is said is what happens; {errors}.",
            points,
            "predicted probability of a like",
            "share that was liked",
            diagonal=True,
            point=4,
            show=".4f",
        )
    ]


def _slices(models: dict[str, Any], k: int) -> list[Chart]:
    metric = f"ndcg@{k}"
    charts: list[Chart] = []
    for by, of in (("activity", metric), ("activity", "log_loss"), ("popularity", metric), ("genre", metric)):
        names = [(one["name"], one["users"]) for one in models["candidate"]["slices"] if one["by"] == by]
        kept = [(name, users) for name, users in names if users]
        series = []
        for model in ("candidate", "baseline", "popularity"):
            values = {
                one["name"]: one["metrics"].get(of, {}).get("value")
                for one in models.get(model, {}).get("slices", [])
                if one["by"] == by
            }
            if any(value is not None for value in values.values()):
                series.append(Series(MODELS[model], [values.get(name) for name, _ in kept]))
        if kept and series:
            whose = "movies of each third of ratings" if by == "popularity" else f"each {by}"
            charts.append(
                bars(
                    f"{title(of)} by {'head, middle and tail' if by == 'popularity' else by}",
                    f"Of {whose}: candidate, last blessed model and popularity.",
                    [f"{name} ({users:,} users)" for name, users in kept],
                    series,
                    title(of),
                    by,
                    across=True,
                )
            )
    return charts


def _lists(models: dict[str, Any], k: int) -> Table:
    """What lists are beside being right."""
    names = [f"{name}@{k}" for name in _SHARES]
    rows = []
    for name, model in models.items():
        figures = {**{key: of["value"] for key, of in model["overall"].items()}, **model["coverage"]}
        if name in ("movie_mean", "bias_logistic_regression", "bias_genre_logistic_regression"):
            continue  # they are no rankers
        rows.append([MODELS[name], *(_cell(figures.get(metric)) for metric in names)])
    for one in models["candidate"]["slices"]:
        if one["by"] == "activity" and one["users"]:
            figures = {key: of["value"] for key, of in one["metrics"].items()}
            rows.append(
                [f"candidate, {one['name']} users", *(_cell(figures.get(metric)) for metric in names)]
            )
    caption = (
        "Coverage (share of the catalogue in any list), novelty (bits), diversity (genres not shared by two movies of"
        " a list) and popularity bias (share of a list that is of the most rated movies with a third of the ratings)"
    )
    return Table(["", *map(title, names)], rows, caption, tuple(range(1, len(names) + 1)))


def _all(models: dict[str, Any]) -> Table:
    metrics = list(models["candidate"]["overall"])
    rows = [
        [title(metric), *(_with_interval(model["overall"].get(metric)) for model in models.values())]
        for metric in metrics
    ]
    header = ["", *(MODELS[name] for name in models)]
    return Table(header, rows, "Every metric, with its interval", tuple(range(1, len(header))))


def _with_interval(of: dict[str, Any] | None) -> str:
    if not of or of["value"] is None:
        return "-"
    interval = "" if of["low"] is None else f" [{of['low']:.4f}, {of['high']:.4f}]"
    return f"{of['value']:.4f}{interval}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
