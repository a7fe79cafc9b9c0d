"""The arguments of Beam, which is the engine of the data stages: ingest, statistics, Transform and Evaluator."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from components.shared.errors import ConfigError
from pipeline.sections import VARIABLE

if TYPE_CHECKING:
    from tfx.dsl.placeholder.placeholder_base import Placeholder

# For each component TFX builds a source package of itself for remote workers, 52 MB and 2 CPU seconds, unless told
# where they have it from.
_NOTHING_SHIPPED = "--sdk_container_image=none"
IN_PROCESS = ["--direct_running_mode=in_memory", "--direct_num_workers=1", _NOTHING_SHIPPED]
# Beam waits a minute for a job to start, and the graph of the Evaluator takes longer on its way to Flink.
_JOB_SERVER_TIMEOUT = "--job_server_timeout=3600"
_WANTED = "options of a runner that is installed, see pipeline/runners/README.md"
_OWN_ENVIRONMENT = ("EXTERNAL", "PROCESS", "LOOPBACK")


def beam_arguments(given: Sequence[str]) -> list[str | Placeholder]:
    """What TFX gives to Beam.

    Args:
        given: `beam.args`; none for the DirectRunner in this process. Each `${NAME}` becomes a placeholder of TFX,
            resolved when a component starts: the cache looks at the arguments, and a port may change.

    Raises:
        ConfigError: An environment variable is not set, or Beam cannot use what is given.
    """
    resolved_arguments(given)
    return [_with_variables(argument) for argument in _completed(given)]


def resolved_arguments(given: Sequence[str]) -> list[str]:
    """The same for a Beam pipeline of our own, with the variables' values.

    Raises:
        ConfigError: As `beam_arguments`.
    """
    resolved = [
        "".join(os.environ[part] if place % 2 else part for place, part in enumerate(_parts(argument)))
        for argument in _completed(given)
    ]
    if given:
        _check(resolved)
    return resolved


def _check(arguments: Sequence[str]) -> None:
    """What Beam says of its options when a pipeline starts, before anything has run."""
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
    from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
    from apache_beam.runners.runner import create_runner

    printed = io.StringIO()
    try:
        # What argparse cannot use, it prints with all that it could, and exits.
        with redirect_stdout(printed), redirect_stderr(printed):
            options = PipelineOptions(flags=list(arguments))
            runner = options.view_as(StandardOptions).runner
            validator = PipelineOptionsValidator(options, create_runner(runner or "DirectRunner"))
            found = [
                sentence
                for kind in validator.OPTIONS
                # Google's own check asks its servers for a bucket.
                if "validate" in vars(kind) and kind is not GoogleCloudOptions
                for sentence in options.view_as(kind).validate(validator)
            ]
            if validator.is_service_runner():
                cloud = options.view_as(GoogleCloudOptions)
                found += validator.validate_cloud_options(cloud)
                # Either stands in for the other.
                if validator.validate_gcs_path(cloud, "staging_location"):
                    found += validator.validate_gcs_path(cloud, "temp_location")
    except (ValueError, ImportError, AttributeError) as error:
        found = [str(error)]
    except SystemExit:
        _, mark, said = printed.getvalue().strip().rpartition(": error: ")
        found = [said if mark else " ".join(arguments)]
    if found:
        raise ConfigError(
            "Beam cannot use its arguments.", where="key beam.args", found=" ".join(found), expected=_WANTED
        )


def _completed(given: Sequence[str]) -> list[str]:
    if not given:
        return [*IN_PROCESS]
    arguments = list(given)
    for default, wanted in (
        (_JOB_SERVER_TIMEOUT, _has(given, "job_endpoint")),
        (_NOTHING_SHIPPED, _ships_nothing(given)),
    ):
        if wanted and not _has(given, default.split("=")[0].removeprefix("--")):
            arguments.append(default)
    return arguments


def _has(given: Sequence[str], name: str) -> bool:
    return any(argument.split("=")[0] == f"--{name}" for argument in given)


def _ships_nothing(given: Sequence[str]) -> bool:
    """Whether the workers have an environment that is there already."""
    return any(
        argument.split("=")[0] == "--environment_type" and argument.upper().endswith(_OWN_ENVIRONMENT)
        for argument in given
    )


def _parts(argument: str) -> list[str]:
    """Text and names of variables by turns."""
    parts = re.split(VARIABLE, argument)
    for name in parts[1::2]:
        if name not in os.environ:
            raise ConfigError(
                "An argument of Beam names an environment variable that is not set.",
                where="key beam.args",
                found=argument,
                expected=f"{name} in the environment",
                fix=f"export {name}=..., or write its value in place of ${{{name}}}",
            )
    return parts


def _with_variables(argument: str) -> str | Placeholder:
    from tfx.dsl.placeholder import placeholder

    parts = [
        placeholder.environment_variable(part) if place % 2 else part
        for place, part in enumerate(_parts(argument))
        if part
    ]
    return reduce(add, parts)
