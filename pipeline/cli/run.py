"""`marquee run`, and what it says at its end."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.shared.artifacts import (
    EXAMPLE_GEN,
    LAST_SPAN,
    NOT_PUSHED,
    RATED_BEST,
    RETRIEVAL,
    SERVING_VALIDATOR,
    TRAINER,
    TYPICAL_USER,
)
from components.shared.errors import LockedError
from pipeline.cli.ask import _served, print_answers
from pipeline.cli.interrupts import stop
from pipeline.cli.options import command_name, configured, flags_of, short, verbosely, waiting
from pipeline.cli.releases import forced_versions
from pipeline.cli.report import reporting
from pipeline.cli.session import execute, session
from pipeline.operations.outcome import ExitCode

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.cli.console import PlainConsole as Console
    from pipeline.config import PipelineConfig
    from pipeline.operations.served import ServedModel
    from pipeline.state.runs import Run


@click.command()
@configured
@waiting
@click.option("--if-new-data", is_flag=True, help="End at once where the last run has read the same files.")
@verbosely
def run(file: str | None, overrides: tuple[str, ...], wait: bool, if_new_data: bool, verbose: bool) -> None:
    """Run the pipeline: from ratings to a pushed model.

    What has not changed since an earlier run comes from its cache. Exits with 0 when the model is pushed or nothing
    has changed, 3 when the model is refused, 4 when the data stop the run, 2 when the configuration is wrong, 75 when
    another run is at work, 130 or 143 when interrupted, and 1 when it failed and is worth a retry.

    \b
    Examples:
      marquee run
      marquee run --config ml-1m
      marquee run --set tuning.tune=true               search the model's best values first
      marquee run --if-new-data                        for a schedule
      marquee run --set data.path=ratings.csv --set data.columns.user_id=userId
    """
    from pipeline.config import load_config

    config = load_config(file, overrides)
    models = [f"{one.name} ({one.objective})" for one in (config.model, config.retrieval) if one]
    title = f"{' and '.join(models)} on {config.data.path}"
    with telling(config) as ending:
        # A wrong input is told before TFX is imported and before anything is written.
        source = config.data.source()
        if if_new_data:
            from pipeline.state.spans import nothing_new

            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it greets where TFX looks at the files
            sentence = nothing_new(config, source)
            if sentence:
                click.echo(f"{config.name}: {sentence}")
                return
        with session(config, "run", wait, verbose, title) as (console, log), reporting(console, config):
            ending.log = log
            done = _run(console, config, log)
            blessed = report(console, config, done, flags_of(file, overrides))
            ending.run = done
    sys.exit(ExitCode.DONE if blessed else ExitCode.REFUSED)


@dataclass
class Ending:
    """What there is to tell of a run."""

    run: Run | None = None
    log: Path | None = None


@contextmanager
def telling(config: PipelineConfig, failed_alone: bool = False) -> Iterator[Ending]:
    """Tells whom `notify` names how what is run in here ends, but for an interruption, and for another's run.

    Args:
        config: Of the run.
        failed_alone: Whether it is told only where it fails, as it does not end the run.
    """
    started, ending = datetime.now(UTC).astimezone(), Ending()
    try:
        yield ending
    except LockedError:
        raise
    except Exception as error:
        if not stop.signal:
            _tell_ending(config, started, ending, error)
        raise
    if not failed_alone:
        _tell_ending(config, started, ending, None)


def _tell_ending(config: PipelineConfig, started: datetime, ending: Ending, error: Exception | None) -> None:
    from pipeline.operations.notify import message, notify

    try:
        warnings = notify(config, message(config, started, ending.run, error, ending.log))
    except Exception as failed:
        warnings = [f"Nobody could be told how the run ended: {type(failed).__name__}"]
    for warning in warnings:
        click.echo(f"Warning: {warning}.", err=True)


def tell_node(
    console: Console, config: PipelineConfig, name: str, seconds: float, error: BaseException | None
) -> None:
    """Prints the line of a component of the newest run that has ended, or failed."""
    from pipeline.cli.console import component_line
    from pipeline.cli.figures import figure
    from pipeline.state.runs import read_runs

    if isinstance(error, KeyboardInterrupt):
        line = component_line(name, "interrupted", seconds, "")
    elif error:
        line = component_line(name, "failed", seconds, type(error).__name__)
    else:
        run = read_runs(config, last=1)[0]
        node = run.nodes[name]
        line = component_line(name, node.state, seconds, figure(node, run))
    console.print(line)


def _run(console: Console, config: PipelineConfig, log: Path) -> Run:
    from pipeline.state.runs import read_runs

    def create() -> Pipeline:
        from pipeline.pipeline import create_pipeline

        return create_pipeline(config)

    started = time.monotonic()
    execute(console, config, log, create, lambda *ended: tell_node(console, config, *ended))
    result = read_runs(config, last=1)[0]
    seconds = f"{time.monotonic() - started:.0f} s"
    if result.state == "cached":
        last = result.summary().get(LAST_SPAN)
        since = f" No new data since span {last}." if last else ""
        console.print(f"Nothing has changed: every component came from the cache, in {seconds}.{since}")
    else:
        console.print(f"Finished in {seconds}.")
    return result


def reached(summary: dict[str, Any]) -> str:
    """What the model reached, by the metrics of its objective."""
    from components.shared.features import INTERACTION, LIKE, learns, metric_title

    k = summary.get("primary_k")
    of = {LIKE: ["auc", "log_loss"], INTERACTION: [f"ndcg@{k}", f"recall@{k}"]}
    names = [name for what in of if learns(summary["objective"], what) for name in of[what]]
    names += [
        metric
        for key in ("metric", f"{RETRIEVAL}metric")
        if (metric := summary.get(key)) and metric not in names
    ]
    reached = [f"{metric_title(name)} {summary[name]:.4f}" for name in names if name in summary]
    text = f"{', '.join(reached)} on the test split"
    return text + _beside_baseline(summary)


def _beside_baseline(summary: dict[str, Any]) -> str:
    """What the last blessed model reaches on the rows on which the two are compared."""
    from components.shared.features import metric_title

    left_out = summary.get("left_out_rows", 0)
    if summary.get("compared_rows") == 0 and "baseline_model_id" in summary:
        known = f"the baseline was trained on {left_out:,} rows of it"
        return f"; compared with nothing: {known if left_out else 'what the baseline was trained on is gone'}"
    both = [prefix for prefix in ("", RETRIEVAL) if f"{prefix}baseline_metric" in summary]
    if not both:
        return ""
    titles = {prefix: metric_title(summary[f"{prefix}metric"]) for prefix in both}
    if not left_out:
        theirs = [f"{titles[prefix]} there is {summary[f'{prefix}baseline_metric']:.4f}" for prefix in both]
        return f"; the baseline's {', its '.join(theirs)}"
    shown = [
        f"{titles[prefix]} {summary[f'{prefix}candidate_metric']:.4f}, the baseline's"
        f" {summary[f'{prefix}baseline_metric']:.4f}"
        for prefix in both
    ]
    rows = f"{summary['compared_rows']:,} rows of it that the baseline was not trained on"
    return f"; on the {rows}, {', '.join(shown)}"


def _what_now(console: Console, config: PipelineConfig, flags: str, *lines: str) -> None:
    """Ends the report of a model that is not pushed: what is served, and what to try."""
    from pipeline.state.runs import pushed_versions

    present = pushed_versions(config.serving_model_dir)
    console.print(
        f"Served is version {present[-1].name}, as before." if present else "Nothing is served yet."
    )
    for line in lines:
        console.print(line.replace("marquee ", f"{command_name()} ").replace(" FLAGS", flags), soft_wrap=True)


def report(console: Console, config: PipelineConfig, done: Run, flags: str) -> bool:
    """Prints the verdict and, if a new model is served, recommendations for a typical user."""
    summary = done.summary()
    blessed = bool(summary.get("blessed"))
    metrics = reached(summary)
    console.print()
    if not blessed:
        console.headed("Not blessed, not pushed", "bold red", f": {metrics}")
        for failure in summary.get("failures", []):
            console.print(f"  - {failure}", soft_wrap=True)
        _what_now(
            console,
            config,
            flags,
            "Next: marquee explain FLAGS, for every rule with its key (under `evaluation` and `blessing`)",
            "Next: bring more ratings, or try --set model.name=two_tower, or --set tuning.tune=true for a search",
            'Next: marquee bless --force --reason "..." FLAGS, to serve it all the same',
        )
        _tell_if_forced(console, config, done)
        return False
    if not summary.get("fit_for_serving", True):
        console.headed("Blessed, but not fit for serving, so not pushed", "bold red", f": {metrics}")
        for failure in summary["serving_failures"]:
            console.print(f"  - {failure}")
        report = done.nodes[SERVING_VALIDATOR].output("blessing") if SERVING_VALIDATOR in done.nodes else None
        _what_now(
            console,
            config,
            flags,
            "Next: mend the export, or change a budget under `serving`: either has it asked again"
            + (f"; all figures: {short(Path(report.uri) / 'report.json')}" if report else ""),
        )
        _tell_if_forced(console, config, done)
        return False
    console.headed("Blessed", "bold green", f": {metrics}")
    if NOT_PUSHED in summary:
        console.headed("Not pushed", "yellow", f": {summary[NOT_PUSHED]}")
        _what_now(console, config, flags, "Next: --set data.spans.push_older=true pushes it all the same")
        return True
    for warning in summary.get("warnings", []):
        console.headed("Warning", "yellow", f": {warning}")
    served = _served(config)
    unchanged = done.state == "cached" and served.path.name == summary.get("version")
    console.headed("Served", "bold green", f":  {short(served.path)}{', as before' if unchanged else ''}")
    if served.path.name != summary.get("version"):
        console.print(
            f"This run's model is version {summary.get('version')}, which was rolled back or followed by another;"
            f" `{command_name()} history{flags}` says why.",
            soft_wrap=True,
        )
    if not unchanged:  # or loading it would take as long as half of the rest
        _show(console, done, served)
    console.print()
    for command in ("recommend USER_ID", "similar TITLE", "status"):
        console.print(f"Next: {command_name()} {command}{flags}", soft_wrap=True)
    return True


def _show(console: Console, done: Run, served: ServedModel) -> None:
    """Prints what a typical user has rated best, and what they are recommended."""
    from components.shared.features import USER_KEY
    from pipeline.cli.console import spinner

    with spinner(console, "Asking the served model..."):
        examples = done.nodes[EXAMPLE_GEN].output("examples")
        assert examples
        typical = json.loads(examples.properties[TYPICAL_USER])
        user = typical[USER_KEY]
        answers = served.recommend([user], 5, exclude_rated=True)
    console.print()
    best = ", ".join(str(served.movies.get(id_) or id_) for id_ in typical[RATED_BEST])
    console.print(f"User {user}, the median by number of ratings, rated best: {best}", soft_wrap=True)
    print_answers(console, answers, [f"Recommended to user {user}"], "score")


def _tell_if_forced(console: Console, config: PipelineConfig, done: Run) -> None:
    model = done.nodes[TRAINER].output("model")
    for one in forced_versions(config):
        if model and one["kind"] == "forced" and one["model_id"] == model.id:
            console.print(f"But this model was blessed before: version {one['version']}, {one['blessing']}.")
