"""A whole run on generated ratings, stage by stage: Marquee beside a pipeline of TFX's stock components.

Both train one model of likes for the same number of epochs, each in a process of its own. Ours cuts the ratings in time
and evaluates 24 slices, the stock pipeline none.

    python tests/benchmarks/bench_stages.py [--rows 1000000] [--epochs 3] [--no-stock]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from generated import generate
from stages import OURS, STOCK, WHOLE, measure

# Stage -> how many times as much the stock pipeline is to take.
AIMS = {"statistics": 3.4, "transform": 7.0, "train": 2.9, "evaluate": 14.0, WHOLE: 6.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="Ratings.")
    parser.add_argument("--epochs", type=int, default=3, help="Epochs of both.")
    parser.add_argument("--no-stock", action="store_true", help="Ours alone.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        generate(folder, arguments.rows)
        ours = measure(OURS, folder, arguments.epochs).stages
        stock = None if arguments.no_stock else measure(STOCK, folder, arguments.epochs).stages
    print(f"{'':<24}{'CPU seconds':^32}{'aim':>6}{'MB at the peak':^20}".rstrip())
    title = f"{arguments.rows:,} rows"
    print(f"{title:<24}{'stock':>10}{'Marquee':>10}{'ratio':>8}{'at least':>10}{'stock':>10}{'Marquee':>10}")
    for name, our in ours.items():
        aim = f"{AIMS[name]:.1f}" if name in AIMS else ""
        cpu = memory = ratio = "-"
        if stock and stock[name].memory:
            cpu, memory = f"{stock[name].cpu:.1f}", f"{stock[name].memory:.0f}"
            ratio = f"{stock[name].cpu / our.cpu:.1f}"
        print(f"{name:<24}{cpu:>10}{our.cpu:>10.1f}{ratio:>8}{aim:>10}{memory:>10}{our.memory:>10.0f}")


if __name__ == "__main__":
    main()
