"""`marquee sweep`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.shared.errors import MarqueeError
from pipeline.cli.group import CommandInterruptedError
from pipeline.cli.options import configured, json_option, path_type, short, verbosely, waiting
from pipeline.cli.session import execute, session

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.cli.console import PlainConsole as Console
    from pipeline.operations.sweep import Outcome, Value


@click.command()
@click.option("--over", required=True, metavar="KEY=V1,V2,...", help="The key, and the values to train with.")
@click.option("--csv", "csv_file", type=path_type, metavar="FILE", help="Write the results here too.")
@click.option("--plot", "plot_file", type=path_type, metavar="FILE.png", help="Plot them (also .svg, .pdf).")
@json_option
@configured
@waiting
@verbosely
def sweep(
    over: str,
    csv_file: Path | None,
    plot_file: Path | None,
    as_json: bool,
    file: str | None,
    overrides: tuple[str, ...],
    wait: bool,
    verbose: bool,
) -> None:
    """Train with each of several values of a key, and compare.

    Shows what each value does to the loss on train, validation and test and to the ranking, which tells under- from
    overfitting. It is a pipeline of its own, <name>-sweep, that ends before anything is blessed or pushed; what a
    value does not touch comes from the cache. Exits with 1 when one of the values failed.

    \b
    Examples:
      marquee sweep --over model.embedding_dim=2,4,8,16,32,64 --plot dims.png
      marquee sweep --over model.name=dot_product,mlp,genre_mlp
      marquee sweep --over model.hidden_units=[64],[128,64] --set model.name=mlp
    """
    from pipeline.cli.console import printable
    from pipeline.operations import sweep as sweeping

    key, values = sweeping.plan(over, file, overrides)
    for path, option in ((csv_file, "--csv"), (plot_file, "--plot")):
        if path:
            sweeping.check_output(path, option)
    checked: list[Any] = []
    for value in values:
        if value.config.data not in checked:
            value.config.data.source()
            checked.append(value.config.data)
    first = values[0].config
    results = first.pipeline_root / "sweeps" / f"{key}.csv"
    title = f"{key} over {', '.join(value.text for value in values)}"
    with session(first, "sweep", wait, verbose, title, quiet=as_json) as (console, log):
        outcomes: list[Outcome] = []
        interrupted = None
        for value in values:
            try:
                outcomes.append(_try(console, key, value, log))
            except CommandInterruptedError as error:
                interrupted = CommandInterruptedError(f"{key}={value.text}: {error}")
                break
            # After each, so that what is known outlives whatever happens to the rest.
            sweeping.write_csv(results, key, outcomes)
        if as_json:
            content = sweeping.as_json(key, first.name, outcomes, results)
            console.file.write(json.dumps(content, indent=2) + "\n")
        elif outcomes:
            print_report(console, key, outcomes)
            console.print(f"CSV: {short(results)}", soft_wrap=True)
        if csv_file and outcomes:
            sweeping.write_csv(csv_file, key, outcomes)
        if plot_file and any(one.figures for one in outcomes):
            sweeping.write_plot(plot_file, key, outcomes)
    failed = [one for one in outcomes if one.state == "failed"]
    for one in failed:
        click.echo(printable(f"Error: {key}={one.value}: {one.error}"), err=True)
    if interrupted:
        raise interrupted
    sys.exit(1 if failed else 0)


def _try(console: Console, key: str, value: Value, log: Path) -> Outcome:
    """Runs the pipeline with one value, and prints what came of it."""
    from pipeline.cli.console import component_line
    from pipeline.operations.sweep import Outcome, outcome, sentence
    from pipeline.state.runs import read_runs

    def create() -> Pipeline:
        from pipeline.pipeline import create_sweep_pipeline

        return create_sweep_pipeline(value.config)

    def tell(name: str, seconds: float, error: BaseException | None) -> None:
        """A line a component would be too many."""

    started = time.monotonic()
    try:
        execute(console, value.config, log, create, tell, f"{key}={value.text}: ")
    except CommandInterruptedError:
        raise
    except MarqueeError as error:
        done = Outcome(value.text, "failed", time.monotonic() - started, error=str(error))
        told = error.problem
    else:
        run = read_runs(value.config, last=1)[0]
        done = outcome(value.text, run, time.monotonic() - started)
        told = sentence(done)
    console.print(component_line(value.text, done.state, done.seconds, told), soft_wrap=True)
    return done


def print_report(console: Console, key: str, outcomes: Sequence[Outcome]) -> None:
    """Prints the table, the best value, and what to bear in mind."""
    from pipeline.cli.console import print_table
    from pipeline.operations import sweep as sweeping

    names = [name for name in sweeping.columns(outcomes) if name != "epochs"]  # beside the best one
    chosen = sweeping.best(outcomes)
    with_gap = "train_loss" in names and "val_loss" in names
    headings = [(sweeping.heading(name), "right") for name in names]
    if with_gap:
        headings.insert(names.index("val_loss") + 1, ("gap", "right"))
    rows = []
    for one in outcomes:
        cells = [sweeping.cell(one, name) for name in names]
        if with_gap:
            figures = one.figures
            known = "train_loss" in figures and "val_loss" in figures
            gap = f"{figures['val_loss'] - figures['train_loss']:+.4f}" if known else "-"
            cells.insert(names.index("val_loss") + 1, gap)
        mark = "failed" if one.state == "failed" else "best" if chosen and one is chosen[1] else ""
        rows.append([one.value, *cells, mark])
    console.print()
    print_table(
        console,
        f"Sweep over {key}",
        [(key.rsplit(".", 1)[-1], "right"), *headings, ("", "left")],
        rows,
        droppable=(
            "parameters",
            "CPU s",
            "train AUC",
            "test loss",
            "test AUC",
            "recall@10",
            "train loss",
            "gap",
        ),
    )
    console.print()
    if chosen:
        metric, one = chosen
        console.print(
            f"Best by {sweeping.heading(metric).replace('val ', 'validation ')},"
            f" {sweeping.cell(one, metric)}: {key}={one.value}",
            soft_wrap=True,
        )
    for text in sweeping.notes(key, outcomes):
        console.print(text, soft_wrap=True)
