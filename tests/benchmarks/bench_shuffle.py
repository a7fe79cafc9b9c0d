"""What the Beam stages move between workers, and what a worker holds: a run on a Flink cluster of this machine.

Bytes are those that Flink counts at its vertices (what one task writes for others to read: shuffles, and side inputs
as often as they are read). A worker is Beam's process of Python beside a task manager, of which there are two; its
memory is the most it ever held (resident set), TensorFlow's 0.6 GB included where it imports it.

    make bench-shuffle [ARGS="--rows 100000 1000000"]    (needs .flink/jars, see `make test-flink`, and root)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from generated import generate

from components.shared.artifacts import EVALUATOR, EXAMPLE_GEN, STATISTICS_GEN, TRANSFORM
from tests.conftest import COMMAND, LENIENT, REPOSITORY
from tests.engines import flink

HEAP_MB = 3000  # 448 are enough for a million rows
STAGES = (EXAMPLE_GEN, STATISTICS_GEN, TRANSFORM, EVALUATOR)  # a job each, in this order


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    arguments = parser.parse_args()
    missing = flink.missing()
    if missing:
        raise SystemExit(missing)
    found = {rows: measure(rows) for rows in arguments.rows}
    print(f"\n{'rows':<20}" + "".join(f"{rows:>36,}" for rows in found))
    print(f"{'':<20}" + f"{'shuffled MB':>12}{'records':>11}{'worker MB':>13}" * len(found))
    for stage in STAGES:
        cells = [of[stage] for of in found.values()]
        print(
            f"{stage:<20}"
            + "".join(
                f"{cell['bytes'] / 1e6:>12.1f}{cell['records']:>11,}{cell['memory']:>13.0f}" for cell in cells
            )
        )


def measure(rows: int) -> dict[str, dict[str, Any]]:
    """Stage -> bytes and records written at Flink's vertices, and the most MB that a worker held."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        generate(folder, rows)
        with flink.cluster(folder / "flink", heap_mb=HEAP_MB) as cluster:
            memory, stop = {}, threading.Event()
            watching = threading.Thread(target=_watch, args=(cluster, memory, stop))
            watching.start()
            try:
                overrides = [
                    f"root={folder / 'root'}",
                    f"data.path={folder / 'ours'}",
                    f"beam.args={flink.beam_arguments(2)}",
                    "retrieval=null",
                    "model.epochs=1",
                    *LENIENT,
                ]
                subprocess.run(
                    [*COMMAND, "run", *(f"--set={one}" for one in overrides)],
                    check=True,
                    env={**os.environ, "PYTHONPATH": str(REPOSITORY), "JOB_PORT": str(cluster.job_port)},
                )
            finally:
                stop.set()
                watching.join()
            jobs = sorted(cluster.ask("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
            assert len(jobs) == len(STAGES), jobs
            found = {}
            for stage, job in zip(STAGES, jobs, strict=True):
                vertices = [one["metrics"] for one in cluster.ask(f"/jobs/{job['jid']}")["vertices"]]
                found[stage] = {
                    "bytes": sum(one["write-bytes"] for one in vertices),
                    "records": sum(one["write-records"] for one in vertices),
                    "memory": memory.get(job["jid"], 0),
                }
            return found


def _watch(cluster: flink.Cluster, memory: dict[str, float], stop: threading.Event) -> None:
    """The largest worker by the job that runs."""
    while not stop.wait(0.5):
        running = [job["jid"] for job in cluster.ask("/jobs/overview")["jobs"] if job["state"] == "RUNNING"]
        for job in running:
            memory[job] = max([memory.get(job, 0), *_workers()])


def _workers() -> list[float]:
    """Resident MB of Beam's worker processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"SdkHarness(" in (path / "cmdline").read_bytes():
                pages = int((path / "statm").read_text().split()[1])
                found.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


if __name__ == "__main__":
    main()
