"""Everybody's recommendations in a file, by a model that a real run has pushed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from pipeline.config import load_config
from pipeline.engine import IN_PROCESS
from pipeline.operations import batch as batches
from pipeline.operations.served import ServedModel
from tests.conftest import LENIENT

STRANGER = "nobody"


@pytest.fixture(scope="module")
def options(marquee, small_slice, tmp_path_factory) -> list[str]:
    root = tmp_path_factory.mktemp("root")
    overrides = [f"data.path={small_slice}", f"root={root}", "model.epochs=1", "retrieval.epochs=2", *LENIENT]
    options = [f"--set={one}" for one in overrides]
    ran = marquee("run", *options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return options


@pytest.fixture(scope="module")
def served(options) -> ServedModel:
    config = load_config(None, [one.removeprefix("--set=") for one in options])
    return ServedModel(config.serving_model_dir)


def test_all_users_have_what_recommend_gives_them_one_by_one(served, marquee, options, tmp_path):
    out = tmp_path / "everybody.parquet"
    done = marquee("batch", "--out", str(out), "-k", "7", *options)
    assert done.returncode == 0, done.stderr
    table = pq.read_table(out)
    users = (served.path / "assets" / "user_id").read_text().split()
    assert len(users) == 60
    assert table.schema.equals(batches.SCHEMA)
    assert set(table["version"].to_pylist()) == {served.path.name}
    assert pq.read_schema(out).metadata[b"marquee.version"] == served.path.name.encode()
    assert f"{table.num_rows:,} recommendations for 60 users by version {served.path.name}" in done.stdout
    found: dict[str, list[tuple[str, str, int, bool]]] = {}
    for row in table.to_pylist():
        entry = row["movie_id"], row["title"], row["rank"], row["known_user"]
        found.setdefault(row["user_id"], []).append(entry)
    assert list(found) == users
    for user in users:
        (answer,) = served.recommend([user], 7, exclude_rated=True)
        expected = [(movie.id, str(movie), rank + 1, True) for rank, (movie, _) in enumerate(answer.movies)]
        assert found[user] == expected
    scores = [(row["score"], row["probability"]) for row in table.slice(0, 7).to_pylist()]
    (answer,) = served.recommend(users[:1], 7, exclude_rated=True)
    assert answer.probability
    for (score, liked), (_, expected), other in zip(scores, answer.movies, answer.probability, strict=True):
        assert (score, liked) == pytest.approx((expected, other), abs=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_csv_of_some_users_with_a_stranger(served, marquee, options, tmp_path):
    out, users = tmp_path / "some.csv", tmp_path / "users.txt"
    users.write_text(f"1\n{STRANGER}\n")
    done = marquee("batch", "--out", str(out), "--users", str(users), "-k", "3", "--all", "--json", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 6
    rows = pacsv.read_csv(out).to_pylist()
    known = [(row["user_id"], row["known_user"]) for row in rows]
    assert known == [("1", True)] * 3 + [(STRANGER, False)] * 3
    (answer,) = served.recommend([STRANGER], 3, exclude_rated=False)
    assert [str(row["movie_id"]) for row in rows[3:]] == [movie.id for movie, _ in answer.movies]


KILLED = """
import os, sys
from pathlib import Path
from pipeline.operations import batch as batches
from pipeline.operations.served import ServedModel
batches.PIECE = 20
answer, done = batches._answer_piece, []
def killed(piece, request):
    if len(done) == 2:
        os.kill(os.getpid(), 9)
    done.append(answer(piece, request))
batches._answer_piece = killed
served = ServedModel(Path(sys.argv[1]))
batches.batch(served, Path(sys.argv[2]), None, 5, True, sys.argv[3:])
"""


def test_a_killed_call_is_taken_up_and_leaves_nothing_half_done(served, tmp_path, monkeypatch):
    out = tmp_path / "out.parquet"
    command = [sys.executable, "-c", KILLED, str(served.path.parent), str(out), *IN_PROCESS]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert not out.exists()
    monkeypatch.setattr(batches, "PIECE", 20)
    written = batches.batch(served, out, None, 5, True, IN_PROCESS)
    assert (written.users, written.pieces, written.taken_up) == (60, 3, 2)
    again = tmp_path / "again.parquet"
    batches.batch(served, again, None, 5, True, IN_PROCESS)
    assert pq.read_table(out).equals(pq.read_table(again))
    assert {path.name for path in tmp_path.iterdir()} == {out.name, again.name}


def test_pieces_of_another_call_are_not_taken(served, tmp_path, monkeypatch):
    """As those of a version that was served before."""
    out = tmp_path / "out.parquet"
    monkeypatch.setattr(batches, "_joined", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        batches.batch(served, out, None, 5, True, IN_PROCESS)
    monkeypatch.undo()
    written = batches.batch(served, out, None, 6, True, IN_PROCESS)
    assert (written.taken_up, written.rows) == (0, 360)


def test_two_at_one_file(served, tmp_path):
    from components.shared.errors import LockedError

    out = tmp_path / "out.parquet"
    request = batches.Request(str(served.path.parent), served.path.name, 5, True)
    with batches._folder(out, request, "digest"), pytest.raises(LockedError, match="Another process writes"):
        batches.batch(served, out, None, 5, True, IN_PROCESS)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--out", "x.txt"], 2, ".parquet or .csv"),
        (["--out", "x.csv", "--users", "nope"], 4, "nope"),
        (["--out", "x.csv", "--version", "12"], 1, "There is no such version"),
        (["--out", "/proc/x.csv"], 1, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_told_and_leaves_nothing(marquee, options, tmp_path, arguments, code, says):
    done = marquee("batch", *arguments, *options, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(Path(tmp_path).iterdir())
