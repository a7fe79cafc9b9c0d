"""How CPU seconds, memory and disk of a whole run grow with the rows: Marquee, and the stock pipeline on up to 1M.

Each run is a process of its own on generated ratings, see `bench_stages`. Growth is that of a stage's CPU seconds over
that of the rows, from 1M to the most; above 1.2 it is marked.

    python tests/benchmarks/bench_scale.py [--rows 100000 1000000 5000000 20000000] [--epochs 3] [--no-stock]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from generated import generate
from stages import OURS, STOCK, Measured, measure

_FROM = 1_000_000
_STOCK_TO = 1_000_000
_MARKED = 1.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, _FROM, 5_000_000, 20_000_000])
    parser.add_argument("--epochs", type=int, default=3, help="Epochs of each run.")
    parser.add_argument("--no-stock", action="store_true", help="Ours alone.")
    arguments = parser.parse_args()
    found: dict[str, dict[int, Measured]] = {OURS: {}, STOCK: {}}
    for rows in sorted(arguments.rows):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            generate(folder, rows)
            found[OURS][rows] = measure(OURS, folder, arguments.epochs)
            if rows <= _STOCK_TO and not arguments.no_stock:
                found[STOCK][rows] = measure(STOCK, folder, arguments.epochs)
    for way, title in ((OURS, "Marquee"), (STOCK, "Stock components")):
        if found[way]:
            print(f"\n{title}")
            print_table(found[way])


def print_table(runs: dict[int, Measured]) -> None:
    """CPU seconds and MB of each stage by the number of rows, and how the CPU seconds grow."""
    most = max(runs)
    grows = _FROM in runs and most > _FROM
    print(f"{'rows':<24}" + "".join(f"{rows:>20,}" for rows in runs) + ("    growth" if grows else ""))
    print(f"{'':<24}" + f"{'CPU s':>12}{'MB':>8}" * len(runs))
    for stage in runs[most].stages:
        cells = [run.stages[stage] for run in runs.values()]
        if not any(cell.memory for cell in cells):
            continue
        line = f"{stage:<24}" + "".join(f"{cell.cpu:>12.1f}{cell.memory:>8.0f}" for cell in cells)
        if grows and runs[_FROM].stages[stage].cpu:
            growth = runs[most].stages[stage].cpu / runs[_FROM].stages[stage].cpu / (most / _FROM)
            line += f"{growth:>10.2f}" + (" above 1.2" if growth > _MARKED else "")
        print(line)
    print(f"{'disk at its peak, MB':<24}" + "".join(f"{run.disk:>20.0f}" for run in runs.values()))


if __name__ == "__main__":
    main()
