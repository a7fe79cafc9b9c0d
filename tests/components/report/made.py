"""The artifacts of a small run, with what the data of strangers may hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.shared.features import SPLITS

SCRIPT, CONTROL, TURNED = "<script>alert(1)</script>", "a\x07bell\x00", "\u202eevil\u202c"
TITLES = {"m1": SCRIPT, "m2": CONTROL, "m3": TURNED, "m4": 'Amp & "quotes" </script>', "m5": "Plain"}
# user, movie, rating, timestamp
ROWS = {
    "train": [("u1", "m1", 5.0, 100), ("u1", "m2", 4.0, 200), ("u1", "m3", 1.0, 300), ("u2", "m1", 4.0, 100)],
    "eval": [("u1", "m4", 3.0, 400)],
    "test": [("u2", "m4", 5.0, 86_500), ("u2", "m5", 2.0, 86_500)],
}


@dataclass(frozen=True)
class Made:
    """As ML Metadata has an artifact."""

    id: int
    uri: str
    properties: dict[str, Any] = field(default_factory=dict)


def rule(name: str, passed: bool | None, action: str = "gate", **more: Any) -> dict[str, Any]:
    found = {"rule": name, "kind": "bar", "metric": "auc", "action": action, "bar": 0.65, "at_least": True}
    found |= {"value": 0.8115, "low": 0.7992, "high": 0.8231, "passed": passed}
    return found | {"sentence": f"{name} in words"} | more


def decision(blessed: bool = True, **more: Any) -> dict[str, Any]:
    change = {"kind": "change", "metric": "log_loss", "bar": 0.0, "value": -0.0123, "low": None, "high": None}
    return {
        "blessed": blessed,
        "model": {"id": 8, "uri": "/m/8"},
        "baseline": {"id": 3, "uri": "/m/3"},
        "objective": "like+interaction",
        "metric": "log_loss",
        "candidate_metric": 0.5302,
        "baseline_metric": 0.546,
        "retrieval_metric": "ndcg@2",
        "retrieval_candidate_metric": 0.1975,
        "retrieval_baseline_metric": None,
        "failures": [] if blessed else ["AUC is 0.8115 [0.7992, 0.8231], the floor is 0.99"],
        "warnings": ["the ranking is a little worse"],
        "rules": [
            rule("bar: auc", blessed),
            rule("change: log_loss", True, **change),
            rule("verdict: TFMA", None, value=None, low=None, high=None),
        ],
    } | more


def figure(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": value and value - 0.01, "high": value and value + 0.01}


def of_model(likes: bool, ndcg: float) -> dict[str, Any]:
    overall = {"ndcg@2": figure(ndcg), "recall@2": figure(0.2), "novelty@2": figure(2.0)}
    overall |= {"diversity@2": figure(0.5), "head_share@2": figure(0.6)}
    found: dict[str, Any] = {"overall": overall, "coverage": {"coverage@2": 0.25}}
    if likes:
        overall |= {"log_loss": figure(0.5302), "auc": figure(0.8115)}
        found |= {
            "calibration": {"ece": 0.0177},
            "reliability": [
                {"rows": 3, "probability": 0.2, "liked": 0.25},
                {"rows": 1, "probability": 0.9, "liked": 1},
            ],
        }
    slices = [("activity", "heavy"), ("activity", "new"), ("popularity", "head"), ("genre", SCRIPT)]
    found["slices"] = [
        {"by": by, "name": name, "users": 0 if name == "new" else 2, "metrics": {"ndcg@2": figure(ndcg)}}
        for by, name in slices
    ]
    return found


METRICS = {
    "users": 2,
    "ratings": 2,
    "settings": {"primary_k": 2},
    "models": {
        "candidate": of_model(True, 0.1975),
        "popularity": of_model(False, 0.0999),
        "movie_mean": of_model(True, 0.01),
    },
}
HISTORY = [
    {
        "model_name": "two_tower",
        "objective": "like",
        "monitor": "val_loss",
        "best_epoch": 2,
        "metrics": {
            "loss": [0.7, 0.6],
            "train_loss": [0.6, 0.5],
            "val_loss": [0.61, 0.57],
            "train_auc": [0.7, 0.8],
        }
        | {"val_auc": [0.69, 0.78]},
    },
    {
        "model_name": "dot_product",
        "objective": "interaction",
        "monitor": "val_ndcg@10",
        "best_epoch": 1,
        "metrics": {"loss": [6.5, 6.1], "val_ndcg@10": [0.12, 0.11], "val_recall@10": [0.15, 0.14]},
    },
]
ANSWERS = {
    "users": [
        {"kind": "typical", "user_id": "u1", "known": True, "num_train": 3, "movie_ids": ["m5", "m4"]}
        | {"scores": [0.781, 0.5], "probability": [0.8, 0.7], "because": ["m1", None]},
        {"kind": "new", "user_id": "", "known": False, "num_train": 0, "movie_ids": ["m1"]}
        | {"scores": [0.9], "probability": [0.6], "because": [None]},
    ],
    "neighbours": {
        "movie_ids": ["m1", "m2", "m3", "m4"],
        "near": [[1, 2], [0], [], [0]],
        "likeness": [[0.9, 0.5], [0.9], [], [0.4]],
    },
}


def examples(folder: Path, rows: dict[str, list[tuple[str, str, float, int]]] = ROWS) -> Path:
    """Raw examples as ExampleGen leaves their columns."""
    for split in SPLITS:
        users, movies, ratings, times = zip(*rows[split], strict=True)
        genres = [[b"Drama", b"War"] if movie == "m1" else [b"Drama"] for movie in movies]
        table = pa.table(
            {
                "user_id": pa.array([one.encode() for one in users], pa.binary()).dictionary_encode(),
                "movie_id": pa.array([one.encode() for one in movies], pa.binary()).dictionary_encode(),
                "genres": pa.array(genres, pa.list_(pa.binary())),
                "rating": pa.array(ratings, pa.float32()),
                "timestamp": pa.array(times, pa.int64()),
            }
        )
        (folder / f"Columns-{split}").mkdir(parents=True)
        pq.write_table(table, folder / f"Columns-{split}" / "data.parquet")
    return folder


def write_space(folder: Path) -> Path:
    """As `components.trainer.projector` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors = np.random.default_rng(1).normal(size=(len(TITLES), 3))
    (folder / "tensors.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in vectors.tolist()))
    lines = [
        f"{id_}\t{title.replace(chr(7), ' ').replace(chr(0), ' ')}\tDrama, War\t1999"
        for id_, title in TITLES.items()
    ]
    (folder / "metadata.tsv").write_text("\n".join(["movie_id\ttitle\tgenres\tyear", *lines]) + "\n")
    return folder


def outputs(folder: Path, decided: dict[str, Any] | None = None) -> dict[str, dict[str, Made]]:
    """Of a run that came to its end."""

    def write(name: str, content: Any) -> str:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return str(path.parent)

    decided = decided or decision()
    movies = folder / "movies"
    movies.mkdir(parents=True)
    table = {
        "movie_id": [*TITLES],
        "title": [*TITLES.values()],
        "genres": [["Drama"]] * 5,
        "year": [1999] * 5,
    }
    pq.write_table(pa.table(table), movies / "movies.parquet")
    write("ranking/answers.json", ANSWERS)
    write_space(folder / "model_run")
    findings = [
        {"rule": "one_label", "level": "warn", "sentence": "train is liked throughout", "accept": "--set x=1"}
    ]
    pushed = {"pushed": 1, "pushed_version": "1795"} if decided["blessed"] else {"pushed": 0}
    return {
        "RatingsExampleGen": {
            "examples": Made(1, str(examples(folder / "examples")), {"num_users": 2, "num_movies": 5}),
            "movies": Made(2, str(movies)),
        },
        "latest_blessed_data": {"examples": Made(0, str(examples(folder / "before")))},
        "DataGate": {"verdict": Made(3, write("verdict/findings.json", findings))},
        "MovieTrainer": {
            "model": Made(
                8, str(folder / "model"), {"model_name": "two_tower", "retrieval_model_name": "dot_product"}
            ),
            "model_run": Made(9, write("model_run/history.json", HISTORY)),
        },
        "RankingEvaluator": {"ranking": Made(10, write("ranking/metrics.json", METRICS))},
        "Blessing": {"report": Made(11, write("decision/decision.json", decided))},
        "ServingValidator": {
            "blessing": Made(12, write("serving/report.json", {"blessed": True, "failures": []}))
        },
        "Pusher": {"pushed_model": Made(13, "", pushed)},
    }
