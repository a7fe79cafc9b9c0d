"""What an answer of the served model takes, in CPU seconds: the signature `recommend` beside the bare arithmetic.

The bare arithmetic is a TensorFlow function of rows of users: the matrix product of the same vectors with those of all
movies, and top_k of it. Both are called in turn in one process. The commands are processes of their own.

    python tests/benchmarks/bench_serving.py [--root FOLDER] [--set model.name=dot_product]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench_gates import cpu_seconds

REPOSITORY = Path(__file__).resolve().parents[2]
SIZES = (1, 100, 1000)
K = 10
_ROUNDS = 15
_A_ROUND = 0.1  # seconds, at least
_MARQUEE = (sys.executable, "-c", "from pipeline.cli import main; main()")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", help="Of a pipeline that has pushed a model; without it, one is run here.")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="As of marquee run.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        overrides = [*arguments.set, f"root={arguments.root or folder}"]
        options = [part for one in overrides for part in ("--set", one)]
        if not arguments.root:
            marquee("run", *options)
        print(f"{'CPU ms a call':<24}{'bare':>10}{'all':>10}{'ratio':>8}{'unseen':>10}{'ratio':>8}")
        for size, bare, everything, unseen in measure(overrides):
            ratios = f"{everything / bare:>8.2f}{1e3 * unseen:>10.3f}{unseen / bare:>8.2f}"
            print(f"{f'{size:,} users':<24}{1e3 * bare:>10.3f}{1e3 * everything:>10.3f}{ratios}")
        for command in (("recommend", "42"), ("similar", "50"), ("status",)):
            took = [marquee(*command, *options) for _ in range(5)]
            print(f"{'marquee ' + ' '.join(command):<24}{statistics.median(took):>8.2f} CPU s")


def measure(overrides: list[str]) -> list[tuple[int, float, float, float]]:
    """CPU seconds of a call by number of users: bare, `recommend` of all movies, and without the rated ones."""
    from components.export import tables
    from pipeline.config import load_config
    from pipeline.operations.served import ServedModel, tensorflow

    tf = tensorflow()
    path = ServedModel(load_config(None, overrides).serving_model_dir).path
    found = tables.read(path)
    if not found:
        raise SystemExit("The served model has no tables to compare with.")
    loaded = tf.saved_model.load(str(path))
    recommend = loaded.signatures["recommend"]
    users, movies = (tf.Variable(of) for of in found.retrieval)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)])
    def bare(rows: object, k: object) -> object:
        return tf.math.top_k(tf.matmul(tf.gather(users, rows), movies, transpose_b=True), k)

    measured = []
    for size in SIZES:
        places = [at % len(found.users) for at in range(size)]
        ids = list(found.users)
        rows, k = tf.constant(places), tf.constant(K)
        asked = tf.constant([ids[at] for at in places])
        calls = [
            lambda rows=rows, k=k: bare(rows, k),
            *(
                lambda asked=asked, k=k, unseen=unseen: recommend(user_ids=asked, k=k, exclude_rated=unseen)
                for unseen in (tf.constant(False), tf.constant(True))
            ),
        ]
        measured.append((size, *in_turn(calls)))
    return measured


def in_turn(calls: list[Callable[[], object]]) -> list[float]:
    """CPU seconds of each, the median of rounds in which all have their turn."""
    many = []
    for call in calls:
        call()
        start, number = time.process_time(), 0
        while time.process_time() - start < _A_ROUND:
            call()
            number += 1
        many.append(number)
    rounds = []
    for _ in range(_ROUNDS):
        took = []
        for call, number in zip(calls, many, strict=True):
            start = time.process_time()
            for _ in range(number):
                call()
            took.append((time.process_time() - start) / number)
        rounds.append(took)
    return [statistics.median(of) for of in zip(*rounds, strict=True)]


def marquee(*arguments: str) -> float:
    """CPU seconds of a command."""
    before = cpu_seconds()
    start = time.process_time()
    subprocess.run([*_MARQUEE, *arguments], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return cpu_seconds() - before - (time.process_time() - start)


if __name__ == "__main__":
    main()
