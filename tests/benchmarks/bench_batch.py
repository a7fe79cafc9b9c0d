"""Recommendations for many users: `marquee batch` beside a loop that asks the same export for one user at a time.

Trains on MovieLens 100K first, or takes the served version of a pipeline. Users are asked for in turn, as often as it
takes; CPU seconds are those of the answers and of what is written, without imports and loading.

    python tests/benchmarks/bench_batch.py [--users 50000] [--looped 2000] [--serving FOLDER]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
K = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=50_000, help="Of the batch.")
    parser.add_argument("--looped", type=int, default=2_000, help="Of the loop.")
    parser.add_argument("--serving", help="Folder of pushed versions.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        serving = Path(arguments.serving) if arguments.serving else _trained(folder)
        _compare(serving, folder, arguments.users, arguments.looped)


def _trained(folder: Path) -> Path:
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "run", f"--set=root={folder}"]
    subprocess.run(command, check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    return folder / "ml-100k" / "serving"


def _compare(serving: Path, folder: Path, users: int, looped: int) -> None:
    from pipeline.engine import IN_PROCESS
    from pipeline.operations.batch import batch
    from pipeline.operations.served import ServedModel

    served = ServedModel(serving)
    known = (served.path / "assets" / "user_id").read_text().split()
    asked, out = folder / "users.txt", folder / "out.parquet"
    few = folder / "few.txt"
    few.write_text("\n".join(known[:2]))
    asked.write_text("\n".join(known[place % len(known)] for place in range(users)))
    batch(served, out, few, K, True, IN_PROCESS)  # imports Beam
    served.recommend(known[:1], K, exclude_rated=True)
    before = _cpu()
    written = batch(served, out, asked, K, True, IN_PROCESS)
    ours = (_cpu() - before) / users
    before = _cpu()
    for place in range(looped):
        served.recommend([known[place % len(known)]], K, exclude_rated=True)
    theirs = (_cpu() - before) / looped
    print(
        f"{len(served.movies):,} movies, {K} for each of {written.users:,} users, {out.stat().st_size / 2**20:.1f} MB"
    )
    print(f"{'':<20}{'CPU ms a user':>15}{'users a CPU minute':>20}")
    for name, seconds in (("one by one", theirs), ("marquee batch", ours)):
        print(f"{name:<20}{seconds * 1000:>15.3f}{60 / seconds:>20,.0f}")
    print(f"ratio {theirs / ours:.1f}")


def _cpu() -> float:
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
