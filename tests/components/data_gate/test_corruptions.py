"""Corruptions of real ratings: each is refused by the stage that should, with what the message must say.

`pytest -s` of this file prints the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.components.data_gate import corruptions, stages
from tests.components.data_gate.corruptions import CORRUPTIONS, Corruption


@pytest.fixture(scope="module")
def clean(movielens_slice: Path, tmp_path_factory: pytest.TempPathFactory) -> stages.Outcome:
    """The slice itself: passes, and is what the corrupted ones are compared with."""
    return stages.run(movielens_slice, tmp_path_factory.mktemp("clean") / "run")


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[str, str, str]]]:
    rows: list[tuple[str, str, str]] = []
    yield rows
    view = Table("corruption", "refused by", "because", title=f"{len(rows)} corruptions", expand=True)
    for row in rows:
        view.add_row(*row)
    Console(width=150).print(view)


def test_the_data_themselves_pass_with_nothing_to_report(clean):
    assert (clean.stage, clean.findings) == (stages.PASSED, [])


def test_the_same_data_against_themselves_have_nothing_to_report(clean, movielens_slice, tmp_path):
    again = stages.run(movielens_slice, tmp_path / "run", baseline=clean)
    assert (again.stage, again.findings) == (stages.PASSED, [])


@pytest.mark.parametrize("case", CORRUPTIONS, ids=lambda case: case.name)
def test_corruption(case: Corruption, clean, movielens_slice, tmp_path, table):
    log = corruptions.read(movielens_slice)
    case.change(log)
    outcome = stages.run(
        log.write(tmp_path / "data"),
        tmp_path / "run",
        baseline=clean if case.against else None,
        gate=case.gate,
        ingest=case.ingest,
    )
    said = outcome.message.strip().splitlines() or [""]
    first = next((line.strip()[3:] for line in said if line.strip().startswith("1. ")), said[0])
    table.append((case.name, outcome.stage, first))
    assert outcome.stage == case.stage, outcome.message
    for words in case.says:
        assert words in outcome.message
    # Nothing that a later component could take up.
    assert (tmp_path / "run" / "verdict").exists() == (case.stage == stages.PASSED)


@pytest.mark.faults
@pytest.mark.parametrize(
    "case",
    [case for case in CORRUPTIONS if not case.against and case.gate is None and case.ingest is None],
    ids=lambda case: case.name,
)
def test_a_whole_run_stops_there_too(case: Corruption, marquee, movielens_slice, tmp_path):
    """The command, with every real component: the same stage, the message on stderr, and nothing pushed."""
    log = corruptions.read(movielens_slice)
    case.change(log)
    data = log.write(tmp_path / "data")
    done = marquee("run", "--set", f"data.path={data}", "--set", f"root={tmp_path}/root")
    assert done.returncode == 4
    for words in case.says:
        assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    components = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("  ")]
    stopped = {
        "detect": [],
        "ExampleGen": ["RatingsExampleGen", "failed"],
        "DataGate": ["DataGate", "failed"],
    }
    assert (components[-1] if components else []) == stopped[case.stage]
    assert not (tmp_path / "root" / "data" / "serving").exists()
