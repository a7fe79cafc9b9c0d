"""Ingest of generated ratings: Marquee's ExampleGen against TFX's CsvExampleGen, in one run on one machine.

Each runs in a process of its own. CPU seconds are those of the process (user and system), reported in all and
net of what importing it takes; memory is the peak resident set. Both read the same rows: CsvExampleGen a CSV
that already holds each movie's genres, as it cannot join, and Marquee a MovieLens folder with its movies table.

    python tests/benchmarks/bench_ingest.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
GENRES = [
    "Action",
    "Adventure",
    "Children",
    "Comedy",
    "Crime",
    "Drama",
    "Fantasy",
    "Horror",
    "Romance",
    "Thriller",
]


def generate(folder: Path, rows: int) -> None:
    """Writes ratings.csv and movies.csv in `folder`/ours, and the join of the two in `folder`/stock."""
    rng = np.random.default_rng(0)
    n_users, n_movies = max(rows // 165, 20), 3_900
    genres = ["|".join(rng.choice(GENRES, rng.integers(1, 4), replace=False)) for _ in range(n_movies)]
    # Popular movies have most ratings; nobody rates a movie twice.
    drawn = np.minimum((n_movies * rng.random(2 * rows) ** 2).astype(np.int64), n_movies - 1)
    pairs = np.unique(rng.integers(1, n_users + 1, 2 * rows) * n_movies + drawn)
    users, movies = np.divmod(np.sort(rng.choice(pairs, rows, replace=False)), n_movies)
    ratings = rng.integers(1, 11, rows) / 2
    times = 950_000_000 + rng.integers(0, 90_000_000, rows)
    for name in ("ours", "stock"):
        (folder / name).mkdir()
    with (
        (folder / "ours/ratings.csv").open("w") as ours,
        (folder / "stock/joined.csv").open("w") as stock,
    ):
        ours.write("userId,movieId,rating,timestamp\n")
        stock.write("user_id,movie_id,rating,timestamp,genres\n")
        for user, movie, rating, time in zip(
            users.tolist(), movies.tolist(), ratings.tolist(), times.tolist(), strict=True
        ):
            ours.write(f"{user},{movie + 1},{rating},{time}\n")
            stock.write(f"{user},{movie + 1},{rating},{time},{genres[movie]}\n")
    with (folder / "ours/movies.csv").open("w") as table:
        table.write("movieId,title,genres\n")
        for movie in range(n_movies):
            table.write(f'{movie + 1},"Movie, The {movie + 1} (1999)",{genres[movie]}\n')


def run(name: str, data: str, root: str, only_import: bool) -> int:
    """Runs one component; this is what the measured process does. Returns how many rows it wrote."""
    from tfx.orchestration import metadata, pipeline
    from tfx.orchestration.local import local_dag_runner

    if name == "ours":
        sys.path.insert(0, str(REPOSITORY))
        from components.example_gen import component, detection
        from components.example_gen.settings import IngestSettings
    else:
        from tfx.components.example_gen.csv_example_gen import component
        from tfx.components.example_gen.csv_example_gen import executor as _executor  # noqa: F401
    if only_import:
        return 0
    if name == "ours":
        settings = IngestSettings()
        example_gen = component.RatingsExampleGen(detection.detect(data, settings), settings)
    else:
        example_gen = component.CsvExampleGen(input_base=data)
    local_dag_runner.LocalDagRunner().run(
        pipeline.Pipeline(
            pipeline_name="bench",
            pipeline_root=root,
            components=[example_gen],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(f"{root}/metadata.db"),
        )
    )
    return 0


def measure(name: str, folder: Path, only_import: bool) -> dict[str, float]:
    """CPU seconds and peak memory (MB) of a fresh process."""
    root = folder / f"{name}-{'import' if only_import else 'run'}"
    command = [sys.executable, "-W", "ignore", __file__, "--child", name, str(folder / name), str(root)]
    root.mkdir()
    with (folder / "log").open("a") as log:
        child = subprocess.Popen(
            [*command, *(["--only-import"] if only_import else [])],
            stdout=log,
            stderr=log,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{name} failed:\n" + (folder / "log").read_text()[-3000:])
    size = sum(p.stat().st_size for p in root.rglob("data_tfrecord*"))
    return {"cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024, "output": size / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="print JSON rather than a table")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--only-import", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        raise SystemExit(run(*args.child, args.only_import))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        generate(folder, args.rows)
        results = {}
        for name in ("stock", "ours"):
            imports, whole = measure(name, folder, only_import=True), measure(name, folder, only_import=False)
            results[name] = {
                "cpu": whole["cpu"],
                "net": whole["cpu"] - imports["cpu"],
                "memory": whole["memory"],
                "net memory": whole["memory"] - imports["memory"],
                "output": whole["output"],
            }
    if args.json:
        print(json.dumps(results, indent=2))
        return
    labels = {
        "cpu": "CPU seconds in all",
        "net": "CPU seconds net of imports",
        "memory": "peak memory, MB",
        "net memory": "peak memory net of imports, MB",
        "output": "TFRecords, MB",
    }
    print(f"{args.rows:,} rows{'':<22}{'CsvExampleGen':>14}{'Marquee':>10}{'ratio':>8}")
    for key, label in labels.items():
        stock, ours = results["stock"][key], results["ours"][key]
        print(f"{label:<36}{stock:>14.1f}{ours:>10.1f}{stock / ours:>8.1f}")


if __name__ == "__main__":
    main()
