"""`marquee compare`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from components.shared.artifacts import RANKING_EVALUATOR, TRAINER
from pipeline.cli.group import CommandInterruptedError
from pipeline.cli.options import configured, json_option, short, verbosely, waiting
from pipeline.cli.session import session
from pipeline.cli.variants import check_before, combined, csv_option, plot_option, tell_failures, train_each

if TYPE_CHECKING:
    from components.ranking.bootstrap import Estimate
    from pipeline.cli.console import PlainConsole as Console
    from pipeline.operations.answers import Answer, Row
    from pipeline.operations.variants import Outcome, Variant


@click.command()
@click.option(
    "--models",
    metavar="NAME,NAME,...",
    help="Which, also dotted paths of modules. Default: all that come along.",
)
@click.option("--objective", type=click.Choice(["like", "interaction"]), help="Ask this question alone.")
@csv_option
@plot_option
@click.option(
    "--against",
    type=click.Choice(["cpu", "parameters"]),
    default="cpu",
    show_default=True,
    help="What the plot shows the quality against.",
)
@json_option
@configured
@waiting
@verbosely
def compare(
    models: str | None,
    objective: str | None,
    csv_file: Path | None,
    plot_file: Path | None,
    against: str,
    as_json: bool,
    file: str | None,
    overrides: tuple[str, ...],
    wait: bool,
    verbose: bool,
) -> None:
    """Train the models on the same data, and tell what each brings.

    Under both questions, model.objective like and interaction, it shows each model's figures on test with intervals,
    whether it differs from the best beyond chance, what it takes, and the floors. A key of the configuration holds for
    each model that has it. It is a pipeline of its own, <name>-compare, that ends before anything is blessed or pushed;
    the data are read once. Exits with 1 when one of the models failed, and with 4 when the data stop all of them.

    \b
    Examples:
      marquee compare --plot models.png
      marquee compare --models dot_product,mlp --objective like
      marquee compare --models two_tower,my_package.my_model --set data.path=ml-latest-small
    """
    from pipeline.operations import compare as comparing

    planned = comparing.plan(models, objective, file, overrides)
    variants = [variant for of_question in planned.values() for variant in of_question]
    check_before(variants, csv_file, plot_file)
    first = variants[0].config
    results = first.pipeline_root / "compare.csv"
    names = ", ".join(variant.text for variant in next(iter(planned.values())))
    title = f"{names} for {' and '.join(planned)}"
    with session(first, "compare", wait, verbose, title, quiet=as_json) as (console, log):
        from pipeline.operations import answers as answering  # needs TensorFlow

        outcomes: dict[str, list[Outcome]] = {}
        answers: dict[str, Answer] = {}
        interrupted = None
        try:
            for question, done in _train_all(console, planned, log):
                outcomes.setdefault(question, []).append(done)
                answers[question] = answering.answer(question, outcomes[question], first.ranking)
                # After each, so that what is known outlives whatever happens to the rest.
                answering.write_csv(results, list(answers.values()))
        except CommandInterruptedError as error:
            interrupted = error
        known = list(answers.values())
        if as_json:
            content = {
                "pipeline": first.name,
                "questions": [
                    answering.as_json(one) | {"notes": comparing.notes(planned[one.objective])}
                    for one in known
                ],
                "csv": str(results),
            }
            console.file.write(json.dumps(content, indent=2) + "\n")
        elif known:
            for one in known:
                print_answer(console, one, comparing.QUESTIONS[one.objective])
                for text in comparing.notes(planned[one.objective]):
                    console.print(text, soft_wrap=True)
            console.print(f"\nCSV: {short(results)}", soft_wrap=True)
        if csv_file and known:
            answering.write_csv(csv_file, known)
        if plot_file and any(row.figures for one in known for row in one.rows):
            answering.write_plot(plot_file, known, against, comparing.QUESTIONS)
    failed = [
        tell_failures(f"{one.objective}: ", [row.outcome for row in one.rows if row.outcome]) for one in known
    ]
    if interrupted:
        raise interrupted
    sys.exit(combined(failed))


def _train_all(
    console: Console, planned: Mapping[str, Sequence[Variant]], log: Path
) -> Iterator[tuple[str, Outcome]]:
    """What comes of each model under each question, as it is known."""
    from pipeline.operations.compare import QUESTIONS

    for question, variants in planned.items():
        console.print(f"{question}: {QUESTIONS[question]}")
        for done in train_each(console, variants, log, f"{question}: ", _told):
            yield question, done
            if done.state == "failed" and done.component not in ("", TRAINER, RANKING_EVALUATOR):
                console.print("  What failed is the same for all models, so no other is trained.")
                return


def _told(done: Outcome) -> str:
    """What the question is about, of validation and of test."""
    from pipeline.operations.variants import TEST, best, cell, heading

    chosen = best([done])
    if not chosen:
        return ""
    metric = chosen[0].removeprefix("val_").partition("@")[0]
    tested = [
        f"test {heading(name).removeprefix('test ')} {cell(done, name)}"
        for name in done.figures
        if name.startswith(f"{TEST}{metric}")
    ]
    return ", ".join([f"{heading(chosen[0])} {cell(done, chosen[0])}", *tested])


def print_answer(console: Console, found: Answer, asks: str) -> None:
    """Prints the table of a question, what the models bring, and which to take."""
    from components.shared.features import metric_title
    from pipeline.cli.console import print_table
    from pipeline.operations.answers import BEST
    from pipeline.operations.variants import cell, heading

    first, second = found.metrics
    interval = f"{100 * found.confidence:g}%"
    validated = found.chosen[0] if found.chosen else ""
    columns = [
        ("model", "left"),
        (metric_title(first), "right"),
        (interval, "left"),
        ("to best", "right"),
        (f"{interval} of that", "left"),
        ("", "left"),
        (metric_title(second), "right"),
        *([(heading(validated).partition("@")[0], "right")] if validated else []),
        ("parameters", "right"),
        ("CPU s", "right"),
    ]
    rows = [
        [
            row.name,
            _value(row.figures.get(first)),
            _ends(row.figures.get(first), ".3f", "-"),
            _value(row.differences.get(first), "+"),
            _ends(row.differences.get(first), "+.4f", " to "),
            _verdict(row),
            _value(row.figures.get(second)),
            *([cell(row.outcome, validated) if row.outcome else ""] if validated else []),
            cell(row.outcome, "parameters") if row.outcome else "",
            _seconds(row.outcome),
        ]
        for row in found.rows
    ]
    console.print()
    title = f"{found.objective}: {asks} ({found.users:,} users of the test split)"
    droppable = (f"{interval} of that", metric_title(second), "parameters", "CPU s", interval)
    print_table(console, title, columns, rows, droppable)
    console.print()
    if found.sentence:
        console.print(found.sentence, soft_wrap=True)
    if found.chosen and any(row.verdict == BEST for row in found.rows):
        chosen = found.chosen[1]
        console.print(
            f"These are figures of test. Validation, which chooses, prefers {chosen.value}"
            f" ({heading(validated)} {cell(chosen, validated)}).",
            soft_wrap=True,
        )


def _seconds(one: Outcome | None) -> str:
    from pipeline.operations.variants import TRAINING_CPU

    return f"{one.figures[TRAINING_CPU]:.1f}" if one and TRAINING_CPU in one.figures else "-" if one else ""


def _verdict(row: Row) -> str:
    if row.outcome:
        return row.verdict
    return f"floor, {row.verdict.removeprefix('within ')}" if row.verdict else "floor"


def _value(of: Estimate | None, sign: str = "") -> str:
    return f"{of.value:{sign}.4f}" if of and math.isfinite(of.value) else "-"


def _ends(of: Estimate | None, form: str, between: str) -> str:
    return f"{of.low:{form}}{between}{of.high:{form}}" if of and math.isfinite(of.low) else "-"
