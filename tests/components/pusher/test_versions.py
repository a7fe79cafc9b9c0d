"""Pushed versions: whole or not there, strictly increasing, once for each model."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from components.pusher import versions
from components.shared.artifacts import PUSH, ROLLBACK
from components.shared.errors import ModelError, StorageError
from tests.conftest import REPOSITORY

MARKER = versions.Marker(kind=PUSH, model_id=3, model_uri="/m/3", run_id="r1", execution_id=9, blessing_id=4)


def saved_model(folder: Path, content: bytes = b"graph") -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "assets.extra").mkdir()
    (folder / "saved_model.pb").write_bytes(content)
    (folder / "variables" / "variables.data").write_bytes(content * 1000)
    (folder / "assets.extra" / "movies.parquet").write_bytes(b"movies")
    return folder


@pytest.fixture
def base(tmp_path) -> Path:
    return tmp_path / "serving"


def test_pushed_version_is_the_model_and_says_what_it_is(tmp_path, base):
    source = saved_model(tmp_path / "model")
    path, marker = versions.push(source, base, replace(MARKER, metrics={"auc": 0.7}, data_span=2))
    assert versions.versions(base) == [path]
    assert versions.read_marker(path) == marker
    assert (marker.version, marker.run_id, marker.metrics, marker.data_span) == (
        path.name,
        "r1",
        {"auc": 0.7},
        2,
    )
    assert versions.digest(path) == versions.digest(source) == marker.model_digest
    assert marker.properties()["pushed_version"] == path.name
    assert marker.properties()["auc"] == 0.7
    assert abs(int(path.name) - time.time()) < 5


def test_versions_strictly_increase_also_within_a_second_and_with_the_clock_turned_back(tmp_path, base):
    pushed = [
        versions.push(saved_model(tmp_path / str(n), str(n).encode()), base, replace(MARKER, blessing_id=n))[
            0
        ]
        for n in range(4)
    ]
    assert versions.versions(base) == pushed
    assert len({path.name for path in pushed}) == 4
    ahead = base / "99999999999"
    ahead.mkdir()
    path, _ = versions.push(saved_model(tmp_path / "x", b"x"), base, MARKER)
    assert path.name == "100000000000"


def test_only_what_was_pushed_is_a_version(tmp_path, base):
    """By its marker, by ML Metadata, or, without a marker, by the model in it."""
    path, _ = versions.push(saved_model(tmp_path / "model"), base, MARKER)
    saved_model(base / "16")  # the stock Pusher's
    moved = base / "9999999997"
    shutil.copytree(path, moved)  # the marker has another number
    (base / "9999999998").mkdir()
    (base / "9999999999").write_bytes(b"a file")
    (base / "\u0663").mkdir()  # a digit, but not one of ours
    assert versions.versions(base) == [base / "16", path]
    assert versions.strays(base) == [moved, base / "9999999998", base / "9999999999"]
    recorded = ["9999999998", "9999999999"]
    assert versions.versions(base, recorded) == [base / "16", path, base / "9999999998"]
    assert versions.strays(base, recorded) == [moved, base / "9999999999"]


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"kind": "push"}', "{" * 10_000])
def test_a_marker_that_is_none(tmp_path, content):
    folder = saved_model(tmp_path / "17")
    (folder / versions.MARKER).write_text(content)
    assert versions.read_marker(folder) is None


def test_a_marker_is_the_same_by_way_of_ml_metadata():
    marker = replace(MARKER, metrics={"auc": 0.7}, data_span=2, version="17", model_digest="d", reason="r")
    assert versions.Marker.of_properties(marker.properties()) == marker
    stock = versions.Marker.of_properties(
        {"pushed": 1, "pushed_version": "16", "pushed_destination": "/s/16"}
    )
    assert (stock.version, stock.kind, stock.model_digest) == ("16", PUSH, "")


def test_damage_is_said_by_the_part_that_is_missing_or_has_changed(tmp_path):
    whole = saved_model(tmp_path / "17")
    digest = versions.digest(whole)
    assert versions.damage(whole, digest) == versions.damage(whole, "") == ""
    assert versions.damage(tmp_path / "18", digest) == versions.GONE
    (whole / "variables" / "variables.data").write_bytes(b"")
    assert versions.damage(whole, digest) == "its files are not those that were pushed"
    assert versions.damage(whole, "") == ""
    (whole / "variables" / "variables.data").unlink()
    assert versions.damage(whole, digest) == versions.damage(whole, "") == "variables is missing"
    (whole / "saved_model.pb").unlink()
    assert versions.damage(whole, digest) == "saved_model.pb is missing"


def test_a_version_is_restored_whole_or_not_at_all(tmp_path, base):
    source = saved_model(tmp_path / "model")
    path, marker = versions.push(source, base, MARKER)
    shutil.rmtree(path / "variables")
    assert versions.restore(source, base, marker) == path
    assert versions.digest(path) == marker.model_digest
    assert versions.read_marker(path) == marker
    (source / "saved_model.pb").write_bytes(b"other")
    with pytest.raises(ModelError, match="not those that were pushed"):
        versions.restore(source, base, marker)
    assert versions.digest(path) == marker.model_digest
    assert [one.name for one in base.iterdir() if one.is_dir()] == [path.name]


def test_a_version_that_is_restored_from_its_model_keeps_its_card(tmp_path, base):
    source = saved_model(tmp_path / "model")
    path, marker = versions.push(source, base, MARKER, card=lambda _: {"model_card.md": "# A card"})
    shutil.rmtree(path / "variables")
    versions.restore(source, base, marker)
    assert (path / "assets.extra/model_card.md").read_text() == "# A card"
    assert versions.damage(path, marker.model_digest) == ""


def test_a_model_whose_version_is_damaged_is_pushed_again(tmp_path, base):
    source = saved_model(tmp_path / "model")
    first, _ = versions.push(source, base, MARKER)
    shutil.rmtree(first / "variables")
    second, _ = versions.push(source, base, MARKER)
    assert int(second.name) > int(first.name)


def test_a_model_is_not_pushed_again_after_a_crash_before_its_record(tmp_path, base):
    one, two = saved_model(tmp_path / "1", b"one"), saved_model(tmp_path / "2", b"two")
    first, _ = versions.push(one, base, MARKER)
    again, marker = versions.push(one, base, replace(MARKER, run_id="r2", execution_id=20, blessing_id=8))
    assert (again, marker.run_id) == (first, "r1")  # the newest version is this very model
    second, _ = versions.push(two, base, replace(MARKER, blessing_id=5))
    assert (
        versions.push(one, base, replace(MARKER, run_id="r3"))[0] == first
    )  # pushed with this very blessing
    assert versions.versions(base) == [first, second]
    # Blessed anew, after another one has been: the served version changes.
    third, _ = versions.push(one, base, replace(MARKER, blessing_id=6))
    assert versions.versions(base) == [first, second, third]


def test_a_version_of_the_stock_pusher_is_known_by_its_content(tmp_path, base):
    source = saved_model(tmp_path / "model")
    saved_model(base / "1700000000")
    path, marker = versions.push(source, base, MARKER)
    assert (path.name, marker.version) == ("1700000000", "1700000000")


def test_links_share_the_files_but_not_the_marker(tmp_path, base):
    first, _ = versions.push(saved_model(tmp_path / "model"), base, MARKER)
    back = replace(MARKER, kind=ROLLBACK, of_version=first.name, execution_id=11)
    second, marker = versions.push(first, base, back, link=True)
    assert second != first
    assert (second / "saved_model.pb").samefile(first / "saved_model.pb")
    assert versions.read_marker(first).kind == PUSH
    assert versions.read_marker(second) == marker
    assert versions.digest(second) == versions.digest(first)


def test_a_reader_never_sees_half_a_version(tmp_path, base):
    base.mkdir()
    seen, wrong, stop = set(), [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            for path in versions.versions(base):
                try:
                    marker = versions.read_marker(path)
                    if not marker or len(list(path.rglob("*"))) != 6:
                        raise OSError
                    seen.add(path.name)
                except OSError:
                    if path.exists():
                        wrong.append(path.name)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(30):
        source = saved_model(tmp_path / str(number), str(number).encode())
        path, _ = versions.push(source, base, replace(MARKER, blessing_id=number))
        if number % 3 == 0:
            versions.remove(path)
    stop.set()
    reader.join()
    assert not wrong
    assert seen


def test_what_dead_processes_left_is_removed(tmp_path, base):
    (base / ".pushing-17").mkdir(parents=True)
    (base / ".pushing-17" / "saved_model.pb").write_bytes(b"half")
    (base / ".removing-16").mkdir()
    versions.clean(base)
    assert [path.name for path in base.iterdir() if path.is_dir()] == []
    versions.clean(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


PUSHING = """
import os, signal, sys
from pathlib import Path
from components.pusher import versions
count = 0
def kill(event, arguments):
    global count
    if event == sys.argv[3]:
        count += 1
        if count == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
marker = versions.Marker(kind="push", model_id=3, model_uri="m", run_id="r", execution_id=9, blessing_id=4)
versions.push(Path(sys.argv[1]), Path(sys.argv[2]), marker)
"""


@pytest.mark.parametrize(
    ("event", "number", "pushed"),
    [
        pytest.param("shutil.copyfile", 1, 0, id="before the first file"),
        pytest.param("shutil.copyfile", 3, 0, id="before the last file"),
        pytest.param("os.rename", 1, 0, id="before the rename"),
    ],
)
def test_killed_while_it_pushes(tmp_path, base, event, number, pushed):
    source = saved_model(tmp_path / "model")
    older, _ = versions.push(saved_model(tmp_path / "old", b"old"), base, replace(MARKER, blessing_id=1))
    command = [sys.executable, "-c", PUSHING, str(source), str(base), event, str(number)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=False)
    assert done.returncode == -9
    assert len(versions.versions(base)) == 1 + pushed
    path, _ = versions.push(source, base, MARKER)
    assert versions.versions(base) == [older, path]
    assert not list(base.glob(".pushing*"))


def test_a_file_that_may_not_be_written_whole_leaves_nothing(tmp_path, base):
    older, _ = versions.push(saved_model(tmp_path / "old", b"old"), base, replace(MARKER, blessing_id=1))
    source = saved_model(tmp_path / "model", b"x" * 5000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match="served version is as before") as error:
            versions.push(source, base, MARKER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "ulimit" in str(error.value)
    assert versions.versions(base) == [older]
    assert not list(base.glob(".pushing*"))


def test_what_is_no_model_is_not_pushed(tmp_path, base):
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match="no model"):
        versions.push(tmp_path / "model", base, MARKER)
    assert not base.exists()


def test_digest_is_of_names_and_contents_but_not_of_the_marker(tmp_path):
    one = saved_model(tmp_path / "1")
    before = versions.digest(one)
    (one / versions.MARKER).write_text(json.dumps({}))
    assert versions.digest(one) == before
    (one / "saved_model.pb").rename(one / "saved_model.pbtxt")
    assert versions.digest(one) != before
