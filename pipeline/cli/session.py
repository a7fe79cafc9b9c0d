"""What a command that changes a pipeline is wrapped in: the lock, the log, recovery, and the run of the components."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from components.shared.errors import MarqueeError, ModelError
from pipeline.cli.group import CommandInterruptedError
from pipeline.cli.interrupts import stop
from pipeline.cli.options import completed, given_options, short

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.cli.console import PlainConsole as Console
    from pipeline.config import PipelineConfig
    from pipeline.state.locking import Holder


@contextmanager
def session(
    config: PipelineConfig, command: str, wait: bool, verbose: bool, title: str, quiet: bool = False
) -> Iterator[tuple[Console, Path]]:
    """The lock, the console and the log of a command that runs the pipeline; what a dead process left is put right."""
    from components.shared.storage import storage
    from pipeline.cli.console import captured
    from pipeline.state.scratch import temporary_folder
    from pipeline.state.store import connection_config

    connection_config(config)  # tells of a missing password
    log = config.log_dir / f"{datetime.now():%Y%m%d-%H%M%S-%f}.log"
    unwritable = storage(config.pipeline_root, "The pipeline's root cannot be written.")
    scratch = temporary_folder(config.pipeline_root)
    with locked(config, command, wait) as dead, unwritable, scratch, captured(log, verbose) as console:
        console.quiet = quiet
        console.headed(config.name, "bold", f": {title}, log in {short(log)}")
        recovered(console, config, dead)
        _repaired(console, config)
        yield console, log


def execute(
    console: Console,
    config: PipelineConfig,
    log: Path,
    create: Callable[[], Pipeline],
    tell: Callable[[str, float, BaseException | None], None],
    prefix: str = "",
    run: Callable[[Pipeline, Callable[[str, bool], None]], object] | None = None,
) -> None:
    """Runs the pipeline that `create` makes, and tells of each component that ends, how long it took and its error.

    `run` does so, with an observer; None: the local runner, all of it.

    Raises:
        LockedError: The lock was lost.
        MarqueeError: A component failed, or was interrupted.
    """
    from components.shared.storage import storage_error
    from pipeline.cli.console import progress, spinner
    from pipeline.runners.loading import loading
    from pipeline.state.locking import check_held
    from pipeline.state.repair import record
    from pipeline.state.store import unreachable

    component, since, running = "Pipeline", time.monotonic(), True
    begun, of_all = 0, ""
    waiting = spinner(console, f"{prefix}Loading TFX...")
    waiting.start()

    def observe(name: str, starts: bool) -> None:
        nonlocal component, since, running, waiting, begun
        waiting.stop()
        stop.check()
        component, running = name, starts
        if starts:
            since = time.monotonic()
            begun += 1
            waiting = spinner(console, f"{prefix}{name}{f' ({begun} of {of_all})' if of_all else ''}...")
            waiting.start()
        else:
            record(config, name)
            tell(name, time.monotonic() - since, None)
            stop.check()

    try:
        with progress(console):
            with loading(config.tuning.tune, bool(config.beam.args)):
                from pipeline.runners import local

                pipeline = create()
            of_all = "" if run else f"{len(pipeline.components)}"
            (run or local.run)(pipeline, observe)
    except (Exception, KeyboardInterrupt) as error:
        if stop.signal:
            stop.leave()
        waiting.stop()
        if running:
            tell(component, time.monotonic() - since, KeyboardInterrupt() if stop.signal else error)
        logging.getLogger("marquee").exception("%s failed.", component)
        check_held()  # where the lock was lost, that is behind the error, and what is left is for who has it now
        with suppress(Exception):  # if it cannot be done now, the next run does it
            recovered(None, config, None)
        if stop.signal:
            with suppress(Exception):
                _mark_interrupted(config)
            raise CommandInterruptedError(
                f"{stop} {'in' if running else 'after'} {component}: what had completed is kept, and the next run"
                f" takes it up. Log: {short(log)}"
            ) from None
        if isinstance(error, MarqueeError):
            raise
        known: MarqueeError | None = storage_error(
            error, config.pipeline_root, f"{component} failed: it could not write."
        ) or unreachable(error, config, f"{component} failed: ML Metadata cannot be reached.")
        if known:
            raise known from None
        raise MarqueeError(
            f"{component} failed.",
            where=str(log),
            found=_first_line(error),
            fix="the log has it all; a new run takes up what had completed",
        ) from None
    finally:
        waiting.stop()


def _mark_interrupted(config: PipelineConfig) -> None:
    from pipeline.state.recovery import mark_interrupted
    from pipeline.state.store import open_store

    store = open_store(config)
    if store:
        mark_interrupted(store)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    # TensorFlow opens with "in user code:" and says what is wrong at the end.
    line = lines[-1] if lines[0].endswith(":") else lines[0]
    return f"{type(error).__name__}: {line}"[:300]


def check_exists(config: PipelineConfig) -> None:
    if not config.pipeline_root.is_dir():
        raise ModelError(
            f"There is no pipeline {config.name!r} yet.",
            where=str(config.pipeline_root),
            fix="run `marquee run` first",
        )


@contextmanager
def locked(config: PipelineConfig, command: str, wait: bool) -> Iterator[Holder | None]:
    from pipeline.state.locking import locked

    def tell(other: Holder | None) -> None:
        click.echo(f"Waiting for {other or 'another process'}...", err=True)

    with locked(config.pipeline_root, command, wait, tell) as dead:
        yield dead


def recovered(console: Console | None, config: PipelineConfig, dead: Holder | None) -> None:
    """Puts right what a process that died has left, and says so."""
    from pipeline.state.recovery import recover
    from pipeline.state.store import open_store

    store = open_store(config)
    done = recover(config, store) if store else []
    for sentence in done:
        logging.getLogger("marquee").warning("Recovery: %s.", sentence)
    if console and dead:
        console.print(f"  The lock was that of a dead process, which is taken over: {dead}.", soft_wrap=True)
    if console:
        for sentence in done:
            console.print(f"  Recovered: {sentence}.", soft_wrap=True)


def _repaired(console: Console, config: PipelineConfig) -> None:
    """Has what was lost or damaged brought back or made again, and says so."""
    from pipeline.state.repair import repair, strays
    from pipeline.state.store import open_store

    store = open_store(config)
    for sentence in repair(config, store) if store else []:
        logging.getLogger("marquee").warning("Repair: %s.", sentence)
        of_call = click.get_current_context().params
        options = shlex.join(given_options(of_call["file"], of_call["overrides"]))
        console.headed("  Repaired", "yellow", f": {completed(sentence, options)}.")
    for sentence in strays(config, store):
        console.headed("  Warning", "yellow", f": {sentence}.")
