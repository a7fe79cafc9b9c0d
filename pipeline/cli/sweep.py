"""`marquee sweep`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.group import CommandInterruptedError
from pipeline.cli.options import configured, json_option, short, verbosely, waiting
from pipeline.cli.session import session
from pipeline.cli.variants import check_before, csv_option, plot_option, tell_failures, train_each

if TYPE_CHECKING:
    from pipeline.cli.console import PlainConsole as Console
    from pipeline.operations.variants import Outcome


@click.command()
@click.option("--over", required=True, metavar="KEY=V1,V2,...", help="The key, and the values to train with.")
@csv_option
@plot_option
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
    value does not touch comes from the cache. Exits with 1 when one of the values failed, and with 4 when the data
    stop all of them.

    \b
    Examples:
      marquee sweep --over model.embedding_dim=2,4,8,16,32,64 --plot dims.png
      marquee sweep --over model.name=dot_product,mlp,genre_mlp
      marquee sweep --over model.hidden_units=[64],[128,64] --set model.name=mlp
    """
    from pipeline.operations import sweep as sweeping
    from pipeline.operations.variants import sentence

    key, values = sweeping.plan(over, file, overrides)
    check_before(values, csv_file, plot_file)
    first = values[0].config
    results = first.pipeline_root / "sweeps" / f"{key}.csv"
    title = f"{key} over {', '.join(value.text for value in values)}"
    with session(first, "sweep", wait, verbose, title, quiet=as_json) as (console, log):
        outcomes: list[Outcome] = []
        interrupted = None
        try:
            for done in train_each(console, values, log, f"{key}=", sentence):
                outcomes.append(done)
                # After each, so that what is known outlives whatever happens to the rest.
                sweeping.write_csv(results, key, outcomes)
        except CommandInterruptedError as error:
            interrupted = error
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
    failed = tell_failures(f"{key}=", outcomes)
    if interrupted:
        raise interrupted
    sys.exit(failed)


def print_report(console: Console, key: str, outcomes: Sequence[Outcome]) -> None:
    """Prints the table, the best value, and what to bear in mind."""
    from pipeline.cli.console import print_table
    from pipeline.operations import sweep as sweeping
    from pipeline.operations.variants import best, cell, columns, heading

    names = [name for name in columns(outcomes) if name != "epochs"]  # beside the best one
    chosen = best(outcomes)
    with_gap = "train_loss" in names and "val_loss" in names
    headings = [(heading(name), "right") for name in names]
    if with_gap:
        headings.insert(names.index("val_loss") + 1, ("gap", "right"))
    rows = []
    for one in outcomes:
        cells = [cell(one, name) for name in names]
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
            f"Best by {heading(metric).replace('val ', 'validation ')},"
            f" {cell(one, metric)}: {key}={one.value}",
            soft_wrap=True,
        )
    for text in sweeping.notes(key, outcomes):
        console.print(text, soft_wrap=True)
