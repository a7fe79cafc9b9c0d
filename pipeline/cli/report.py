"""`marquee report`: a run to look at, in a browser."""

from __future__ import annotations

import logging
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from components.shared.errors import LockedError, MarqueeError, ModelError
from pipeline.cli.options import configured, short

if TYPE_CHECKING:
    from pipeline.cli.console import PlainConsole as Console
    from pipeline.config import PipelineConfig
    from pipeline.state.runs import Run

_RUNS = 20  # of which the last one with a report is what a new one is held against


@contextmanager
def reporting(
    console: Console, config: PipelineConfig, run_id: str | None = None, failed_alone: bool = False
) -> Iterator[None]:
    """Ends what runs in here with the report of the run and its path, also where it fails; one that fails is told.

    Args:
        console: Where to.
        config: Of the run.
        run_id: Of a run that may have started before; None: one that starts in here.
        failed_alone: Whether there is a report only where it fails, as it does not end the run.
    """
    since = time.time()

    def is_meant(run: Run) -> bool:
        # Else it ended before there was one, and the last is another.
        return run.id == run_id if run_id else run.started.timestamp() >= since

    try:
        yield
    except LockedError:  # the lock was lost, and the newest run may be another's
        raise
    except MarqueeError as error:
        _write(console, config, is_meant, str(error))
        raise
    if not failed_alone:
        _write(console, config, is_meant, "")


def _write(console: Console, config: PipelineConfig, is_meant: Callable[[Run], bool], error: str) -> None:
    from pipeline.operations import report as reports
    from pipeline.state.runs import read_runs

    try:
        runs = read_runs(config, _RUNS)
        if runs and is_meant(runs[-1]):
            path = reports.write(config, runs, runs[-1], error, current=True)
            console.print(f"Report: {short(path)}", soft_wrap=True)
    except Exception:  # a run is not worth less for it
        logging.getLogger("marquee").exception("The report could not be written.")
        console.headed("Warning", "yellow", ": the report could not be written, the log says why")


@click.command()
@click.argument("run", required=False, metavar="[RUN]")
@click.argument("other", required=False, metavar="[OTHER]")
@click.option("--history", "over_time", is_flag=True, help="All runs and versions over time instead.")
@click.option("--open", "opened", is_flag=True, help="Open it in the browser.")
@configured
def report(
    run: str | None,
    other: str | None,
    over_time: bool,
    opened: bool,
    file: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Show where the report of RUN (the last one) is, and write it where it is missing.

    It is one HTML file that needs no network: the decision, the data, the models, the embedding space, four users, and
    the run itself. With OTHER, the two beside each other. RUN and OTHER are the beginning of a run's id or start as
    `marquee status` shows it, or a pushed version.

    \b
    Examples:
      marquee report --open
      marquee report "2026-11-23 16:10"
      marquee report 1795710217 1795710776
      marquee report --history --open
    """
    from pipeline.config import load_config
    from pipeline.operations import explain, report_history
    from pipeline.operations import report as reports
    from pipeline.state.runs import read_runs

    config = load_config(file, overrides)
    runs = read_runs(config)
    if not runs:
        raise ModelError(
            f"There is no run of {config.name!r} yet.",
            where=str(config.pipeline_root),
            fix="run `marquee run` first",
        )
    first = explain.matching(runs, run) if run else runs[-1]
    if over_time:
        path = report_history.write(config, runs)
    elif other:
        path = reports.write_beside(config, runs, first, explain.matching(runs, other))
    else:
        path = reports.path_of(config, first)
        if not path.is_file():
            path = reports.write(config, runs, first)
    click.echo(short(path))
    if opened:
        webbrowser.open(path.as_uri())
