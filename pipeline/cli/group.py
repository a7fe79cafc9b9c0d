"""The group of commands: prints the errors that a user can meet without a traceback, and tells of signals."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from components.shared.errors import MarqueeError
from pipeline.cli.interrupts import Stop, remembered, stop
from pipeline.operations.outcome import exit_code


class CommandInterruptedError(MarqueeError):
    """A signal ended what ran: Ctrl-C, or SIGTERM."""


class Group(click.Group):
    """Prints the errors a user can meet as they are, without a traceback, and tells of signals."""

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.parent:  # the outermost group tells it
            return super().invoke(ctx)
        try:
            with remembered():
                try:
                    done = super().invoke(ctx)
                except BaseException as error:
                    stop.leave()
                    # An error may have come of the signal, whatever it says.
                    if stop.signal:
                        end(stop, error)
                    if not isinstance(error, MarqueeError):
                        raise
                    tell_error(error)
                    ctx.exit(exit_code(error))
                stop.leave()
                if stop.signal:  # it was swallowed
                    end(stop, None)
                return done
        finally:
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                # The interpreter takes its time to end, and would print a traceback.
                signal.signal(signal.SIGINT, signal.SIG_DFL)


def tell_error(error: MarqueeError) -> None:
    from pipeline.cli.console import printable

    click.secho(f"Error: {printable(str(error))}", fg="red" if sys.stderr.isatty() else None, err=True)


def end(stop: Stop, error: BaseException | None) -> NoReturn:
    """Ends the process with a line and the exit code of the signal."""
    click.echo(str(error) if isinstance(error, CommandInterruptedError) else f"{stop}.", err=True)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # Not the interpreter's own end, which waits for the threads of Beam.
    os._exit(stop.exit_code)
