"""The arguments of Beam, which is the engine of the data stages: ingest, statistics, Transform and Evaluator."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import reduce
from operator import add

from tfx.dsl.placeholder import placeholder
from tfx.dsl.placeholder.placeholder_base import Placeholder

from components.shared.errors import ConfigError
from pipeline.sections import VARIABLE

# For each component TFX builds a source package of itself for remote workers, 52 MB and 2 CPU seconds, unless told
# where they have it from.
_NOTHING_SHIPPED = "--sdk_container_image=none"
IN_PROCESS = ["--direct_running_mode=in_memory", "--direct_num_workers=1", _NOTHING_SHIPPED]
# Beam waits a minute for a job to start, and the graph of the Evaluator takes longer on its way to Flink.
_JOB_SERVER_TIMEOUT = "--job_server_timeout=3600"
_OWN_ENVIRONMENT = ("EXTERNAL", "PROCESS", "LOOPBACK")


def beam_arguments(given: Sequence[str]) -> list[str | Placeholder]:
    """What TFX gives to Beam.

    Args:
        given: `beam.args`; none for the DirectRunner in this process. Each `${NAME}` becomes a placeholder of TFX,
            resolved when a component starts: the cache looks at the arguments, and a port may change.

    Raises:
        ConfigError: An environment variable is not set.
    """
    if not given:
        return [*IN_PROCESS]
    arguments = list(given)
    for default, wanted in (
        (_JOB_SERVER_TIMEOUT, _has(given, "job_endpoint")),
        (_NOTHING_SHIPPED, _ships_nothing(given)),
    ):
        if wanted and not _has(given, default.split("=")[0].removeprefix("--")):
            arguments.append(default)
    return [_with_variables(argument) for argument in arguments]


def _has(given: Sequence[str], name: str) -> bool:
    return any(argument.split("=")[0] == f"--{name}" for argument in given)


def _ships_nothing(given: Sequence[str]) -> bool:
    """Whether the workers have an environment that is there already."""
    return any(
        argument.split("=")[0] == "--environment_type" and argument.upper().endswith(_OWN_ENVIRONMENT)
        for argument in given
    )


def _with_variables(argument: str) -> str | Placeholder:
    parts: list[str | Placeholder] = []
    for place, part in enumerate(re.split(VARIABLE, argument)):
        if place % 2 == 0:
            parts += [part] if part else []
        elif part in os.environ:
            parts.append(placeholder.environment_variable(part))
        else:
            raise ConfigError(
                "An argument of Beam names an environment variable that is not set.",
                where="key beam.args",
                found=argument,
                expected=f"{part} in the environment",
                fix=f"export {part}=..., or write its value in place of ${{{part}}}",
            )
    return reduce(add, parts)
