"""Ctrl-C and SIGTERM in one component after the other, on one root: each run takes up the one before."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pipeline.config import load_config
from pipeline.state.runs import read_runs
from tests.conftest import LENIENT
from tests.faults.checks import check_put_right
from tests.pipeline.cli.test_interrupts import SIGNALS, check_ended, start, wait_for

# Component -> a folder that appears when it runs, and seconds from then on, so that the middle of it is met.
PLACES = {
    "StatisticsGen": ("StatisticsGen/statistics", 0.05),
    "Transform": ("Transform/transform_graph", 2.0),
    "MovieTuner": ("../tuning", 6.0),
    "MovieTrainer": ("MovieTrainer/model", 1.0),
    "Evaluator": ("Evaluator/evaluation", 0.5),
    "RankingEvaluator": ("RankingEvaluator/ranking", 0.2),
    "ServingValidator": ("ServingValidator/blessing", 1.0),
}


@pytest.mark.faults
@pytest.mark.parametrize("first", [0, 1], ids=["SIGINT-first", "SIGTERM-first"])
def test_each_component_is_interrupted_and_taken_up(small_slice, tmp_path, first):
    overrides = [f"data.path={small_slice}", f"root={tmp_path}", "model.epochs=6", *LENIENT]
    overrides += ["tuning.tune=true", "tuning.max_trials=12", "tuning.keys=[embedding_dim, learning_rate]"]
    config, options = load_config(None, overrides), [f"--set={one}" for one in overrides]
    completed: set[str] = set()
    for number, (place, (folder, seconds)) in enumerate(PLACES.items()):
        wanted, code, word = SIGNALS[(first + number) % 2].values
        process = start("run", *options)
        wait_for(config.artifact_root / folder, process)
        time.sleep(seconds)
        asked = time.monotonic()
        # To the group, as a terminal does; or to the process alone, as a supervisor does.
        os.killpg(process.pid, wanted) if wanted == signal.SIGINT else process.send_signal(wanted)
        check_ended(config, process, code, word, place)
        print(f"{wanted.name} in {place}: ended {time.monotonic() - asked:.1f} s later", flush=True)
        run = read_runs(config)[-1]
        assert {node.id for node in run.nodes.values() if node.state == "cached"} >= completed
        completed |= {
            node.id for node in run.nodes.values() if node.state in ("done", "cached") and not node.resolver
        }
    process = start("run", *options)
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, ""), out
    check_put_right(config)
    assert read_runs(config)[-1].state == "done"
