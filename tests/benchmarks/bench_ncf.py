"""The protocol of neural collaborative filtering on MovieLens 1M, by the pipeline's own components.

Leave-one-out: each user's test movie is ranked among 99 given negatives; HR@10 and NDCG@10, ties against the model. He
et al., "Neural collaborative filtering" (2017). Every rating is a positive. The data, ../shared/data/ml-1m-ncf, are
written as a folder of ratings in which the test movie is each user's last rating and a random other one the last but
one: `data.split.method=leave_last_out` then makes the split of the protocol, with a validation movie of its train part.
Ingest, Transform, Trainer and RankingEvaluator run as in `marquee sweep`; the export is then asked for the scores.

The settings below were chosen on validation movies out of the train part. A model trains once more on everything but
the test movie (`model.refit`); CPU seconds are those of both trainings.

    python tests/benchmarks/bench_ncf.py [--models dot_product mlp] [--seeds 42]
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
DATA = REPOSITORY.parent / "shared" / "data" / "ml-1m-ncf"
MOVIES = DATA.parent / "ml-1m-half" / "movies.dat"
K = 10

_SOFTMAX = {
    "rest_weight": 0,
    "embedding_l2": 12,
    "vector_dropout": 0.3,
    "popularity_adjustment": 0.15,
    "batch_size": 256,
    "epochs": 30,
}
_PERCEPTRON = {
    "embedding_l2": 0.09,
    "embedding_dim": 64,
    "hidden_units": "[128,64]",
    "negatives": 4,
    "batch_size": 2048,
    "epochs": 14,
    "patience": 2,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "dot_product": {**_SOFTMAX, "embedding_dim": 512, "item_item": 0},
    "two_tower": {**_SOFTMAX, "embedding_dim": 256},
    "mlp": _PERCEPTRON,
    "genre_mlp": _PERCEPTRON,
    "neumf": {**_PERCEPTRON, "mlp_dim": 32, "batch_size": 4096, "schedule": "linear", "epochs": 12},
}
KNOWN = (
    ("popularity", 0.453, 0.254),
    ("tutorial genre_mlp", 0.642, 0.371),
    ("tutorial mlp", 0.629, 0.360),
    ("tutorial dot product", 0.659, 0.386),
    ("NeuMF (Dacrema et al. 2019)", 0.7093, 0.4349),
    ("EASE", 0.718, 0.451),
    ("implicit ALS, 192 factors", 0.721, 0.450),
    ("MF (Rendle et al. 2020)", 0.7294, 0.4523),
    ("MF, compiled SGD, 128 factors", 0.7295, 0.4502),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[42], help="Runs of each model.")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="Other settings, as of marquee run."
    )
    arguments = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"This benchmark needs the data set in {DATA}: see ../shared/data/README.md.")
    print(f"{'model':<32}{'HR@10':>8}{'NDCG@10':>9}{'val NDCG':>10}{'epochs':>8}{'CPU s':>8}  settings")
    for name, hit_rate, ndcg in KNOWN:
        print(f"{name:<32}{hit_rate:>8.4f}{ndcg:>9.4f}")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "ratings")
        for model in arguments.models:
            for seed in arguments.seeds:
                found = run(folder, model, seed, arguments.set)
                settings = " ".join(f"{key}={value}" for key, value in SETTINGS[model].items())
                print(
                    f"{model:<32}{found['hit_rate']:>8.4f}{found['ndcg']:>9.4f}{found['val_ndcg@10']:>10.4f}"
                    f"{found['best_epoch']:>8}{found['training_cpu_seconds']:>8.0f}  {settings}",
                    flush=True,
                )


def write(folder: Path) -> None:
    """The protocol's data as ratings.csv and movies.csv; times say which rating is test and which is validation."""
    folder.mkdir()
    train, test = (np.loadtxt(DATA / name, np.int64) for name in ("train.tsv", "test.rating"))
    times = np.zeros(len(train), np.int64)
    shuffled = np.random.default_rng(0).permutation(len(train))
    _, first = np.unique(train[shuffled, 0], return_index=True)
    times[shuffled[first]] = 1
    rows = np.concatenate(
        [np.column_stack([train[:, :3], times]), np.column_stack([test[:, :3], np.full(len(test), 2)])]
    )
    rows[:, 3] += 1_000_000_000
    np.savetxt(folder / "ratings.csv", rows, "%d", ",", header="userId,movieId,rating,timestamp", comments="")
    titles = {}
    for line in MOVIES.read_text(encoding="latin-1").splitlines() if MOVIES.is_file() else ():
        movie, title, genres = line.split("::")
        titles[movie] = (title, genres)
    with (folder / "movies.csv").open("w", newline="") as file, (DATA / "item_map.csv").open() as mapped:
        writer = csv.writer(file)
        writer.writerow(["movieId", "title", "genres"])
        for row in csv.DictReader(mapped):
            movie, item = row["movieId"], row["ncf_item"]
            writer.writerow([item, *titles.get(movie, (f"Movie {movie}", "(no genres listed)"))])


def run(folder: str, model: str, seed: int, more: list[str]) -> dict[str, Any]:
    """Trains one model and ranks the candidates of the protocol with its export."""
    from components.ranking import metrics
    from components.ranking.exported import ExportedModel
    from pipeline.cli.console import captured
    from pipeline.config import load_config
    from pipeline.state.runs import read_runs

    overrides = [f"data.path={folder}/ratings", f"root={folder}/root", "name=ncf", "label.positives=rated"]
    overrides += ["data.split.method=leave_last_out", "model.objective=interaction", f"model.name={model}"]
    overrides += [
        f"model.seed={seed}",
        *(f"model.{key}={value}" for key, value in SETTINGS[model].items()),
        *more,
    ]
    config = load_config(None, overrides)
    with captured(None):
        from pipeline.pipeline import create_sweep_pipeline
        from pipeline.runners import local

        config.pipeline_root.mkdir(parents=True, exist_ok=True)
        local.run(create_sweep_pipeline(config), lambda component, starts: None)
    trained = read_runs(config)[-1].nodes["MovieTrainer"].output("model")
    assert trained
    users, candidates = candidates_of_protocol()
    export = ExportedModel(f"{trained.uri}/Format-Serving")
    movies, columns = np.unique(candidates, return_inverse=True)
    columns = columns.reshape(candidates.shape)
    names = np.array([str(movie).encode() for movie in movies], object)
    hits = []
    for start in range(0, len(users), 512):
        rows = slice(start, start + 512)
        asked = np.array([str(user).encode() for user in users[rows]], object)
        scores = np.take_along_axis(export.catalogue_scores(asked, names), columns[rows], axis=1)
        positive = np.zeros(scores.shape, bool)
        positive[:, 0] = True
        hits.append(metrics.best(scores, positive, np.ones_like(positive), K).hits)
    found = metrics.relevance(np.concatenate(hits), np.ones(len(users), np.int64), [K])
    return {
        **trained.properties,
        "hit_rate": float(found[f"hit_rate@{K}"].mean()),
        "ndcg": float(found[f"ndcg@{K}"].mean()),
    }


def candidates_of_protocol() -> tuple[np.ndarray, np.ndarray]:
    """Users (U,), and their candidates (U, 100), the positive first."""
    users, candidates = [], []
    for line in (DATA / "test.negative").read_text().splitlines():
        pair, *negatives = line.split("\t")
        user, positive = map(int, re.findall(r"\d+", pair))
        users.append(user)
        candidates.append([positive, *map(int, negatives)])
    return np.array(users), np.array(candidates)


if __name__ == "__main__":
    main()
