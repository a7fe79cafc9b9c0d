"""The models of the pipeline beside simple baselines on one split of MovieLens 100K, as a table.

Each model is a run of the whole pipeline; the baselines see the same train and eval rows and are scored on the same
test rows: the mean of a movie's labels (smoothed by five likes at the overall rate), and a logistic regression on
user and movie (scikit-learn, C chosen on eval).

    python tests/benchmarks/bench_models.py --seeds 42 43 44
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

MODELS = ("dot_product", "mlp", "genre_mlp")
MARQUEE = str(Path(sys.executable).parent / "marquee")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[42], help="Runs of each model.")
    parser.add_argument(
        "--path", default="builtin:ml-100k", help="data.path; that of MovieLens 100K by default."
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        print(f"{'model':<26}{'AUC':>16}{'log-loss':>16}{'parameters':>12}{'CPU s':>8}")
        examples = ""
        for model in MODELS:
            runs = [_run(root, arguments.path, model, seed) for seed in arguments.seeds]
            auc, loss = (_spread([run[key] for run in runs]) for key in ("auc", "log_loss"))
            seconds = np.mean([run["cpu_seconds"] for run in runs])
            print(f"{model:<26}{auc:>16}{loss:>16}{runs[0]['parameters']:>12,}{seconds:>8.0f}", flush=True)
            examples = examples or str(next(Path(root).glob("*/artifacts/RatingsExampleGen/examples/*")))
        for name, (auc, loss) in _baselines(examples).items():
            print(f"{name:<26}{auc:>16.4f}{loss:>16.4f}")


def _run(root: str, path: str, model: str, seed: int) -> dict[str, Any]:
    # A pipeline of its own a run, so that none is compared with another.
    name = f"{model}-{seed}"
    options = ["--set", f"root={root}", "--set", f"data.path={path}", "--set", f"name={name}"]
    settings = ["--set", f"model.name={model}", "--set", f"model.seed={seed}"]
    done = subprocess.run(
        [MARQUEE, "run", *options, *settings],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.stderr:
        sys.exit(done.stderr)
    status = subprocess.run(
        [MARQUEE, "status", "--json", *options], check=True, capture_output=True, text=True
    )
    return json.loads(status.stdout)["runs"][-1]


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.4f}" + (f" ± {np.std(values):.4f}" if len(values) > 1 else "")


def _baselines(examples: str) -> dict[str, tuple[float, float]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.preprocessing import OneHotEncoder

    train, evaluation, test = (
        _read(Path(examples) / f"Split-{split}") for split in ("train", "eval", "test")
    )
    ids = np.concatenate([train[0], evaluation[0]])
    liked = np.concatenate([train[1], evaluation[1]])
    movies, index = np.unique(ids[:, 1], return_inverse=True)
    rates = (np.bincount(index, liked) + 5 * liked.mean()) / (np.bincount(index) + 5)
    rate_of = dict(zip(movies, rates, strict=True))
    predictions = {"movie mean": np.array([rate_of.get(movie, liked.mean()) for movie in test[0][:, 1]])}

    def regression(c: float, ids: np.ndarray, liked: np.ndarray, asked: np.ndarray) -> np.ndarray:
        encoder = OneHotEncoder(handle_unknown="ignore").fit(ids)
        model = LogisticRegression(C=c, max_iter=1000).fit(encoder.transform(ids), liked)
        return model.predict_proba(encoder.transform(asked))[:, 1]

    best = min((0.1, 0.3, 1, 3), key=lambda c: log_loss(evaluation[1], regression(c, *train, evaluation[0])))
    predictions[f"bias regression (C={best})"] = regression(best, ids, liked, test[0])
    return {
        name: (roc_auc_score(test[1], scores), log_loss(test[1], scores))
        for name, scores in predictions.items()
    }


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids, bytes (N, 2), and whether liked, bool (N,)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    spec = {key: tf.io.FixedLenFeature([], tf.string) for key in ("user_id", "movie_id")}
    spec["rating"] = tf.io.FixedLenFeature([], tf.float32)
    files = tf.data.TFRecordDataset(sorted(map(str, folder.iterdir())), compression_type="GZIP")
    rows = list(files.batch(65_536).map(lambda batch: tf.io.parse_example(batch, spec)))
    ids = [np.concatenate([batch[key].numpy() for batch in rows]) for key in ("user_id", "movie_id")]
    return np.stack(ids, axis=1), np.concatenate([batch["rating"].numpy() for batch in rows]) >= 4


if __name__ == "__main__":
    main()
