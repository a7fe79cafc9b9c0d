"""Runs a whole pipeline in a process of its own, and measures each of its stages; for bench_stages and bench_scale.

CPU seconds are user and system, those of child processes included; memory is the resident set of the process and of
its children, and disk is what lies under the folder of the run, temporary files among it. The last two are sampled from
outside.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, TextIO

REPOSITORY = Path(__file__).resolve().parents[2]
OURS, STOCK = "ours", "stock"
IMPORTS, REST, WHOLE = "imports", "the rest", "whole run"
# Stage -> its nodes in either pipeline; what is in none of them is the rest.
STAGES = {
    IMPORTS: (),
    "ingest": ("RatingsExampleGen", "CsvExampleGen"),
    "statistics": ("StatisticsGen",),
    "data gate": ("ExampleValidator", "DataGate"),
    "transform": ("Transform",),
    "train": ("MovieTrainer", "Trainer"),
    "evaluate": ("Evaluator",),
    "ranking": ("RankingEvaluator",),
    "bless, validate, push": ("Blessing", "ServingValidator", "Pusher"),
    REST: (),
}
_OF_NODE = {node: stage for stage, nodes in STAGES.items() for node in nodes}
_EVERY = 0.1  # seconds
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Stage:
    """CPU seconds, and MB at the peak."""

    cpu: float = 0.0
    memory: float = 0.0


@dataclass
class Measured:
    """A run: its stages, the last of which is the whole, and the most MB that it had on disk."""

    stages: dict[str, Stage] = field(default_factory=dict)
    disk: float = 0.0


def measure(way: str, folder: Path, epochs: int) -> Measured:
    """Runs a pipeline on the ratings of `generated.generate` in `folder`, and removes what it wrote.

    Args:
        way: OURS or STOCK.
        folder: That of the ratings.
        epochs: Of the training.

    Raises:
        SystemExit: It failed, or did not push a model.
    """
    root = folder / f"run-{way}"
    (root / "tmp").mkdir(parents=True)
    log, events = root / "log", root / "events"
    samples: list[tuple[float, float]] = []
    disk = 0.0
    with log.open("w") as output, _running(way, folder, epochs, output, root / "tmp") as child:
        ended = 0
        while not ended:
            samples.append((time.time(), sum(_resident(child.pid)) / 2**20))
            disk = max(disk, _size(root) / 2**20)
            time.sleep(_EVERY)
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        child.returncode = os.waitstatus_to_exitcode(status)
    if status or not any(root.glob("**/serving/*/saved_model.pb")):
        raise SystemExit(f"{way} failed:\n" + log.read_text()[-3000:])
    marks = [json.loads(line) for line in events.read_text().splitlines()]
    shutil.rmtree(root)
    return Measured(_stages(marks, samples, usage.ru_utime + usage.ru_stime), disk)


@contextmanager
def _running(
    way: str, folder: Path, epochs: int, output: TextIO, temporary: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The process to be measured; it does not outlive this one, also when that is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, way, str(folder), str(epochs)],
        stdout=output,
        stderr=output,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": str(temporary)},
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            child.wait()


def _stages(
    marks: list[dict[str, Any]], samples: list[tuple[float, float]], whole: float
) -> dict[str, Stage]:
    """What lies between two marks goes to the stage of the latter."""
    found = {stage: Stage() for stage in STAGES}
    before = {"cpu": 0.0, "time": 0.0}
    for mark in [*marks, {"node": "", "cpu": whole, "time": float("inf")}]:
        stage = found[_OF_NODE.get(mark["node"], mark["node"] if mark["node"] == IMPORTS else REST)]
        stage.cpu += mark["cpu"] - before["cpu"]
        memory = [size for at, size in samples if before["time"] <= at < mark["time"]]
        stage.memory = max([stage.memory, *memory])
        before = mark
    return found | {WHOLE: Stage(whole, max(size for _, size in samples))}


def _resident(pid: int) -> Iterator[int]:
    """Bytes of a process and of all below it."""
    try:
        yield int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        for task in Path(f"/proc/{pid}/task").iterdir():
            for below in (task / "children").read_text().split():
                yield from _resident(int(below))
    except (OSError, IndexError):
        return  # it has ended


def _size(folder: Path) -> int:
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH118
            except OSError:
                continue  # it is gone
    return size


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def run(way: str, folder: Path, epochs: int) -> None:
    """What the measured process does."""
    root = folder / f"run-{way}"
    with (root / "events").open("w", buffering=1) as events:

        def mark(node: str) -> None:
            events.write(json.dumps({"node": node, "cpu": cpu(), "time": time.time()}) + "\n")

        _PIPELINES[way](folder, root, epochs, mark)


def _observed(mark: Callable[[str], None]) -> None:
    """Marks where a node starts, as the end of what is between two, and where it ends."""
    from tfx.orchestration.portable.launcher import Launcher

    stock = Launcher.launch

    @wraps(stock)
    def launch(self: Launcher) -> Any:
        mark(REST)
        try:
            return stock(self)
        finally:
            mark(self._pipeline_node.node_info.id)

    Launcher.launch = launch


def _ours(folder: Path, root: Path, epochs: int, mark: Callable[[str], None]) -> None:
    sys.path.insert(0, str(REPOSITORY))
    import pipeline.cli
    from pipeline.runners.loading import loading

    with loading(search=False, engine=False):
        import pipeline.pipeline
        import pipeline.runners.local

    mark(IMPORTS)
    _observed(mark)
    values = {
        "root": root,
        "name": "bench",
        "data.path": folder / OURS,
        "model.epochs": epochs,
        "retrieval": "null",  # one model, that of likes
    }
    options = [text for key, value in values.items() for text in ("--set", f"{key}={value}")]
    pipeline.cli.main(["run", *options])


def _stock(folder: Path, root: Path, epochs: int, mark: Callable[[str], None]) -> None:
    from stock.pipeline import create_pipeline
    from tfx import v1 as tfx

    mark(IMPORTS)
    _observed(mark)
    tfx.orchestration.LocalDagRunner().run(create_pipeline(folder / STOCK, root, epochs))


_PIPELINES = {OURS: _ours, STOCK: _stock}

if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
