"""What commands that train several variants of a pipeline have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.shared.errors import MarqueeError
from pipeline.cli.group import CommandInterruptedError
from pipeline.cli.options import path_type
from pipeline.cli.session import execute
from pipeline.operations.outcome import ExitCode, exit_code

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.cli.console import PlainConsole as Console
    from pipeline.operations.variants import Outcome, Variant

csv_option = click.option(
    "--csv", "csv_file", type=path_type, metavar="FILE", help="Write the results here too."
)
plot_option = click.option(
    "--plot", "plot_file", type=path_type, metavar="FILE.png", help="Plot them (also .svg, .pdf)."
)


def check_before(variants: Iterable[Variant], csv_file: Path | None, plot_file: Path | None) -> None:
    """That results can be written and ratings are there, before hours are spent.

    Raises:
        ConfigError: The results cannot be written.
        DataError: There are no ratings, or their header is not what it should be.
    """
    from pipeline.operations.variants import check_output

    for path, option in ((csv_file, "--csv"), (plot_file, "--plot")):
        if path:
            check_output(path, option)
    checked: list[Any] = []
    for variant in variants:
        if variant.config.data not in checked:
            variant.config.data.source()
            checked.append(variant.config.data)


def train_each(
    console: Console,
    variants: Iterable[Variant],
    log: Path,
    prefix: str,
    told: Callable[[Outcome], str],
) -> Iterator[Outcome]:
    """Runs the pipeline with each, and prints a line of what came of it.

    Args:
        console: Where to.
        variants: What to train.
        log: Where the components' output goes.
        prefix: What the text of a variant is a value of, with `=` or the like.
        told: What the line of one that has finished says.

    Raises:
        CommandInterruptedError: A signal came; it says which one was under way.
    """
    from pipeline.cli.console import component_line

    for variant in variants:
        try:
            done, problem = _train(console, variant, log, prefix)
        except CommandInterruptedError as error:
            raise CommandInterruptedError(f"{prefix}{variant.text}: {error}") from None
        line = component_line(variant.text, done.state, done.seconds, problem or told(done))
        console.print(line, soft_wrap=True)
        yield done


def _train(console: Console, variant: Variant, log: Path, prefix: str) -> tuple[Outcome, str]:
    """What came of one, and the first sentence of its error."""
    from pipeline.operations.variants import Outcome, outcome
    from pipeline.state.runs import read_runs

    failed_in = ""

    def create() -> Pipeline:
        from pipeline.pipeline import create_sweep_pipeline

        return create_sweep_pipeline(variant.config)

    def tell(name: str, seconds: float, error: BaseException | None) -> None:
        """A line a component would be too many."""
        nonlocal failed_in
        failed_in = name if error else ""

    started = time.monotonic()
    try:
        execute(console, variant.config, log, create, tell, f"{prefix}{variant.text}: ")
    except CommandInterruptedError:
        raise
    except MarqueeError as error:
        seconds = time.monotonic() - started
        code = exit_code(error)
        failed = Outcome(variant.text, "failed", seconds, error=str(error), component=failed_in, code=code)
        return failed, error.problem
    run = read_runs(variant.config, last=1)[0]
    return outcome(variant.text, run, time.monotonic() - started), ""


def tell_failures(prefix: str, outcomes: Iterable[Outcome]) -> ExitCode:
    """Prints the errors of those that failed; the code of these where all have, and for the same reason."""
    from pipeline.cli.console import printable

    told = [*outcomes]
    for one in told:
        if one.state == "failed":
            click.echo(printable(f"Error: {prefix}{one.value}: {one.error}"), err=True)
    return combined([one.code for one in told])


def combined(codes: Collection[ExitCode]) -> ExitCode:
    """What several come to: the code of all, or that something failed."""
    distinct = {*codes} or {ExitCode.DONE}
    return distinct.pop() if len(distinct) == 1 else ExitCode.FAILED
