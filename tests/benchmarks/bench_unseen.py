"""The default recommender beside tuned baselines, on data that its settings were not all chosen on, as tables.

Each set goes through the pipeline as it comes, from the ratings to the RankingEvaluator, one model a run: no key is
changed but `retrieval`, `model.objective` and, for likes, `model.name`. The baselines see the same train and eval rows,
are tuned on eval, learn from both, and are scored on the same test rows: by the RankingEvaluator itself its floors,
which for likes are the bias logistic regression and the one with a weight for each user and genre besides, and for
rankings popularity and EASE (Steck, 2019); ItemKNN by the floor's code; ALS (Hu et al., "Collaborative filtering for
implicit feedback datasets", 2008, with the penalty of Rendle et al., 2022).

Thinned sets keep 3 to 8 ratings of each user, drawn at random, and are cut at one moment for all
(`data.split.method=time`).

    python tests/benchmarks/bench_unseen.py --sets ml-100k ml-latest-small --objectives like --draws 5

Sets but MovieLens 100K are read from ../shared/data beside the clone; those that are not there are left out.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
SHARED = REPOSITORY.parent / "shared" / "data"
SETS = ("ml-100k", "ml-latest-small", "ml-1m-half")
_COLUMNS = ["user_id", "movie_id", "rating", "timestamp"]
OBJECTIVES = ("like", "interaction")
METRICS = {"like": ("AUC", "log-loss"), "interaction": ("NDCG@10", "recall@10")}
LIKES = ("two_tower", "dot_product")
FLOORS = {
    "bias regression": "bias_logistic_regression",
    "bias + user x genre": "bias_genre_logistic_regression",
}
Scores = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--objectives", nargs="+", default=list(OBJECTIVES), choices=OBJECTIVES)
    parser.add_argument(
        "--draws", type=int, default=1, help="Of thinned sets, whose means are told; 0: none."
    )
    arguments = parser.parse_args()
    for name in arguments.sets:
        path = "builtin:ml-100k" if name == "ml-100k" else str(SHARED / name)
        if name != "ml-100k" and not Path(path).is_dir():
            print(f"{name}: left out, as {path} is not there")
            continue
        of_set = [f"data.path={path}", f"name={name}"]
        _compare(name, [of_set], arguments.objectives)
        if not arguments.draws:
            continue
        with tempfile.TemporaryDirectory() as folder:
            drawn = [str(_thin(path, Path(folder) / f"{draw}", draw)) for draw in range(arguments.draws)]
            thinned = [[f"data.path={of}", f"name={name}", "data.split.method=time"] for of in drawn]
            _compare(f"{name}, thinned", thinned, arguments.objectives)


def _compare(name: str, logs: list[list[str]], objectives: list[str]) -> None:
    """Prints a table an objective, of means over logs, each of which is told by its keys."""
    for objective in objectives:
        measure = _likes if objective == "like" else _rankings
        with tempfile.TemporaryDirectory() as root:
            found = [measure(f"{root}/{place}", keys) for place, keys in enumerate(logs)]
        titles = (*METRICS[objective], "CPU s")
        print(f"\n{f'{name}, {objective}':<32}{''.join(f'{title:>10}' for title in titles)}")
        for row in found[0]:
            first, second, *seconds = np.mean([of[row] for of in found], axis=0)
            cells = f"{first:>10.4f}{second:>10.4f}"
            print(f"{row:<32}{cells}{''.join(f'{of:>10.1f}' for of in seconds)}", flush=True)


def _likes(root: str, keys: list[str]) -> dict[str, tuple[float, ...]]:
    """AUC, log-loss and, of the models, CPU seconds of training."""
    of: dict[str, Any] = {}
    rows = {}
    for model in LIKES:
        of = _run(root, [*keys, f"model.name={model}", "retrieval=null"])
        rows[model] = of["auc"], of["log_loss"], of["training_cpu_seconds"]
    there = {title: floor for title, floor in FLOORS.items() if f"{floor}_auc" in of}
    return rows | {title: (of[f"{floor}_auc"], of[f"{floor}_log_loss"]) for title, floor in there.items()}


def _rankings(root: str, keys: list[str]) -> dict[str, tuple[float, ...]]:
    """NDCG@10, recall@10 and, of the model, CPU seconds of training."""
    of = _run(root, [*keys, "model.objective=interaction"])
    rows = {"dot_product": (of["ndcg@10"], of["recall@10"], of["training_cpu_seconds"])}
    rows |= {floor: (of[f"{floor}_ndcg@10"], of[f"{floor}_recall@10"]) for floor in ("ease", "popularity")}
    (examples,) = Path(root).glob("*/artifacts/RatingsExampleGen/examples")
    return rows | _baselines(examples)


def _thin(path: str, folder: Path, draw: int) -> Path:
    """Writes 3 to 8 ratings of each user, and the movies table, in the layout in which they came."""
    source, ratings, movies, options = _layout(path)
    log = pd.read_csv(source / ratings, names=_COLUMNS, **options)
    random = np.random.default_rng(7 + 1000 * draw)
    log = log.iloc[random.permutation(len(log))]
    place = log.groupby("user_id").cumcount().to_numpy()
    users = pd.factorize(log["user_id"])[0]
    kept = np.sort(log.index[place < random.integers(3, 9, users.max() + 1)[users]])
    lines = (source / ratings).read_text(encoding="utf-8").splitlines()
    header = options["header"] is not None
    folder.mkdir(parents=True)
    shutil.copy(source / movies, folder)
    written = [*lines[:header], *(lines[row + header] for row in kept)]
    (folder / ratings).write_text("\n".join(written) + "\n", encoding="utf-8")
    return folder


def _layout(path: str) -> tuple[Path, str, str, dict[str, Any]]:
    """Folder, file of the ratings, that of the movies, and how pandas reads the ratings."""
    if path.startswith("builtin:"):
        from components.example_gen import builtin

        return Path(builtin.movielens_100k()), "ml-100k.inter", "ml-100k.item", {"sep": "\t", "header": 0}
    if (Path(path) / "ratings.dat").exists():
        return Path(path), "ratings.dat", "movies.dat", {"sep": "::", "engine": "python", "header": None}
    return Path(path), "ratings.csv", "movies.csv", {"header": 0}


def _run(root: str, overrides: list[str]) -> dict[str, Any]:
    from pipeline.cli.console import captured
    from pipeline.config import load_config
    from pipeline.state.runs import read_runs

    config = load_config(None, [f"root={root}", *overrides])
    with captured(None):
        from pipeline.pipeline import create_sweep_pipeline
        from pipeline.runners import local

        config.pipeline_root.mkdir(parents=True, exist_ok=True)
        local.run(create_sweep_pipeline(config), lambda component, starts: None)
    nodes = read_runs(config)[-1].nodes
    outputs = [nodes["MovieTrainer"].output("model"), nodes["RankingEvaluator"].output("ranking")]
    return {key: value for output in outputs if output for key, value in output.properties.items()}


def _baselines(examples: Path) -> dict[str, tuple[float, float]]:
    """NDCG@10 and recall@10."""
    from components.ranking import data, floors
    from components.shared.features import SPLITS, LabelRule

    newest = max(examples.iterdir(), key=lambda folder: int(folder.name))
    ratings = data.read({split: f"{newest}/Split-{split}/*" for split in SPLITS}, LabelRule())
    train, evaluation, test = ratings.splits.values()
    of = train, evaluation, len(ratings.user_ids), ratings.catalogue, len(ratings.movie_ids)
    knn = floors.item_knn(*of, memory_mb=256)
    return {
        "als": _tuned(ratings, _als, itertools.product((32, 64), (0.003, 0.01, 0.03), (0.1, 0.3, 1.0))),
        "item knn": _ranked(ratings, knn.scores, train + evaluation, test),
    }


def _tuned(
    ratings: Any, make: Callable[..., Scores], grid: Iterable[tuple[float, ...]]
) -> tuple[float, float]:
    train, evaluation, test = ratings.splits.values()
    best = max(
        grid, key=lambda of: _ranked(ratings, make(_matrix(ratings, train), *of), train, evaluation)[0]
    )
    seen = train + evaluation
    return _ranked(ratings, make(_matrix(ratings, seen), *best), seen, test)


def _matrix(ratings: Any, part: Any) -> sparse.csr_matrix:
    at = part.positive
    shape = len(ratings.user_ids), len(ratings.movie_ids)
    return sparse.csr_matrix((np.ones(at.sum(), np.float32), (part.users[at], part.movies[at])), shape)


def _ranked(ratings: Any, scores: Scores, seen: Any, test: Any) -> tuple[float, float]:
    """NDCG@10 and recall@10, as the RankingEvaluator has them; users in batches."""
    from components.ranking import metrics

    users = np.unique(test.users[test.positive])
    found = []
    for batch in np.array_split(users, max(len(users) // 1000, 1)):
        row = np.full(len(ratings.user_ids), -1)
        row[batch] = np.arange(len(batch))
        positive, candidate = (np.zeros((len(batch), len(ratings.movie_ids)), bool) for _ in range(2))
        candidate[:, ratings.catalogue] = True
        for mask, part, at, value in (
            (candidate, seen, slice(None), False),
            (positive, test, test.positive, True),
        ):
            rows = row[part.users[at]]
            mask[rows[rows >= 0], part.movies[at][rows >= 0]] = value
        lists = metrics.best(scores(batch), positive & candidate, candidate, 10)
        of_batch = metrics.relevance(lists.hits, positive.sum(axis=1), [10])
        found.append([of_batch["ndcg@10"], of_batch["recall@10"]])
    ndcg, recall = np.concatenate(found, axis=1).mean(axis=1)
    return float(ndcg), float(recall)


def _als(x: sparse.csr_matrix, size: float, strength: float, weight: float) -> Scores:
    """Least of the squared errors of positives, and `weight` times all squared scores, by turns."""
    random = np.random.default_rng(0)
    users, movies = (random.normal(0, 0.1 / size**0.5, (n, int(size))).astype(np.float32) for n in x.shape)
    columns = x.T.tocsr()
    for _ in range(10):
        users = _solved(x, movies, strength, weight)
        movies = _solved(columns, users, strength, weight)
    return lambda asked: users[asked] @ movies.T


def _solved(x: sparse.csr_matrix, others: np.ndarray, strength: float, weight: float) -> np.ndarray:
    size, counts = others.shape[1], np.diff(x.indptr)
    found, sums = np.zeros((x.shape[0], size), np.float32), x @ others
    everything, identity = weight * (others.T @ others), np.eye(size, dtype=np.float32)
    rows = np.argsort(counts, kind="stable")
    rows = rows[counts[rows] > 0]
    while len(rows):  # of about one length each
        batch = rows[: max(min(4096, 4_000_000 // (int(counts[rows[min(4095, len(rows) - 1)]]) * size)), 1)]
        rows = rows[len(batch) :]
        places = np.arange(counts[batch].max())
        there = places < counts[batch][:, None]
        vectors = others[x.indices[np.where(there, x.indptr[batch][:, None] + places, 0)]] * there[..., None]
        gram = vectors.transpose(0, 2, 1) @ vectors + everything
        gram += (strength * (counts[batch] + weight * len(others)))[:, None, None] * identity
        found[batch] = np.linalg.solve(gram, sums[batch][..., None])[..., 0]
    return found


if __name__ == "__main__":
    main()
