"""The model card of a pushed version, as JSON and as Markdown, beside its graph.

After Mitchell et al., "Model cards for model reporting" (2019): what the model is for, what it learned from and under
which terms, how good it is, for whom, where its limits are, and by which decision it was let through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.pusher.versions import Marker
from components.shared.artifacts import CARD_FILE, CARD_JSON_FILE, DECISION_FILE, METRICS_FILE, RETRIEVAL
from components.shared.features import INTERACTION, LIKE, learns, metric_title

_QUESTIONS = {
    LIKE: "how likely a user likes a movie that they watch",
    INTERACTION: "which movies a user watches and likes next, of those that they have not rated",
}
_UNSTATED = "not stated (key data.terms)"


def writer(
    model: Mapping[str, Any],
    examples: Mapping[str, Any],
    data: Mapping[str, str],
    ranking_uri: str,
    report_uri: str,
) -> Callable[[Marker], dict[str, str]]:
    """What `versions.push` calls for the files of the card.

    Args:
        model: Properties of the model.
        examples: Properties of the examples.
        data: Where the data are from, `path`, and their `terms`.
        ranking_uri: Folder of metrics.json, "" where there is none.
        report_uri: Folder of decision.json, the same.
    """

    def files(marker: Marker) -> dict[str, str]:
        content = card(
            marker, model, examples, data, _read(ranking_uri, METRICS_FILE), _read(report_uri, DECISION_FILE)
        )
        return {CARD_JSON_FILE: json.dumps(content, indent=1), CARD_FILE: markdown(content)}

    return files


def _read(uri: str, name: str) -> dict[str, Any]:
    path = Path(uri) / name
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if uri and path.is_file() else {}
    return found


def card(
    marker: Marker,
    model: Mapping[str, Any],
    examples: Mapping[str, Any],
    data: Mapping[str, str],
    ranking: Mapping[str, Any],
    decision: Mapping[str, Any],
) -> dict[str, Any]:
    """The content; parts of which nothing is known are empty."""
    candidate = ranking.get("models", {}).get("candidate", {})
    k = ranking.get("settings", {}).get("primary_k", 10)
    return {
        "model": {
            "version": marker.version,
            "pushed_at": marker.pushed_at,
            "kind": marker.kind,
            "objective": marker.objective,
            "trained": [
                {name: model[f"{prefix}{name}"] for name in _TRAINED if f"{prefix}{name}" in model}
                for prefix in ("", RETRIEVAL)
                if f"{prefix}model_name" in model
            ],
            "digest": marker.model_digest,
        },
        "question": [text for what, text in _QUESTIONS.items() if learns(marker.objective, what)],
        "liked_from": model.get("min_rating"),
        "data": {
            "source": data.get("path", ""),
            "terms": data.get("terms") or _UNSTATED,
            "ratings": {
                name: examples[f"num_{name}"]
                for name in ("rows", "train", "eval", "test", "users", "movies")
                if f"num_{name}" in examples
            },
            "since": _day(marker.oldest_timestamp),
            "until": _day(marker.newest_timestamp),
        },
        "metrics": _figures(candidate.get("overall", {})) | _plain(candidate),
        "beside": {
            name: _figures(of.get("overall", {}), (*_DECIDING, f"ndcg@{k}", f"recall@{k}"))
            for name, of in ranking.get("models", {}).items()
            if name != "candidate"
        },
        "slices": [
            {
                "by": one["by"],
                "name": one["name"],
                "users": one["users"],
                "metrics": _figures(one["metrics"], ("log_loss", f"ndcg@{k}")),
            }
            for one in candidate.get("slices", [])
            if one["users"]
        ],
        "limits": _limits(ranking, k),
        "decision": {
            "blessed": decision.get("blessed"),
            "by_hand": marker.reason and f"{marker.kind} by {marker.by}: {marker.reason}",
            "failures": decision.get("failures", []),
            "warnings": decision.get("warnings", []),
            "rules": [rule["sentence"] for rule in decision.get("rules", [])],
        },
        "lineage": {
            "run": marker.run_id,
            "model": marker.model_id,
            "model_uri": marker.model_uri,
            "baseline": (decision.get("baseline") or {}).get("id"),
            "base_model": model.get("base_model_id"),
            "data_span": marker.data_span,
        },
    }


_TRAINED = ("model_name", "parameters", "best_epoch", "epochs", "embedding_l2", "train_rows", "tuned")
_DECIDING = ("log_loss", "auc")


def _figures(of: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, Any]:
    return {name: of[name] for name in (names or of) if name in of and of[name]["value"] is not None}


def _plain(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Figures without an interval."""
    found = {**candidate.get("coverage", {}), **candidate.get("calibration", {})}
    return {
        name: {"value": value, "low": None, "high": None}
        for name, value in found.items()
        if value is not None
    }


def _limits(ranking: Mapping[str, Any], k: int) -> list[str]:
    found = [
        "The figures are of logged ratings: what nobody was shown has no rating, and counts as not wanted.",
        "A user whom training has not seen is recommended what everybody likes; a movie that it has not seen is"
        " recommended to nobody.",
        "Age, gender and other attributes of people are not in the data, so that no slice is by them.",
    ]
    candidate = ranking.get("models", {}).get("candidate", {})
    overall, coverage = candidate.get("overall", {}), candidate.get("coverage", {}).get(f"coverage@{k}")
    if coverage is not None:
        found.append(f"Lists of {k} hold {coverage:.0%} of the catalogue between them.")
    share = overall.get(f"head_share@{k}", {}).get("value")
    if share is not None:
        found.append(f"{share:.0%} of a list is of the most rated movies, which have a third of the ratings.")
    popular = ranking.get("models", {}).get("popularity", {}).get("slices", [])
    by_popularity = {
        (one["by"], one["name"]): one["metrics"].get(f"ndcg@{k}", {}).get("value") for one in popular
    }
    for one in candidate.get("slices", []):
        own, other = (
            one["metrics"].get(f"ndcg@{k}", {}).get("value"),
            by_popularity.get((one["by"], one["name"])),
        )
        if one["users"] and own is not None and other is not None and own < other:
            found.append(
                f"By NDCG@{k} it is behind plain popularity for {one['by']} {one['name']}: {own:.4f}, {other:.4f}."
            )
    return found


def _day(seconds: int | None) -> str:
    if seconds is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s"


def markdown(of: Mapping[str, Any]) -> str:
    """The card as Markdown; whatever comes from the data is escaped."""
    model, data, decision = of["model"], of["data"], of["decision"]
    named = " and ".join(str(one["model_name"]) for one in model["trained"]) or "a recommender"
    span = f", from {data['since']} to {data['until']}" if data["since"] else ""
    counts = ", ".join(f"{number:,} {name}" for name, number in data["ratings"].items())
    verdict = {True: "Blessed by the rules.", False: "Refused by the rules.", None: ""}[decision["blessed"]]
    parts = [
        f"# Model card: {_text(named)}, version {model['version']}",
        "## Model",
        *_items(f"pushed {model['pushed_at']} ({model['kind']})", f"learns {model['objective']}"),
        *_items(*(", ".join(f"{key} {value}" for key, value in one.items()) for one in model["trained"])),
        "## What it is for",
        *_items(*(f"It says {text}." for text in of["question"])),
        *_items(
            *([f"A movie is liked from a rating of {of['liked_from']:g} on."] if of["liked_from"] else [])
        ),
        "## Data",
        *_items(f"source: {data['source']}", f"terms: {data['terms']}", f"{counts}{span}"),
        "## Metrics on the test split",
        _table(["metric", "value", "95% interval"], _rows(of["metrics"])),
        "## Beside others",
        _table(
            ["model", "metric", "value", "95% interval"],
            ([name, *row] for name, figures in of["beside"].items() for row in _rows(figures)),
        ),
        "## Slices",
        _table(
            ["by", "slice", "users", "metric", "value", "95% interval"],
            (
                [one["by"], one["name"], f"{one['users']:,}", *row]
                for one in of["slices"]
                for row in _rows(one["metrics"])
            ),
        ),
        "## Limits",
        *_items(*of["limits"]),
        "## Decision",
        *_items(*filter(None, [verdict, decision["by_hand"]])),
        *_items(
            *decision["failures"], *(f"warning: {one}" for one in decision["warnings"]), *decision["rules"]
        ),
        "## Lineage",
        *_items(
            *(
                f"{key.replace('_', ' ')}: {value}"
                for key, value in of["lineage"].items()
                if value is not None
            )
        ),
    ]
    text = "\n".join(part if part.startswith("- ") else f"\n{part}\n" for part in parts)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _items(*texts: str) -> list[str]:
    return [f"- {_text(text)}" for text in texts]


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _rows(figures: Mapping[str, Any]) -> list[list[str]]:
    return [[metric_title(name), *_cells(of)] for name, of in figures.items()]


def _cells(of: Mapping[str, Any]) -> list[str]:
    interval = "-" if of["low"] is None else f"[{of['low']:.4f}, {of['high']:.4f}]"
    return [f"{of['value']:.4f}", interval]


def _text(value: object) -> str:
    """On one line, and with nothing that Markdown or HTML would take for its own."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+", " ", str(value))
    return re.sub(r"([\\`*|<>])", r"\\\1", text)
