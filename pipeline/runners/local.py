"""Runs a pipeline in this process with the LocalDagRunner."""

from __future__ import annotations

import atexit
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from absl import logging as absl_logging
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from pipeline.state.store import in_order, secrets_kept

# Called with a component's id, and True when it starts or False when it ends.
Observer = Callable[[str, bool], None]


def run(pipeline: Pipeline, observe: Observer) -> None:
    """Runs all components one after the other; what a component raises is raised here."""
    # At its end the interpreter frees TensorFlow's tables and functions in no order, and may crash doing so.
    atexit.register(gc.freeze)
    with _observed(observe), secrets_kept(absl_logging.get_absl_logger()), in_order():
        LocalDagRunner().run(pipeline)


@contextmanager
def _observed(observe: Observer) -> Iterator[None]:
    # The runner has no hook, but it logs the start and the end of each component.
    messages = {"Component %s is running.": True, "Component %s is finished.": False}

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.msg in messages and isinstance(record.args, tuple):
                observe(str(record.args[0]), messages[record.msg])

    handler = Handler()
    logger = absl_logging.get_absl_logger()
    absl_logging.set_verbosity(absl_logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
