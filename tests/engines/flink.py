"""A Flink cluster of this machine: a job manager, and task managers on hosts of their own (network namespaces).

Each task manager has Beam's pool of workers beside it at the same address of its host, as where Flink runs for real:
two that shared one would ask it for workers of the same names.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY
from tests.engines.servers import free_port, server

JARS = REPOSITORY / ".flink/jars"
POOL_PORT = 50000
_NET = "10.99.0"
_PATIENCE = 60
# Flink reaches into these packages of Java 17, see its own configuration.
_OPEN = "java.lang java.util java.nio java.net java.lang.reflect java.text java.time java.util.concurrent"
_JOB_HEAP_MB, _FRAMEWORK_HEAP_MB, _NETWORK_MB = 700, 128, 512
# What `bin/taskmanager.sh` works out: a task manager that is started without it wants each to be said.
_TASK_MANAGER = {
    "taskmanager.numberOfTaskSlots": 1,
    "taskmanager.cpu.cores": 1,
    "taskmanager.memory.task.off-heap.size": "0m",
    "taskmanager.memory.framework.heap.size": f"{_FRAMEWORK_HEAP_MB}m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.network.min": f"{_NETWORK_MB}m",
    "taskmanager.memory.network.max": f"{_NETWORK_MB}m",
    "taskmanager.memory.managed.size": "256m",
    "taskmanager.memory.jvm-metaspace.size": "512m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
}


@dataclass(frozen=True)
class Cluster:
    """Where Beam's job server and Flink's REST interface listen, and the task managers."""

    job_port: int
    rest: str
    task_managers: Mapping[str, subprocess.Popen[bytes]]

    def ask(self, path: str) -> Any:
        """The answer of Flink's REST interface."""
        with urllib.request.urlopen(f"{self.rest}{path}", timeout=10) as answer:
            return json.load(answer)

    def kill(self, name: str) -> None:
        os.killpg(self.task_managers[name].pid, signal.SIGKILL)


def missing() -> str | None:
    """What is not there, in a sentence."""
    if not any(JARS.glob("beam-runners-flink-*.jar")):
        return "Flink's jars are not in .flink/jars: run `make test-flink`, which needs mvn."
    if not shutil.which("java") or not shutil.which("ip"):
        return "java (17) or ip (Debian's iproute2) is missing."
    if os.getuid() != 0:
        return "Hosts of their own for the task managers need root."
    return None


@contextmanager
def cluster(folder: Path, task_managers: int = 2, heap_mb: int = 448) -> Iterator[Cluster]:
    """Starts all of it, until it is left.

    Args:
        folder: For logs and configuration.
        task_managers: How many, each with one slot.
        heap_mb: Of a task manager, for the tasks; and as much outside of the heap, where Beam's data pass.
    """
    configuration = folder / "conf"
    configuration.mkdir(parents=True)
    rest_port, job_port = free_port(), free_port()
    master = f"{_NET}.1"
    settings = {
        "jobmanager.rpc.address": master,
        "jobmanager.bind-host": "0.0.0.0",  # the REST interface asks for blobs at localhost
        "rest.address": master,
        "rest.bind-address": master,
        "rest.port": rest_port,
        "parallelism.default": task_managers,
        "jobmanager.memory.process.size": "1200m",
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 10000,
        "io.tmp.dirs": folder / "io",
    }
    (folder / "io").mkdir()
    (configuration / "config.yaml").write_text(json.dumps({k: str(v) for k, v in settings.items()}))
    runtime = "org.apache.flink.runtime"
    with ExitStack() as stack:
        hosts = stack.enter_context(_hosts(task_managers))
        stack.enter_context(
            server(
                _java(
                    _JOB_HEAP_MB, f"{runtime}.entrypoint.StandaloneSessionClusterEntrypoint", configuration
                ),
                (master, rest_port),
                folder / "job_manager.log",
            )
        )
        running = {}
        for host, address in hosts.items():
            inside = ["ip", "netns", "exec", host]
            pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
            stack.enter_context(
                server(
                    [*inside, *pool, f"--service_port={POOL_PORT}"],
                    (address, POOL_PORT),
                    folder / f"workers_{host}.log",
                )
            )
            data_port = 6121
            own = {
                **_TASK_MANAGER,
                "taskmanager.memory.task.heap.size": f"{heap_mb}m",
                "taskmanager.host": address,
                "taskmanager.bind-host": address,
                "taskmanager.data.port": data_port,
                "taskmanager.resource-id": host,
            }
            running[host] = stack.enter_context(
                server(
                    [
                        *inside,
                        *_java(
                            heap_mb + _FRAMEWORK_HEAP_MB,
                            f"{runtime}.taskexecutor.TaskManagerRunner",
                            configuration,
                        ),
                        *(f"-D{key}={value}" for key, value in own.items()),
                    ],
                    (address, data_port),
                    folder / f"task_manager_{host}.log",
                )
            )
        stack.enter_context(
            server(
                [
                    *_java(_JOB_HEAP_MB, "org.apache.beam.runners.flink.FlinkJobServerDriver"),
                    *(f"--flink-master={master}:{rest_port}", f"--artifacts-dir={folder / 'artifacts'}"),
                    *(f"--job-port={job_port}", "--artifact-port=0", "--expansion-port=0"),
                ],
                ("localhost", job_port),
                folder / "job_server.log",
            )
        )
        found = Cluster(job_port, f"http://{master}:{rest_port}", running)
        deadline = time.monotonic() + _PATIENCE
        while found.ask("/overview")["slots-available"] < task_managers:
            assert time.monotonic() < deadline, found.ask("/overview")
            time.sleep(0.5)
        yield found


def _java(heap_mb: int, main: str, configuration: Path | None = None) -> list[str]:
    opened = [f"--add-opens=java.base/{one}=ALL-UNNAMED" for one in (*_OPEN.split(), "sun.net.util")]
    command = ["java", f"-Xmx{heap_mb}m", f"-XX:MaxDirectMemorySize={_NETWORK_MB + heap_mb}m"]
    command += [*opened, "-cp", f"{JARS}/*", main]
    return [*command, *(["--configDir", str(configuration)] if configuration else [])]


@contextmanager
def _hosts(number: int) -> Iterator[dict[str, str]]:
    """Network namespaces on one bridge; the name of each with its address."""
    bridge = f"mq{os.getpid()}"
    names = {f"{bridge}-{one}": f"{_NET}.{10 + one}" for one in range(number)}
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{_NET}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for place, (name, address) in enumerate(names.items()):
            outside = f"{bridge}v{place}"
            _ip("netns", "add", name)
            _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", outside, "master", bridge, "up")
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", bridge], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def beam_arguments(parallelism: int) -> Sequence[str]:
    """`beam.args` for it; the job server's port is in the environment."""
    return [
        "--runner=PortableRunner",
        "--job_endpoint=localhost:${JOB_PORT}",
        "--environment_type=EXTERNAL",
        f"--environment_config=localhost:{POOL_PORT}",
        f"--parallelism={parallelism}",
    ]
