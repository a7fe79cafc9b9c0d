"""A PostgreSQL server of this machine's packages, for as long as a test needs it."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_PROGRAMS = Path("/usr/lib/postgresql")
# A server does not run as root.
_USER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
PASSWORD_ENV, PASSWORD = "MARQUEE_TEST_PASSWORD", "a-password-that-no-log-may-have"


@dataclass(frozen=True)
class Server:
    """A server whose user `marquee` has `PASSWORD`; `control` is pg_ctl with its folder."""

    port: int
    control: list[str]

    @property
    def overrides(self) -> list[str]:
        """Of the configuration, the password being in the environment variable `PASSWORD_ENV`."""
        return [
            "metadata.kind=postgresql",
            "metadata.host=127.0.0.1",
            f"metadata.port={self.port}",
            f"metadata.password_env={PASSWORD_ENV}",
        ]

    def start(self) -> None:
        listening = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        # As is advised where several machines share it: nobody may need an open transaction for long.
        self._run("-o", f"{listening} -c idle_in_transaction_session_timeout=5s", "start")

    def stop(self) -> None:
        """At once, as where its machine loses power: it recovers at the next start."""
        self._run("-m", "immediate", "stop")

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self.control, *arguments], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def postgres() -> Iterator[Server]:
    """A server that runs; the test is skipped where there are no programs for it."""
    found = sorted(_PROGRAMS.glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    # Not in pytest's folder, which is for one user alone.
    with tempfile.TemporaryDirectory(prefix="marquee-postgres-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield from _running(found[-1].parent, folder)


def _running(programs: Path, folder: Path) -> Iterator[Server]:
    secret, data = folder / "password", folder / "data"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "marquee", "-A", "scram-sha-256"]
    done = subprocess.run(
        [*_USER, *initdb, f"--pwfile={secret}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"PostgreSQL cannot be set up here: {done.stderr.strip()}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = Server(
        port, [*_USER, str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
    )
    server.start()
    try:
        yield server
    finally:
        if (data / "postmaster.pid").exists():
            server.stop()
