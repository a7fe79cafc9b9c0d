"""A PostgreSQL server of this machine's packages, for as long as a test needs it."""

from __future__ import annotations

import os
import socket
import subprocess
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
        self._run("-o", listening, "start")

    def stop(self) -> None:
        """At once, as where its machine loses power: it recovers at the next start."""
        self._run("-m", "immediate", "stop")

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self.control, *arguments], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def postgres(folder: Path) -> Iterator[Server]:
    """A server with its files in `folder`, which runs; the test is skipped where there are no programs for it."""
    found = sorted(_PROGRAMS.glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    # The server's user must reach the folder.
    for path in (folder, *folder.parents[:3]):
        path.chmod(0o777 if path == folder else path.stat().st_mode | 0o011)
    secret, data = folder / "password", folder / "data"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    initdb = [str(found[-1]), "-D", str(data), "-U", "marquee", "-A", "scram-sha-256", f"--pwfile={secret}"]
    done = subprocess.run([*_USER, *initdb], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"PostgreSQL cannot be set up here: {done.stderr.strip()}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    program = str(found[-1].with_name("pg_ctl"))
    server = Server(port, [*_USER, program, "-D", str(data), "-w", "-l", str(folder / "log")])
    server.start()
    try:
        yield server
    finally:
        if (data / "postmaster.pid").exists():
            server.stop()
