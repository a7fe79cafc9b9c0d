"""Retraining that runs itself: MovieLens 100K in 30 spans by time, replayed one a run, with two bad ones among them.

Each run reads a window of the newest spans and starts from the last blessed model. Of one span half of the rows are cut
short, in another one user rates 60,000 movies that nobody knows; both are mended before the next span comes.

    python tests/benchmarks/bench_spans.py [--spans 30] [--last 30] [--from 10]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
HEADER = "user_id,movie_id,rating,timestamp"
CUT_SHORT, FLOODED = 15, 20  # the bad spans
_COLUMNS = "{:>5}{:>10}{:>9}{:>8}{:>8}{:>9}{:>10}{:>7}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spans", type=int, default=30, help="Into how many the log is cut.")
    parser.add_argument("--last", type=int, default=30, help="Spans of a window.")
    parser.add_argument(
        "--from", dest="first", type=int, default=10, help="The first run has those up to this."
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        logs, items = _cut(arguments.spans)
        data = folder / "log"
        data.mkdir()
        (data / "movies.csv").write_text(items)
        for number in range(1, arguments.first):
            _write(data, number, logs[number - 1])
        print(
            _COLUMNS.format("span", "window", "rows", "warm", "epochs", "AUC", "NDCG@10", "CPU s", "decision")
        )
        for number in range(arguments.first, arguments.spans + 1):
            rows = logs[number - 1]
            if number == CUT_SHORT:
                rows = [row[: len(row) // 2] if place % 2 else row for place, row in enumerate(rows)]
            elif number == FLOODED:
                rows = [
                    *rows,
                    *(f"1,{place},1,{rows[-1].rsplit(',', 1)[1]}" for place in range(100_000, 160_000)),
                ]
            _write(data, number, rows)
            print(_COLUMNS.format(number, *_run(folder, data, arguments.last)), flush=True)
            _write(data, number, logs[number - 1])


def _cut(spans: int) -> tuple[list[list[str]], str]:
    """Rows of each span, oldest first, and the movies table."""
    from components.example_gen.builtin import movielens_100k

    source = Path(movielens_100k())
    rows = [line.split("\t") for line in (source / "ml-100k.inter").read_text().splitlines()[1:]]
    rows.sort(key=lambda row: float(row[3]))
    text = [",".join([*row[:3], str(int(float(row[3])))]) for row in rows]
    bounds = [len(text) * place // spans for place in range(spans + 1)]
    items = ["movie_id,title,genres"]
    for line in (source / "ml-100k.item").read_text().splitlines()[1:]:
        movie, title, year, genres = line.split("\t")
        items.append(f'{movie},"{title} ({year})",{genres.replace(" ", "|")}')
    return [text[bounds[place] : bounds[place + 1]] for place in range(spans)], "\n".join(items) + "\n"


def _write(data: Path, number: int, rows: list[str]) -> None:
    aside = data / ".writing"
    aside.write_text("\n".join([HEADER, *rows]) + "\n")
    aside.rename(data / f"ratings-{number:02}.csv")


def _run(folder: Path, data: Path, last: int) -> Iterator[str]:
    values = {
        "root": folder / "root",
        "name": "replay",
        "data.path": data,
        "data.layout": "csv",
        "data.ratings_file": "ratings-{SPAN:2}.csv",
        "data.movies_file": "movies.csv",
        "data.spans.last": last,
        # A log that is cut in time has newer users in test than any model knows; the gate is told.
        "model.warm_start": "true",
        "retrieval.warm_start": "true",
        "data_gate.shares.new_users.fatal": 1,
    }
    options = [f"--set={key}={value}" for key, value in values.items()]
    command = [sys.executable, "-c", "from pipeline.cli import main; main()"]
    before = os.times()
    ran = subprocess.run(
        [*command, "run", "--if-new-data", *options],
        check=False,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    asked = subprocess.run(
        [*command, "status", "--json", "--last", "1", *options],
        check=True,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    (run,) = json.loads(asked.stdout)["runs"]
    yield f"{run['first_span']}-{run['last_span']}" if "last_span" in run else "-"
    yield f"{run['num_rows']:,}" if "num_rows" in run else "-"
    yield run.get("warm_start", "-").split()[0][:6]
    yield "+".join(str(run[key]) for key in ("best_epoch", "retrieval_best_epoch") if key in run) or "-"
    yield f"{run['auc']:.4f}" if "auc" in run else "-"
    yield f"{run['ndcg@10']:.4f}" if "ndcg@10" in run else "-"
    yield f"{cpu:.0f}"
    yield _decision(ran, run)


def _decision(ran: subprocess.CompletedProcess[str], run: dict[str, object]) -> str:
    if ran.returncode == 0:
        return f"pushed {run['version']}" if "version" in run else "nothing pushed"
    said = ran.stderr[max(ran.stderr.find("Error: "), 0) :]
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["?"]
    if ran.returncode == 4:
        reason = next((line for line in lines if line.startswith("1. ")), lines[0].removeprefix("Error: "))
        return f"stopped: {reason.removeprefix('1. ')[:90]}"
    if ran.returncode == 3:
        failures = run.get("failures") or run.get("serving_failures") or ["?"]
        return f"refused: {str(failures[0])[:90]}"  # type: ignore[index]
    return f"failed ({ran.returncode}): {lines[0][:90]}"


if __name__ == "__main__":
    main()
