"""Hostile calls of a pushed model: each is answered sanely or refused with an error, and the process lives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import load_config
from pipeline.state.runs import pushed_versions
from tests.conftest import LENIENT

SCRIPT = Path(__file__).parent / "hostile.py"


@pytest.mark.inputs
def test_hostile_calls_of_the_export(marquee, small_slice, tmp_path):
    overrides = [f"data.path={small_slice}", f"root={tmp_path}", "model.epochs=1", *LENIENT]
    done = marquee("run", *(part for one in overrides for part in ("--set", one)))
    assert done.returncode == 0, done.stdout + done.stderr
    version = pushed_versions(load_config(None, overrides).serving_model_dir)[-1]
    asked = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", str(SCRIPT), str(version), "1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    lines = [json.loads(line) for line in asked.stdout.splitlines()]
    assert asked.returncode == 0, f"ended at {lines[-1]}: {asked.stderr[-3000:]}"
    outcomes = [line for line in lines if "name" in line]
    print()
    for one in outcomes:
        print(f"{one['outcome']:<7} {one['name']:<48} {one['message'][:100]}")
    assert len(outcomes) >= 40
    assert not [one for one in outcomes if not one["good"]]
