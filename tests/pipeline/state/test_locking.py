"""One process at a time on a root."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from components.shared.errors import LockedError, StorageError
from pipeline.state.locking import check_held, holder, locked
from tests.conftest import REPOSITORY

HOLD = """
import sys, time
from pathlib import Path
from pipeline.state.locking import locked
with locked(Path(sys.argv[1]), "run"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


# A process of another host: a name and process ids of its own.
ON_OTHER_HOST = [
    "unshare",
    "--uts",
    "--pid",
    "--fork",
    "--kill-child",
    "sh",
    "-c",
    'hostname other && exec "$@"',
    "-",
]


@pytest.fixture
def hold(tmp_path):
    """Starts a process that holds the lock for some seconds."""
    started = []

    def start(seconds: float, host: Sequence[str] = ()) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*host, sys.executable, "-c", HOLD, str(tmp_path), str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_second_process_refuses_at_once_with_pid_and_age(tmp_path, hold):
    process = hold(60)
    time.sleep(1.1)
    started = time.monotonic()
    with pytest.raises(LockedError) as error, locked(tmp_path, "run"):
        pass
    assert time.monotonic() - started < 1
    assert f"process {process.pid} on" in str(error.value)
    assert "(marquee run), started" in str(error.value)
    assert re.search(r"started [1-9] s ago", str(error.value))
    assert holder(tmp_path).pid == process.pid
    # Nothing of the holder's was touched.
    with pytest.raises(LockedError, match=f"process {process.pid}"), locked(tmp_path, "gc"):
        pass


def test_second_process_waits_where_it_is_told_to(tmp_path, hold):
    process = hold(1)
    told = []
    with locked(tmp_path, "run", wait=True, on_wait=told.append) as dead:
        assert process.wait(5) == 0
        assert dead is None
    assert [other.pid for other in told] == [process.pid]


def test_lock_of_a_killed_process_is_noticed_and_taken_over(tmp_path, hold):
    process = hold(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert holder(tmp_path) is None
    with locked(tmp_path, "run") as dead:
        assert (dead.pid, dead.command) == (process.pid, "run")
        assert holder(tmp_path).pid == os.getpid()
    with locked(tmp_path, "run") as dead:
        assert dead is None


def test_released_in_good_order_by_an_error(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path, "run"):
        raise RuntimeError
    with locked(tmp_path, "run") as dead:
        assert dead is None


def test_nobody_holds_what_is_not_there(tmp_path):
    assert holder(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"pid": "x", "host": 3, "started": "y", "command": null}',
        b'{"pid": 1, "host": "h", "started": 1e999, "command": "run"}',
    ],
)
def test_nonsense_in_the_lock_says_nothing_and_stops_nobody(tmp_path, content):
    (tmp_path / ".lock").write_bytes(content)
    with locked(tmp_path, "run") as dead:
        assert dead is None
    with locked(tmp_path, "run"):
        (tmp_path / ".lock").write_bytes(content)
        assert holder(tmp_path) is None
        with pytest.raises(LockedError, match="a process that has just started"), locked(tmp_path, "gc"):
            pass


@pytest.mark.skipif(
    subprocess.run([*ON_OTHER_HOST, "true"], capture_output=True, check=False).returncode != 0,
    reason="may not give a process another host's name (unshare)",
)
def test_one_of_another_host_is_named_and_where_to_end_it(tmp_path, hold):
    """Its pid says nothing here, and is not asked: the lock alone tells whether it lives."""
    process = hold(60, ON_OTHER_HOST)
    with pytest.raises(LockedError, match="process 1 on other") as error, locked(tmp_path, "run"):
        pass
    assert "end it on other" in error.value.fix
    assert "frees the lock by itself" in error.value.fix
    process.kill()
    process.wait()
    with locked(tmp_path, "run", wait=True) as dead:
        assert (dead.pid, dead.host) == (1, "other")


def test_who_waits_for_a_file_that_is_removed_gets_the_lock_of_the_next(tmp_path, hold):
    hold(2)

    def replace(_: object) -> None:
        (tmp_path / ".lock").unlink()
        hold(3)

    started = time.monotonic()
    with locked(tmp_path, "run", wait=True, on_wait=replace):
        assert time.monotonic() - started > 2.5
        assert holder(tmp_path).pid == os.getpid()


def test_a_lock_that_is_lost_is_noticed_and_its_successor_left_alone(tmp_path, hold):
    with locked(tmp_path, "run"):
        check_held()
        (tmp_path / ".lock").unlink()
        with pytest.raises(LockedError, match="nobody: the file is gone"):
            check_held()
        process = hold(60)
        with pytest.raises(LockedError, match=f"process {process.pid}"):
            check_held()
    assert holder(tmp_path).pid == process.pid
    check_held()


def test_the_note_of_a_successor_in_the_same_file_is_kept(tmp_path):
    """As on NFS, where the server gives a lock away whose host is cut off."""
    note = '{"pid": 1, "host": "other", "started": 1.0, "command": "run"}'
    with locked(tmp_path, "run"):
        (tmp_path / ".lock").write_text(note)
        with pytest.raises(LockedError, match="process 1 on other"):
            check_held()
    assert (tmp_path / ".lock").read_text() == note


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("why", [("ENOLCK", "No locks available"), ("ENOSYS", "Function not implemented")])
def test_a_file_system_without_locks_is_told(tmp_path, why):
    """strace has the kernel answer as it does there."""
    name, words = why
    command = ["strace", "-f", "-o", "/dev/null", "-e", f"inject=flock:error={name}"]
    done = subprocess.run(
        [*command, sys.executable, "-c", HOLD, str(tmp_path), "0"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert done.stdout == ""
    assert f"{StorageError.__name__}: The pipeline's root cannot be locked." in done.stderr
    assert words in done.stderr
    assert "NFSv4" in done.stderr
