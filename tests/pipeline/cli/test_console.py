"""What a terminal and a pipe get to see."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import pytest

from pipeline.cli.console import PlainConsole, print_table, printable, spinner
from tests.conftest import REPOSITORY

# What KerasTuner, Keras and compiled code do while a component runs.
NOISE = """
import logging, os, sys, time
from pathlib import Path
from pipeline.cli.console import captured, progress, spinner

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


def shown(width: int, columns, rows, droppable=()) -> list[str]:
    console = PlainConsole(file=io.StringIO(), width=width, highlight=False, markup=False)
    print_table(console, "Title", columns, rows, droppable)
    return console.file.getvalue().splitlines()


HISTORY = [
    ("version", "left"),
    ("state", "left"),
    ("pushed", "left"),
    ("run", "left"),
    ("ratings until", "left"),
    ("for", "left"),
    ("decided by", "left"),
    ("blessing", "left"),
]
RELEASE = [
    "1795465522",
    "served",
    "2026-11-23 20:24:12",
    "2026-11-23 20:24:12",
    "1998-04-22",
    "interaction",
    "NDCG@10 0.1960 (baseline 0.1932)",
    "forced by somebody@a-host.example: the eval split is broken, see ticket 12",
]
SWEEP = [("embedding_dim", "right"), *((f"figure {i}", "right") for i in range(12)), ("", "left")]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
@pytest.mark.parametrize(
    ("columns", "row", "droppable"),
    [
        (HISTORY, RELEASE, ("run", "ratings until", "for", "state")),
        (SWEEP, ["32", *(f"0.{i:02}45" for i in range(12)), "best"], ("figure 1", "figure 11")),
    ],
    ids=["history", "sweep"],
)
def test_no_figure_is_cut_at_any_width(width, columns, row, droppable):
    lines = shown(width, columns, [row, row], droppable)
    text = "\n".join(lines)
    named = next((line for line in lines if line.startswith("Left out")), "")
    for (header, _), cell in zip(columns, row, strict=True):
        if header in named.removesuffix(".").replace(": ", ", ").split(", "):
            continue
        for word in cell.split():
            assert word in text, f"{header}: {word}"
    if width >= 80:
        assert all(len(line) <= width for line in lines)


def test_columns_are_left_out_by_importance_and_named():
    lines = shown(60, SWEEP[:6], [["32", *["0.12345"] * 5]], ("figure 1", "figure 3"))
    assert lines[-1] == "Left out, as the screen is narrow: figure 1."


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Amélie 用", "Amélie 用"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("a\u202ebc\u2066", "a\ufffdbc\ufffd"),
        ("a\rb\x00\x9b", "a\ufffdb\ufffd\ufffd"),
        ("two\nlines\t", "two\nlines\t"),
    ],
)
def test_what_a_terminal_would_obey_is_not_printed(text, plain):
    assert printable(text) == plain


def test_titles_and_ids_are_printed_as_they_are_but_for_that():
    lines = shown(100, [("movie", "left"), ("title", "left")], [["[/nope]", "[bold]A\x1b[2J\u202e[/bold]"]])
    assert lines[-1].split() == ["[/nope]", "[bold]A\ufffd[2J\ufffd[/bold]"]
    console = PlainConsole(file=io.StringIO(), width=100, highlight=False, markup=False)
    console.print("User [/nope] \x1b]0;title\x07")
    console.headed("Warning", "yellow", ": [/nope]\x1b")
    assert console.file.getvalue() == "User [/nope] \ufffd]0;title\ufffd\nWarning: [/nope]\ufffd\n"


def test_what_is_under_way_says_what_it_is_at_on_a_terminal_alone():
    """The last that a component has logged, and for how long it has been at it."""
    import logging

    logger = logging.getLogger("marquee.now")
    logger.setLevel(logging.INFO)
    shown = {}
    for is_terminal in (True, False):
        file = io.StringIO()
        console = PlainConsole(file=file, force_terminal=is_terminal, width=100)
        with spinner(console, "MovieTrainer (8 of 16)...") as line:
            logger.info("epoch %d: auc %.4f [b]", 3, 0.5)
            line.refresh()
        logger.info("epoch 4")  # of nobody
        shown[is_terminal] = file.getvalue()
    assert "MovieTrainer (8 of 16)... epoch 3: auc 0.5000 [b]" in shown[True]
    assert "0:00:00" in shown[True]
    assert "epoch 4" not in shown[True]
    assert shown[False] == ""
