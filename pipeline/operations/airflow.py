"""The pipeline as DAGs of Airflow, which know nothing of TFX: their tasks call the command."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from components.shared.errors import ConfigError
from components.shared.storage import storage, write_aside
from pipeline.operations.outcome import ExitCode

# Trying again would end the same.
_FINAL = (ExitCode.WRONG_CALL, ExitCode.REFUSED, ExitCode.STOPPED)


def write_dags(
    folder: Path,
    name: str,
    graph: Mapping[str, Sequence[str]],
    file: str | None,
    overrides: Sequence[str],
    schedule: str | None,
) -> list[tuple[Path, str]]:
    """Writes `NAME.py`, one task, and `NAME_components.py`, a task a node.

    Args:
        folder: Of DAGs; made if it is missing.
        name: Of the pipeline, and of the first DAG.
        graph: Each node with those that it comes after.
        file: Of the configuration, as it was given.
        overrides: Likewise.
        schedule: A cron expression; None: triggered alone.

    Returns:
        The files, each with what it is.

    Raises:
        ConfigError: The schedule is no cron expression of five fields.
        StorageError: The folder cannot be written.
    """
    if schedule is not None and not re.fullmatch(r"@\w+|\S+( \S+){4}", schedule):
        raise ConfigError(
            "The schedule is no cron expression.",
            where="--schedule",
            found=schedule,
            expected="five fields, such as '0 3 * * *', or @daily",
        )
    path = file if file is None or not Path(file).exists() else str(Path(file).resolve())
    options = [*(["--config", path] if path else []), *(f"--set={one}" for one in overrides)]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.operations"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Python, of which every value is a repr
    )
    values = {
        "name": name,
        "command": _command(),
        "options": options,
        "cwd": str(Path.cwd()),
        "schedule": schedule,
        "final": tuple(map(int, _FINAL)),
    }
    written = []
    for suffix, nodes, sentence in (
        ("", None, "the run as one task"),
        ("_components", {node: list(above) for node, above in graph.items()}, f"{len(graph)} tasks"),
    ):
        path_of = folder / f"{re.sub(r'[^A-Za-z0-9_]', '_', name)}{suffix}.py"
        text = environment.get_template("airflow.py.jinja").render(**values, suffix=suffix, graph=nodes)
        with storage(folder, "The DAGs cannot be written."):
            write_aside(path_of, text)
        written.append((path_of, f"DAG {name}{suffix}, {sentence}"))
    return written


def _command() -> list[str]:
    """This installation's command by its whole path; as Python where it is not installed as one."""
    installed = Path(sys.executable).with_name("marquee")
    own = Path(sys.argv[0]).name == "marquee" and installed.exists()
    return [str(installed)] if own else [sys.executable, "-c", "from pipeline.cli import main; main()"]
