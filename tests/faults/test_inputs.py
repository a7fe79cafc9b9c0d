"""Every kind of bad input through the real command: refused, quickly, in plain words, and nothing is pushed.

`make test-inputs` prints the table, with what is accepted on purpose, and why.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import COMMAND, LENIENT, REPOSITORY
from tests.faults.inputs import ACCEPTED, CASES, Accepted, Case, Place

pytestmark = pytest.mark.inputs

SECONDS = 120  # a run that is refused at its data has TFX and TensorFlow to import before
MOST_PRINTED = 10_000
# Control characters but the line feed and tab, and what turns the direction of text.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def place(small_slice: Path, tmp_path: Path) -> Place:
    with (small_slice / "ml-slice.inter").open(encoding="utf-8") as file:
        _, *rows = csv.reader(file, "excel-tab")
    with (small_slice / "ml-slice.item").open(encoding="utf-8") as file:
        _, *movies = csv.reader(file, "excel-tab", quoting=csv.QUOTE_NONE)
    return Place(
        tmp_path,
        [(user, movie, rating, time_.removesuffix(".0")) for user, movie, rating, time_ in rows],
        [(id_, title.replace('"', ""), genres.replace(" ", "|")) for id_, title, _, genres in movies],
    )


def ask(arguments: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[bytes], float]:
    started = time.monotonic()
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        timeout=SECONDS,
        check=False,
    )
    return done, time.monotonic() - started


def test_there_are_a_hundred_kinds_each_with_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES) >= 100


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:60])
def test_bad_input_is_refused_in_plain_words(case: Case, place: Place):
    done, seconds = ask(case.arrange(place), place.folder)
    printed = (done.stdout + done.stderr).decode()
    said = next((line for line in done.stderr.decode().splitlines() if line.startswith("Error")), "")
    print(f"\n{done.returncode:>3} {seconds:>5.1f} s  {case.name[:50]:<52}{said[:120]}", end="")
    assert done.returncode == case.code, printed[-MOST_PRINTED:]
    assert "Traceback" not in printed, printed[-MOST_PRINTED:]
    assert said, printed[-MOST_PRINTED:]
    for words in case.says:
        assert words in printed, printed[-MOST_PRINTED:]
    assert len(printed) < MOST_PRINTED
    assert not UNPRINTABLE.search(printed), printed
    assert not list(place.folder.glob("root/*/serving/*")), "something was pushed"


@pytest.mark.parametrize("one", ACCEPTED, ids=lambda one: one.name)
def test_what_is_accepted_on_purpose(one: Accepted, place: Place):
    """As far as the data gate: what the model makes of a slice is no matter here."""
    arguments = place.run(
        place.data(one.write(place)), *one.sets, "model.epochs=1", "evaluation.min_auc=1", *LENIENT[2:]
    )
    done, seconds = ask(arguments, place.folder)
    printed = (done.stdout + done.stderr).decode()
    print(f"\n  accepted {seconds:>5.1f} s  {one.name:<50}{one.reason}", end="")
    assert re.search(r"^  DataGate +done", printed, re.MULTILINE), printed[-MOST_PRINTED:]
    assert "Traceback" not in printed
    assert not list(place.folder.glob("root/*/serving/*"))
