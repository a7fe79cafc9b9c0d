"""Evaluation of generated ratings: Marquee's Evaluator against the stock one (TFMA), on the same examples and export.

A run of the pipeline makes the export, of one epoch. Then each evaluator runs in a process of its own: the stock one
of all rows alone, the stock one with our slices (by genre and activity), and ours with the slices. CPU seconds are
those of the executor, user and system, without imports; the figures of the last two are compared.

    python tests/benchmarks/bench_evaluate.py [--rows 1000000] [--no-stock-slices]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

# What a process is asked for -> the title of its column.
WAYS = {"stock": "TFMA, no slices", "stock-slices": "TFMA, slices", "ours": "Marquee, slices"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="Ratings, of which a fifth are evaluated."
    )
    parser.add_argument("--no-stock-slices", action="store_true", help="Leave out what takes minutes.")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one, arguments.folder)))
        return
    ways = [way for way in WAYS if way != "stock-slices" or not arguments.no_stock_slices]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trained(folder, arguments.rows)
        found = {}
        for way in ways:
            done = subprocess.run(
                [sys.executable, "-W", "ignore", __file__, "--one", way, "--folder", str(folder)],
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            found[way] = json.loads(done.stdout.splitlines()[-1])
    ours = found["ours"]
    evaluated = f"{ours['metrics']['all']['example_count']:,.0f}"
    title = f"{evaluated} of {arguments.rows:,} rows, {len(ours['metrics'])} slices"
    print(f"{title:<42}" + "".join(f"{WAYS[way]:>17}" for way in ways))
    print(f"{'CPU seconds':<42}" + "".join(f"{found[way]['seconds']:>17.1f}" for way in ways))
    print(
        f"{'times ours':<42}" + "".join(f"{found[way]['seconds'] / ours['seconds']:>17.1f}" for way in ways)
    )
    if "stock-slices" in found:
        theirs = found["stock-slices"]["metrics"]
        assert theirs.keys() == ours["metrics"].keys()
        most = max(
            abs(value - ours["metrics"][key][name])
            for key, metrics in theirs.items()
            for name, value in metrics.items()
        )
        print(f"{'largest difference of a metric':<42}{most:>51.0e}")


def trained(folder: Path, rows: int) -> None:
    """Ratings, and a run of the pipeline up to the Trainer."""
    from bench_ingest import generate

    from pipeline.cli.console import captured
    from pipeline.config import load_config

    generate(folder, rows)
    with captured(None):
        from pipeline.pipeline import create_sweep_pipeline
        from pipeline.runners import local

        config = load_config(
            None,
            [
                f"root={folder}/root",
                f"data.path={folder}/ours",
                "name=bench",
                "model.epochs=1",
                "model.refit=false",
            ],
        )
        config.pipeline_root.mkdir(parents=True)
        local.run(create_sweep_pipeline(config), lambda component, starts: None)


def measured(way: str, folder: Path) -> dict[str, Any]:
    """CPU seconds of an evaluator, and its metrics by slice."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from evaluators import evaluate, stock
    from tfx.components.evaluator.executor import Executor as StockExecutor

    from components.evaluator.component import Executor
    from pipeline.config import EvaluationConfig
    from pipeline.evaluation import eval_config

    config = eval_config(EvaluationConfig(), "like")
    if way != "ours":
        config = stock(config)
    if way == "stock":
        del config.slicing_specs[1:]
    artifacts = folder / "root" / "bench" / "artifacts"
    examples, model, schema = (
        str(next((artifacts / node).iterdir()))
        for node in ("RatingsExampleGen/examples", "MovieTrainer/model", "ImportSchemaGen/schema")
    )
    began = time.process_time()
    done = evaluate(
        Executor if way == "ours" else StockExecutor,
        folder / "evaluated" / way,
        config,
        examples,
        model,
        schema,
    )
    seconds = time.process_time() - began
    metrics = {
        " ".join(value for pair in key for value in pair) or "all": of
        for key, of in done.values()["candidate"].items()
    }
    return {"seconds": seconds, "metrics": metrics}


if __name__ == "__main__":
    main()
