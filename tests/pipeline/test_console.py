"""What a terminal and a pipe get to see."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.conftest import REPOSITORY

# What KerasTuner, Keras and compiled code do while a component runs.
NOISE = """
import logging, os, sys, time
from pathlib import Path
from pipeline.console import captured, progress, spinner

with captured(Path(sys.argv[1])) as console:
    assert console.is_terminal
    with spinner(console, "MovieTuner..."), progress(console):
        for number in range(40):
            print("noise of Python", number)
        print("noise on stderr", file=sys.stderr)
        os.write(1, b"noise of compiled code\\n")
        logging.getLogger("marquee.progress").info("trial 1 of 4")
        time.sleep(0.3)  # a few frames
    console.print("MovieTuner done")
"""


def on_a_terminal(script: str, *arguments: str) -> str:
    """What a script prints on a pseudo-terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm"},
    ) as process:
        os.close(follower)
        printed = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # the end of a terminal, as Linux tells it
                break
            printed += part
    os.close(leader)
    assert process.returncode == 0, printed.decode()
    return printed.decode()


def test_what_components_print_goes_to_the_log_on_a_terminal_too(tmp_path):
    log = tmp_path / "log"
    printed = on_a_terminal(NOISE, str(log))
    assert "noise" not in printed
    for shown in ("MovieTuner...", "trial 1 of 4", "MovieTuner done"):
        assert shown in printed
    kept = log.read_text()
    assert kept.count("noise of Python") == 40
    assert "noise on stderr" in kept
    assert "noise of compiled code" in kept
