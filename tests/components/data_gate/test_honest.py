"""Nothing false: honest data pass, against themselves and against others of the same source."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from components.example_gen.builtin import movielens_100k
from components.example_gen.settings import IngestSettings
from pipeline.config import load_config
from tests.components.data_gate import corruptions, stages
from tests.components.data_gate.corruptions import MOVIE, TIME, USER, Log, Row
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> stages.Outcome:
    """MovieLens 100K."""
    done = stages.run(Path(movielens_100k()), tmp_path_factory.mktemp("clean") / "run")
    assert (done.stage, done.message) == (stages.PASSED, "")
    return done


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[str, str, str]]]:
    rows: list[tuple[str, str, str]] = []
    yield rows
    view = Table("honest data", "gate", "warnings", title=f"{len(rows)} honest data sets", expand=True)
    for row in rows:
        view.add_row(*row)
    Console(width=150).print(view)


def users_with_replacement(rows: list[Row], random_: random.Random) -> list[Row]:
    """As many users as there are, drawn with replacement; one drawn again is another user."""
    by_user: dict[str, list[Row]] = {}
    for row in rows:
        by_user.setdefault(row[USER], []).append(row)
    drawn: dict[str, int] = {}
    result = []
    for user in random_.choices(sorted(by_user), k=len(by_user)):
        drawn[user] = drawn.get(user, 0) + 1
        name = user if drawn[user] == 1 else f"{user}-{drawn[user]}"
        result += [[name, *row[MOVIE:]] for row in by_user[user]]
    return result


def rows_with_replacement(rows: list[Row], random_: random.Random) -> list[Row]:
    """As many rows as there are, drawn with replacement, each of them once (63 %)."""
    chosen = sorted(set(random_.choices(range(len(rows)), k=len(rows))))
    return [rows[index] for index in chosen]


@pytest.mark.faults
@pytest.mark.parametrize("draw", [users_with_replacement, rows_with_replacement], ids=lambda d: d.__name__)
@pytest.mark.parametrize("seed", range(10))
def test_bootstraps_of_the_same_data_pass(draw, seed, clean, tmp_path, table):
    log = corruptions.read(Path(movielens_100k()))
    log.rows = draw(log.rows, random.Random(seed))
    outcome = stages.run(log.write(tmp_path / "data"), tmp_path / "run", baseline=clean)
    table.append((f"{draw.__name__} {seed}", outcome.stage, outcome.message))
    assert outcome.stage == stages.PASSED, outcome.message


@pytest.mark.faults
@pytest.mark.parametrize("share", [0.7, 0.8, 0.9])
def test_a_log_that_has_grown_passes(share, tmp_path, table):
    """The first part of the log in time is the last blessed run's, the whole log the current one."""
    log = corruptions.read(Path(movielens_100k()))
    log.rows.sort(key=lambda row: int(row[TIME]))
    whole, log.rows = log.rows, log.rows[: int(share * len(log.rows))]
    before = stages.run(log.write(tmp_path / "before"), tmp_path / "run-before")
    assert before.stage == stages.PASSED, before.message
    after = stages.run(
        Log(whole, log.movies).write(tmp_path / "after"), tmp_path / "run-after", baseline=before
    )
    table.append((f"log grown from {share:.0%}", after.stage, after.message))
    assert after.stage == stages.PASSED, after.message


@pytest.mark.faults
@pytest.mark.parametrize("method", ["user_time", "time", "leave_last_out", "user_hash"])
@pytest.mark.parametrize("name", ["ml-100k", "ml-latest-small", "ml-1m-half"])
def test_real_data_sets_pass_by_every_split(name, method, tmp_path, table):
    folder = REPOSITORY.parent / "shared" / "data" / name
    if name == "ml-100k":
        folder = Path(movielens_100k())
    if not folder.is_dir():
        pytest.skip(f"the real data set {name} is not in ../shared/data")
    outcome = stages.run(
        folder, tmp_path / "run", ingest=IngestSettings.model_validate({"split": {"method": method}})
    )
    table.append((f"{name} by {method}", outcome.stage, outcome.message))
    assert outcome.stage == stages.PASSED, outcome.message


def test_the_sample_passes_by_its_configuration_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    config = load_config("custom-csv")
    folder = Path(config.data.path)
    passed = stages.run(folder, tmp_path / "configured", ingest=config.data.ingest, gate=config.data_gate)
    assert passed.stage == stages.PASSED, passed.message
    refused = stages.run(folder, tmp_path / "defaults", ingest=config.data.ingest)
    assert refused.stage == "DataGate"
    assert "too little to learn from" in refused.message
    assert "1,000 are the least" in refused.message
