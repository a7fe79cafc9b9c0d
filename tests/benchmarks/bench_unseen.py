"""The default recommender beside tuned baselines, on data that its settings were not all chosen on, as tables.

Each set goes through the pipeline as it comes, from the ratings to the RankingEvaluator, one model a run: no key is
changed but `retrieval`, `model.objective` and, for likes, `model.name`. The baselines see the same train and eval rows,
are tuned on eval, learn from both, and are scored on the same test rows: by the RankingEvaluator itself its floors,
which for likes are the bias logistic regression and the one with a weight for each user and genre besides, and for
rankings popularity and EASE (Steck, 2019); ItemKNN by the floor's code; ALS (Hu et al., "Collaborative filtering for
implicit feedback datasets", 2008, with the penalty of Rendle et al., 2022).

Thinned sets keep 3 to 8 ratings of each user, drawn at random, and are cut at one moment for all
(`data.split.method=time`).

    python tests/benchmarks/bench_unseen.py --sets ml-100k ml-latest-small --objectives like

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
    parser.add_argument("--no-thinned", action="store_true", help="Whole sets only.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        for name, thinned in itertools.product(arguments.sets, (False, True)):
            path = "builtin:ml-100k" if name == "ml-100k" else str(SHARED / name)
            if name != "ml-100k" and not Path(path).is_dir():
                print("" if thinned else f"{name}: left out, as {path} is not there\n", end="")
            elif not (thinned and arguments.no_thinned):
                _compare(root, name, path, thinned, arguments.objectives)


def _compare(root: str, name: str, path: str, thinned: bool, objectives: list[str]) -> None:
    overrides = [f"data.path={path}", f"name={name}"]
    if thinned:
        name += ", thinned"
        folder = Path(root) / name.replace(", ", "-")
        _thin(path, folder)
        overrides = [f"data.path={folder}", f"name={folder.name}", "data.split.method=time"]
    if "like" in objectives:
        print(f"\n{name + ', likes':<26}{'AUC':>10}{'log-loss':>12}{'CPU s':>8}")
        of: dict[str, Any] = {}
        for model in LIKES:
            of = _run(root, [*overrides, f"model.name={model}", "retrieval=null"])
            seconds = of["training_cpu_seconds"]
            print(f"{model:<26}{of['auc']:>10.4f}{of['log_loss']:>12.4f}{seconds:>8.1f}", flush=True)
        for title, floor in FLOORS.items():
            if f"{floor}_auc" in of:
                print(f"{title:<26}{of[f'{floor}_auc']:>10.4f}{of[f'{floor}_log_loss']:>12.4f}", flush=True)
    if "interaction" in objectives:
        found = _run(root, [*overrides, "model.objective=interaction"])
        print(f"\n{name + ', rankings':<26}{'NDCG@10':>10}{'recall@10':>12}{'CPU s':>8}")
        seconds = found["training_cpu_seconds"]
        print(f"{'dot_product':<26}{found['ndcg@10']:>10.4f}{found['recall@10']:>12.4f}{seconds:>8.1f}")
        for other in ("ease", "popularity"):
            print(f"{other:<26}{found[f'{other}_ndcg@10']:>10.4f}{found[f'{other}_recall@10']:>12.4f}")
        artifacts = Path(root) / overrides[1].removeprefix("name=") / "artifacts"
        for other, (ndcg, recall) in _baselines(artifacts / "RatingsExampleGen" / "examples").items():
            print(f"{other:<26}{ndcg:>10.4f}{recall:>12.4f}", flush=True)


def _thin(path: str, folder: Path, seed: int = 7) -> None:
    """Writes 3 to 8 ratings of each user, and the movies table, in the layout in which they came."""
    source, ratings, movies, options = _layout(path)
    log = pd.read_csv(source / ratings, names=_COLUMNS, **options)
    random = np.random.default_rng(seed)
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
