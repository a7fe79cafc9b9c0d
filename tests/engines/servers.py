"""Beam's servers, as processes of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import REPOSITORY

_START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def server(command: Sequence[str], at: int | tuple[str, int], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens at a port, of this host or of the one at an address, until it is left."""
    address = ("localhost", at) if isinstance(at, int) else at
    # The worker pool starts `python` from PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(address):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


@contextmanager
def worker_pool(folder: Path) -> Iterator[int]:
    """Beam's pool of workers in processes of their own; the port."""
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    with server(command, port, folder / "workers.log"):
        yield port


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as asked:
        asked.settimeout(1)
        return asked.connect_ex(address) == 0
