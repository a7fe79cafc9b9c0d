"""One process at a time on a root."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from components.shared.errors import LockedError
from pipeline.state.locking import holder, locked
from tests.conftest import REPOSITORY

HOLD = """
import sys, time
from pathlib import Path
from pipeline.state.locking import locked
with locked(Path(sys.argv[1]), "run"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def hold(tmp_path):
    """Starts a process that holds the lock for some seconds."""
    started = []

    def start(seconds: float) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path), str(seconds)],
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
