"""Runs a pipeline in this process with the LocalDagRunner."""

from __future__ import annotations

import atexit
import ctypes
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
from absl import logging as absl_logging
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.shared.tfx_internals import (
    backslashes_kept,
    in_order,
    launches_observed,
    secrets_kept,
    signatures_kept,
)
from pipeline.state.locking import check_held
from pipeline.state.store import passwords

# Called with a component's id, and True when it starts or False when it ends.
Observer = Callable[[str, bool], None]


def run(pipeline: Pipeline, observe: Observer) -> None:
    """Runs all components one after the other; what a component raises is raised here."""
    # At its end the interpreter frees TensorFlow's tables and functions in no order, and may crash doing so.
    atexit.register(gc.freeze)
    with launching(pipeline, _tidied(observe)):
        LocalDagRunner().run(pipeline)


@contextmanager
def launching(pipeline: Pipeline, observe: Observer) -> Iterator[None]:
    """What is around all launches of a pipeline's nodes, whoever runs them; `observe` is told of each."""
    absl_logging.set_verbosity(absl_logging.INFO)
    connection = pipeline.metadata_connection_config
    secrets = passwords(connection)
    watched = launches_observed(observe, check_held)
    with watched, secrets_kept(secrets), in_order(), backslashes_kept(connection), signatures_kept():
        yield


def _tidied(observe: Observer) -> Observer:
    """Returns to the system what a node has freed: Arrow and glibc keep it, in places where the next cannot use it."""

    def observed(name: str, starts: bool) -> None:
        if not starts:
            pa.default_memory_pool().release_unused()
            with suppress(OSError, AttributeError):  # another C library than glibc
                ctypes.CDLL("libc.so.6").malloc_trim(0)
        observe(name, starts)

    return observed
