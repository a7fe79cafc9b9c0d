"""The models beside tuned baselines on one split of MovieLens 100K, under both objectives, as tables.

Each model is a run of the pipeline from the ratings to the RankingEvaluator. The baselines see the same train and eval
rows and are scored on the same test rows: for likes the floors of the RankingEvaluator, which are tuned on eval; for
rankings popularity and EASE (Steck, "Embarrassingly shallow autoencoders for sparse data", 2019; its strength chosen on
test, in its favour).

    python tests/benchmarks/bench_models.py --seeds 42 43 44
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
MODELS = ("dot_product", "two_tower", "mlp", "genre_mlp", "neumf")
FLOORS = {
    "movie mean": "movie_mean",
    "bias regression": "bias_logistic_regression",
    "bias + user x genre": "bias_genre_logistic_regression",
}
COLUMNS = {
    "like": ("auc", "log_loss", "ece"),
    "interaction": ("ndcg@10", "recall@10", "coverage@10"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[42], help="Runs of each model.")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--objectives", nargs="+", default=list(COLUMNS), choices=list(COLUMNS))
    parser.add_argument(
        "--path", default="builtin:ml-100k", help="data.path; that of MovieLens 100K by default."
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        for objective in arguments.objectives:
            names = COLUMNS[objective]
            titles = "".join(f"{name:>18}" for name in names)
            print(f"{objective:<26}{titles}{'parameters':>12}{'CPU s':>8}")
            found: dict[str, Any] = {}
            for model in arguments.models:
                runs = [_run(root, arguments.path, objective, model, seed) for seed in arguments.seeds]
                found = runs[-1]
                values = "".join(f"{_spread([run[name] for run in runs]):>18}" for name in names)
                seconds = np.mean([run["training_cpu_seconds"] for run in runs])
                print(f"{model:<26}{values}{found['parameters']:>12,}{seconds:>8.0f}", flush=True)
            if objective == "interaction":
                examples = str(next(Path(root).glob("*/artifacts/RatingsExampleGen/examples/*")))
                popularity = [found[f"popularity_{name}"] for name in names]
                print(f"{'popularity':<26}{''.join(f'{value:>18.4f}' for value in popularity)}")
                print(f"{'EASE':<26}{''.join(f'{value:>18.4f}' for value in _ease(examples))}")
            else:
                for title, floor in FLOORS.items():
                    values = [found[f"{floor}_{name}"] for name in names if f"{floor}_{name}" in found]
                    print(f"{title:<26}{''.join(f'{value:>18.4f}' for value in values)}")


def _run(root: str, path: str, objective: str, model: str, seed: int) -> dict[str, Any]:
    from pipeline.cli.console import captured
    from pipeline.config import load_config
    from pipeline.state.runs import read_runs

    overrides = [f"root={root}", f"data.path={path}", "name=bench", f"model.objective={objective}"]
    overrides += ["retrieval=null", f"model.name={model}", f"model.seed={seed}"]
    config = load_config(None, overrides)
    with captured(None):
        from pipeline.pipeline import create_sweep_pipeline
        from pipeline.runners import local

        config.pipeline_root.mkdir(parents=True, exist_ok=True)
        local.run(create_sweep_pipeline(config), lambda component, starts: None)
    nodes = read_runs(config)[-1].nodes
    outputs = [nodes["MovieTrainer"].output("model"), nodes["RankingEvaluator"].output("ranking")]
    return {key: value for output in outputs if output for key, value in output.properties.items()}


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.4f}" + (f" ± {np.std(values):.4f}" if len(values) > 1 else "")


def _ease(examples: str) -> tuple[float, float]:
    """The best NDCG@10 and recall@10 of four strengths, by the pipeline's protocol."""
    from components.ranking import data, metrics
    from components.shared.features import LabelRule

    splits = {split: f"{examples}/Split-{split}/*" for split in ("train", "eval", "test")}
    ratings = data.read(splits, LabelRule())
    train, evaluation, test = ratings.splits.values()
    seen = train + evaluation
    shape = (len(ratings.user_ids), len(ratings.movie_ids))
    likes, candidate, positive = np.zeros(shape, np.float32), np.zeros(shape, bool), np.zeros(shape, bool)
    likes[seen.users[seen.liked], seen.movies[seen.liked]] = 1
    candidate[:, ratings.catalogue] = True
    candidate[seen.users, seen.movies] = False
    positive[test.users[test.liked], test.movies[test.liked]] = True
    wanted = positive.sum(axis=1)
    best = (0.0, 0.0)
    for strength in (100, 200, 400, 800):
        inverse = np.linalg.inv(likes.T @ likes + strength * np.eye(shape[1], dtype=np.float32))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        lists = metrics.best(likes @ weights, positive & candidate, candidate, 10)
        found = metrics.relevance(lists.hits, wanted, [10])
        best = max(best, (float(np.nanmean(found["ndcg@10"])), float(np.nanmean(found["recall@10"]))))
    return best


if __name__ == "__main__":
    main()
