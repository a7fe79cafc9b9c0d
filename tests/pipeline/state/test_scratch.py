"""The temporary folder of a run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline.state.scratch import temporary_folder


def test_files_of_this_and_of_child_processes_are_gone_at_the_end(tmp_path):
    before = tempfile.gettempdir()
    with temporary_folder(tmp_path):
        own = tempfile.mkdtemp()
        of_child = subprocess.run(
            [sys.executable, "-c", "import tempfile; print(tempfile.mkdtemp())"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for path in (own, of_child):
            assert Path(path).is_dir()
            assert path.startswith(str(tmp_path))
    assert not list(tmp_path.iterdir())
    assert tempfile.gettempdir() == before


def test_what_a_dead_process_left_is_removed(tmp_path):
    script = (
        "import os, sys, tempfile; from pathlib import Path; from pipeline.state.scratch import temporary_folder\n"
        "with temporary_folder(Path(sys.argv[1])): tempfile.mkdtemp(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    (left,) = (tmp_path / "tmp").iterdir()
    with temporary_folder(tmp_path):
        assert not left.exists()


def test_one_that_has_lost_the_lock_leaves_that_of_the_next_alone(tmp_path):
    script = (
        "import sys; from pathlib import Path; from pipeline.state.scratch import temporary_folder\n"
        "with temporary_folder(Path(sys.argv[1])): print(flush=True); input()"
    )
    lost = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert lost.stdout.readline()
    with temporary_folder(tmp_path):
        kept = Path(tempfile.mkdtemp())
        lost.communicate("\n")
        assert lost.returncode == 0
        assert kept.is_dir()
    assert not list(tmp_path.iterdir())
