"""The `marquee` command. Heavy imports are inside the commands, so that `marquee --help` is quick."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from components.errors import ConfigError, MarqueeError, ModelError, StorageError
from components.features import metric_title
from pipeline.interrupts import Stop, remembered, stop

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.config import PipelineConfig
    from pipeline.console import PlainConsole as Console
    from pipeline.locking import Holder
    from pipeline.release import Release
    from pipeline.runs import Run
    from pipeline.served import Answer
    from pipeline.sweep import Outcome, Value


class _InterruptedError(MarqueeError):
    """A signal ended what ran: Ctrl-C, or SIGTERM."""


class _Group(click.Group):
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
                        _end(stop, error)
                    if not isinstance(error, MarqueeError):
                        raise
                    _tell(error)
                    ctx.exit(2 if isinstance(error, ConfigError) else 1)
                stop.leave()
                if stop.signal:  # it was swallowed
                    _end(stop, None)
                return done
        finally:
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                # The interpreter takes its time to end, and would print a traceback.
                signal.signal(signal.SIGINT, signal.SIG_DFL)


def _tell(error: MarqueeError) -> None:
    from pipeline.console import printable

    click.secho(f"Error: {printable(str(error))}", fg="red" if sys.stderr.isatty() else None, err=True)


def _end(stop: Stop, error: BaseException | None) -> NoReturn:
    """Ends the process with a line and the exit code of the signal."""
    click.echo(str(error) if isinstance(error, _InterruptedError) else f"{stop}.", err=True)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # Not the interpreter's own end, which waits for the threads of Beam.
    os._exit(stop.exit_code)


def _configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --config and --set."""
    for option in (
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set one key, e.g. model.name=mlp. Repeatable.",
        ),
        click.option(
            "--config",
            "file",
            metavar="FILE",
            help="A YAML file, or the name of one that comes along, e.g. ml-1m.",
        ),
    ):
        command = option(command)

    @wraps(command)
    def told(file: str | None, overrides: tuple[str, ...], **rest: Any) -> Any:
        try:
            return command(file=file, overrides=overrides, **rest)
        except ConfigError:
            raise  # it is these options that are wrong
        except MarqueeError as error:
            # Of the whole text, which has been cut to a terminal's measure already.
            error.args = (_completed(str(error), shlex.join(_options(file, overrides))),)
            raise

    return told


def _completed(text: str, options: str) -> str:
    """A text in which each suggested `marquee ...` is called as this one is, and about the same pipeline."""
    return re.sub(
        r"`marquee( [^`]*)?`",
        lambda found: f"`{' '.join(filter(None, [_command() + (found[1] or ''), options]))}`",
        text,
    )


def _utf8(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """What ML Metadata can hold: in place of bytes that are not UTF-8 a mark."""
    return os.fsencode(value).decode(errors="replace")


_k = click.option(
    "-k", default=10, show_default=True, type=click.IntRange(1, 2**31 - 1), help="How many movies."
)
_path = click.Path(path_type=Path)
_wait = click.option("--wait", is_flag=True, help="Wait for another process on this pipeline, not refuse.")
_verbose = click.option("--verbose", "-v", is_flag=True, help="Show the logs of all components too.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="marquee")
def main() -> None:
    """Train, evaluate, bless and serve a movie recommender.

    \b
    Examples:
      marquee run                                      on MovieLens 100K, which comes along
      marquee run --set data.path=ml-latest-small      on a folder with ratings of your own
      marquee run --set model.name=genre_mlp --set model.embedding_dim=64
      marquee sweep --over model.embedding_dim=8,16,32 train with each, side by side
      marquee status                                   runs, metrics, pushed versions
      marquee history                                  every version ever pushed, and why
      marquee rollback                                 serve the version before
      marquee recommend 42 -k 5                        what user 42 would like
      marquee similar "Toy Story"                      what is like it
      marquee config                                   every key with its default
    """


@main.command()
@_configured
@_wait
@_verbose
def run(file: str | None, overrides: tuple[str, ...], wait: bool, verbose: bool) -> None:
    """Run the pipeline: from ratings to a pushed model.

    What has not changed since an earlier run comes from its cache. Exits with 0 when the model is blessed and
    fit for serving, with 1 when it is not or the run failed, with 2 when the configuration is wrong.

    \b
    Examples:
      marquee run
      marquee run --config ml-1m
      marquee run --set tuning.tune=true               search the model's best values first
      marquee run --set data.path=ratings.csv --set data.columns.user_id=userId
    """
    from pipeline.config import load_config

    config = load_config(file, overrides)
    # A wrong input is told before TFX is imported and before anything is written.
    config.data.source()
    title = f"{config.model.name} ({config.model.objective}) on {config.data.path}"
    with _session(config, "run", wait, verbose, title) as (console, log):
        done = _run(console, config, log)
        blessed = _report(console, config, done, _flags(file, overrides))
    sys.exit(0 if blessed else 1)


@contextmanager
def _session(
    config: PipelineConfig, command: str, wait: bool, verbose: bool, title: str, quiet: bool = False
) -> Iterator[tuple[Console, Path]]:
    """The lock, the console and the log of a command that runs the pipeline; what a dead process left is put right."""
    from components.versions import storage
    from pipeline.console import captured
    from pipeline.scratch import temporary_folder
    from pipeline.store import connection_config

    connection_config(config)  # tells of a missing password
    log = config.log_dir / f"{datetime.now():%Y%m%d-%H%M%S-%f}.log"
    unwritable = storage(config.pipeline_root, "The pipeline's root cannot be written.")
    scratch = temporary_folder(config.pipeline_root)
    with _locked(config, command, wait) as dead, unwritable, scratch, captured(log, verbose) as console:
        console.quiet = quiet
        console.headed(config.name, "bold", f": {title}, log in {_short(log)}")
        _recover(console, config, dead)
        _repair(console, config)
        yield console, log


def _run(console: Console, config: PipelineConfig, log: Path) -> Run:
    from pipeline.console import component_line, figure
    from pipeline.runs import read_runs

    def create() -> Pipeline:
        from pipeline.pipeline import create_pipeline

        return create_pipeline(config)

    def tell(name: str, seconds: float, error: BaseException | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            line = component_line(name, "interrupted", seconds, "")
        elif error:
            line = component_line(name, "failed", seconds, type(error).__name__)
        else:
            run = read_runs(config, last=1)[0]
            node = run.nodes[name]
            line = component_line(name, node.state, seconds, figure(node, run))
        console.print(line)

    started = time.monotonic()
    _execute(console, config, log, create, tell)
    result = read_runs(config, last=1)[0]
    seconds = f"{time.monotonic() - started:.0f} s"
    if result.state == "cached":
        console.print(f"Nothing has changed: every component came from the cache, in {seconds}.")
    else:
        console.print(f"Finished in {seconds}.")
    return result


def _execute(
    console: Console,
    config: PipelineConfig,
    log: Path,
    create: Callable[[], Pipeline],
    tell: Callable[[str, float, BaseException | None], None],
    prefix: str = "",
) -> None:
    """Runs the pipeline that `create` makes, and tells of each component that ends, how long it took and its error.

    Raises:
        MarqueeError: A component failed, or was interrupted.
    """
    from components.versions import storage_error
    from pipeline.console import progress, spinner
    from pipeline.repair import record

    component, since, running = "Pipeline", time.monotonic(), True
    waiting = spinner(console, f"{prefix}Loading TFX...")
    waiting.start()

    def observe(name: str, starts: bool) -> None:
        nonlocal component, since, running, waiting
        waiting.stop()
        stop.check()
        component, running = name, starts
        if starts:
            since = time.monotonic()
            waiting = spinner(console, f"{prefix}{name}...")
            waiting.start()
        else:
            record(config, name)
            tell(name, time.monotonic() - since, None)
            stop.check()

    try:
        from pipeline.runners import local

        with progress(console):
            local.run(create(), observe)
    except (Exception, KeyboardInterrupt) as error:
        if stop.signal:
            stop.leave()
        waiting.stop()
        if running:
            tell(component, time.monotonic() - since, KeyboardInterrupt() if stop.signal else error)
        logging.getLogger("marquee").exception("%s failed.", component)
        with suppress(Exception):  # if it cannot be done now, the next run does it
            _recover(None, config, None)
        if stop.signal:
            with suppress(Exception):
                _mark_interrupted(config)
            raise _InterruptedError(
                f"{stop} {'in' if running else 'after'} {component}: what had completed is kept, and the next run"
                f" takes it up. Log: {_short(log)}"
            ) from None
        if isinstance(error, MarqueeError):
            raise
        unwritable = storage_error(error, config.pipeline_root, f"{component} failed: it could not write.")
        if unwritable:
            raise unwritable from None
        raise MarqueeError(
            f"{component} failed.",
            where=str(log),
            found=_first_line(error),
            fix="the log has it all; a new run takes up what had completed",
        ) from None
    finally:
        waiting.stop()


def _mark_interrupted(config: PipelineConfig) -> None:
    from pipeline.recovery import mark_interrupted
    from pipeline.store import open_store

    store = open_store(config)
    if store:
        mark_interrupted(store)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    # TensorFlow opens with "in user code:" and says what is wrong at the end.
    line = lines[-1] if lines[0].endswith(":") else lines[0]
    return f"{type(error).__name__}: {line}"[:300]


def _figures(summary: dict[str, Any]) -> str:
    """What the model reached, by the metrics of its objective."""
    k = summary.get("primary_k")
    names = ["auc", "log_loss"] if summary["objective"] == "like" else [f"ndcg@{k}", f"recall@{k}"]
    names += [metric] if (metric := summary.get("metric")) and metric not in names else []
    reached = [f"{metric_title(name)} {summary[name]:.4f}" for name in names if name in summary]
    text = f"{', '.join(reached)} on the test split"
    return text + _beside_baseline(summary)


def _beside_baseline(summary: dict[str, Any]) -> str:
    """What the last blessed model reaches on the rows on which the two are compared."""
    left_out = summary.get("left_out_rows", 0)
    if summary.get("compared_rows") == 0 and "baseline_model_id" in summary:
        known = f"the baseline was trained on {left_out:,} rows of it"
        return f"; compared with nothing: {known if left_out else 'what the baseline was trained on is gone'}"
    if "baseline_metric" not in summary:
        return ""
    title, baseline = metric_title(summary["metric"]), f"{summary['baseline_metric']:.4f}"
    if not left_out:
        return f"; the baseline's {title} there is {baseline}"
    return (
        f"; on the {summary['compared_rows']:,} rows of it that the baseline was not trained on, {title}"
        f" {summary['candidate_metric']:.4f}, the baseline's {baseline}"
    )


def _what_now(console: Console, config: PipelineConfig, flags: str, *lines: str) -> None:
    """Ends the report of a model that is not pushed: what is served, and what to try."""
    from pipeline.runs import pushed_versions

    present = pushed_versions(config.serving_model_dir)
    console.print(
        f"Served is version {present[-1].name}, as before." if present else "Nothing is served yet."
    )
    for line in lines:
        console.print(line.replace("marquee ", f"{_command()} ").replace(" FLAGS", flags), soft_wrap=True)


def _report(console: Console, config: PipelineConfig, done: Run, flags: str) -> bool:
    """Prints the verdict and, if there is a served model, recommendations for the most active user."""
    from pipeline.console import spinner

    summary = done.summary()
    blessed = bool(summary.get("blessed"))
    metrics = _figures(summary)
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
        report = (
            done.nodes["ServingValidator"].output("blessing") if "ServingValidator" in done.nodes else None
        )
        _what_now(
            console,
            config,
            flags,
            "Next: mend the export, or change a budget under `serving`: either has it asked again"
            + (f"; all figures: {_short(Path(report.uri) / 'report.json')}" if report else ""),
        )
        _tell_if_forced(console, config, done)
        return False
    console.headed("Blessed", "bold green", f": {metrics}")
    for warning in summary.get("warnings", []):
        console.headed("Warning", "yellow", f": {warning}")
    served = _served(config)
    console.headed("Served", "bold green", f":  {_short(served.path)}")
    if served.path.name != summary.get("version"):
        console.print(
            f"This run's model is version {summary.get('version')}, which was rolled back or followed by another;"
            f" `{_command()} history{flags}` says why.",
            soft_wrap=True,
        )
    with spinner(console, "Asking the served model..."):
        user = _most_active_user(done)
        answers = served.recommend([user], 5, exclude_rated=True)
    console.print()
    _print_answers(console, answers, [f"Recommended to user {user}, who rated most movies"], "score")
    console.print()
    for command in ("recommend USER_ID", "similar TITLE", "status"):
        console.print(f"Next: {_command()} {command}{flags}", soft_wrap=True)
    return True


def _most_active_user(done: Run) -> str:
    graph = done.nodes["Transform"].output("transform_graph")
    assert graph
    vocabulary = Path(graph.uri) / "transform_fn" / "assets" / "user_id"
    with vocabulary.open(encoding="utf-8") as lines:
        return next(lines).rstrip("\n")


@main.command()
@click.option("--over", required=True, metavar="KEY=V1,V2,...", help="The key, and the values to train with.")
@click.option("--csv", "csv_file", type=_path, metavar="FILE", help="Write the results here too.")
@click.option("--plot", "plot_file", type=_path, metavar="FILE.png", help="Plot them (also .svg, .pdf).")
@_json
@_configured
@_wait
@_verbose
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
    from pipeline import sweep as sweeping
    from pipeline.console import printable

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
    with _session(first, "sweep", wait, verbose, title, quiet=as_json) as (console, log):
        outcomes: list[Outcome] = []
        interrupted = None
        for value in values:
            try:
                outcomes.append(_try(console, key, value, log))
            except _InterruptedError as error:
                interrupted = _InterruptedError(f"{key}={value.text}: {error}")
                break
            # After each, so that what is known outlives whatever happens to the rest.
            sweeping.write_csv(results, key, outcomes)
        if as_json:
            content = sweeping.as_json(key, first.name, outcomes, results)
            console.file.write(json.dumps(content, indent=2) + "\n")
        elif outcomes:
            sweeping.print_report(console, key, outcomes)
            console.print(f"CSV: {_short(results)}", soft_wrap=True)
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
    from pipeline.console import component_line
    from pipeline.runs import read_runs
    from pipeline.sweep import Outcome, outcome, sentence

    def create() -> Pipeline:
        from pipeline.pipeline import create_sweep_pipeline

        return create_sweep_pipeline(value.config)

    def tell(name: str, seconds: float, error: BaseException | None) -> None:
        """A line a component would be too many."""

    started = time.monotonic()
    try:
        _execute(console, value.config, log, create, tell, f"{key}={value.text}: ")
    except _InterruptedError:
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


@main.command()
@_configured
@_json
@click.option("--last", default=10, show_default=True, type=click.IntRange(min=1), help="How many runs.")
def status(file: str | None, overrides: tuple[str, ...], as_json: bool, last: int) -> None:
    """Show runs, metrics, blessings and pushed versions.

    \b
    Examples:
      marquee status
      marquee status --config ml-1m --json
    """
    from pipeline.config import load_config
    from pipeline.console import captured, print_table
    from pipeline.runs import decided_by, pushed_versions, read_runs

    config = load_config(file, overrides)
    with captured(None) as console:
        runs = [run.summary() for run in read_runs(config, last)]
        versions = [path.name for path in pushed_versions(config.serving_model_dir)]
        by_force = _by_force(config)
        forced_runs = {one["run_id"]: one["version"] for one in by_force if one["kind"] == "forced"}
        if as_json:
            content = {"pipeline": config.name, "runs": runs, "pushed": versions, "forced": by_force}
            console.file.write(json.dumps(content, indent=2) + "\n")
            return
        if not runs:
            console.print(
                f"No runs of {config.name} under {_short(config.pipeline_root)};"
                f" `{_command()} {shlex.join(['run', *_options(file, overrides)])}` makes one.",
                soft_wrap=True,
            )
            return
        columns = [("run", "left"), ("state", "left"), ("model", "left"), ("for", "left"), ("rows", "right")]
        columns += [("decided by", "left"), ("blessed", "left"), ("version", "left")]
        rows = [
            [
                f"{datetime.fromisoformat(row['started']):%Y-%m-%d %H:%M:%S}",
                row["state"],
                row.get("model_name", "-"),
                row.get("objective", "-"),
                f"{row['num_rows']:,}" if "num_rows" in row else "-",
                decided_by(row) or "-",
                "by force"
                if row["run"] in forced_runs
                else {True: "yes", False: "no", None: "-"}[row.get("blessed")],
                row.get("version") or forced_runs.get(row["run"], "-"),
            ]
            for row in runs
        ]
        print_table(console, f"Runs of {config.name}", columns, rows, droppable=("rows", "version", "model"))
        console.print()
        if versions:
            console.print(
                f"Pushed to {_short(config.serving_model_dir)}: {', '.join(versions)} (served: {versions[-1]})"
            )
        else:
            console.print("Nothing has been pushed.")
        for one in by_force:
            console.headed(
                "By force", "bold yellow", f": version {one['version']} ({one['state']}), {one['blessing']}"
            )


@main.command()
@click.argument("user_ids", nargs=-1, required=True, metavar="USER_ID...")
@_k
@click.option("--unseen/--all", default=True, help="Leave out what the user has rated (default), or not.")
@_json
@_configured
def recommend(
    user_ids: tuple[str, ...],
    k: int,
    unseen: bool,
    as_json: bool,
    file: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Recommend movies to users with the served model.

    \b
    Examples:
      marquee recommend 42
      marquee recommend 42 196 -k 3 --all --json
    """
    from pipeline.config import load_config
    from pipeline.console import captured

    served = _served(load_config(file, overrides))
    with captured(None) as console:
        answers = served.recommend(user_ids, k, unseen)
        if as_json:
            console.file.write(_as_json("user_id", answers))
            return
        _print_answers(console, answers, [f"Recommended to user {user}" for user in user_ids], "score")
        for answer in answers:
            if not answer.known:
                console.print(
                    f"User {answer.asked} was not in the train split: these are the movies that most like."
                )


@main.command()
@click.argument("movie")
@_k
@_json
@_configured
def similar(movie: str, k: int, as_json: bool, file: str | None, overrides: tuple[str, ...]) -> None:
    """Show the movies nearest to MOVIE (an id, a title or a part of one) in the embedding.

    \b
    Examples:
      marquee similar 50
      marquee similar "Toy Story" -k 5
    """
    from pipeline.config import load_config
    from pipeline.console import captured

    served = _served(load_config(file, overrides))
    found = served.find(movie)
    with captured(None) as console:
        answers = served.similar([found.id], k)
        if as_json:
            console.file.write(_as_json("movie_id", answers))
            return
        _print_answers(console, answers, [f"Similar to {found}"], "cosine")
        if not answers[0].known:
            console.print(
                f"Movie {found.id} was not in the train split: its vector is made of its genres and year."
            )


@main.command()
@click.argument("run", required=False, metavar="[RUN]")
@_json
@_configured
def explain(run: str | None, as_json: bool, file: str | None, overrides: tuple[str, ...]) -> None:
    """Show why the model of RUN (the last one that was decided on) was blessed or refused.

    RUN is the beginning of a run's id or start as `marquee status` shows it, or a pushed version.

    \b
    Examples:
      marquee explain
      marquee explain "2026-11-23 16:10" --json
    """
    from pipeline import explain
    from pipeline.config import load_config
    from pipeline.console import captured, print_table
    from pipeline.runs import read_runs

    config = load_config(file, overrides)
    with captured(None) as console:
        decided = explain.decision(explain.find(read_runs(config), run))
        if as_json:
            console.file.write(json.dumps(decided, indent=2) + "\n")
            return
        print_table(console, f"Decision of run {decided['run']}", explain.COLUMNS, explain.table(decided))
        console.print()
        for sentence in explain.sentences(decided):
            console.print(sentence, soft_wrap=True)


@main.command("config")
@_configured
def show_config(file: str | None, overrides: tuple[str, ...]) -> None:
    """Show every key, its value and what it means.

    \b
    Examples:
      marquee config
      marquee config --set model.name=mlp
    """
    from pipeline.config import describe, load_config

    for key, value, description in describe(load_config(file, overrides)):
        click.echo(f"{click.style(key, bold=True)} = {value}")
        click.echo(f"    {description}")


# --- schema: what the data violate, and a proposal for review ----------------------------------


@main.group(cls=_Group)
def schema() -> None:
    """Compare the latest data with the curated schema, and propose an edit of it."""


@schema.command("diff")
@_configured
@_json
def schema_diff(file: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show what the data of the latest run violate of the schema.

    \b
    Examples:
      marquee schema diff
      marquee schema diff --config ml-1m --json
    """
    import dataclasses

    from pipeline.config import load_config
    from pipeline.console import captured, print_table

    config = load_config(file, overrides)
    with captured(None) as console:
        from pipeline import schema_edit

        checked = schema_edit.latest(config)
        if as_json:
            content = [dataclasses.asdict(violation) for violation in checked.violations]
            console.file.write(json.dumps({"run": checked.run, "violations": content}, indent=2) + "\n")
            return
        if not checked.violations:
            console.print(
                f"The data of run {checked.run} violate nothing of {_short(Path(config.schema_path))}."
            )
            return
        columns = [
            ("feature", "left"),
            ("split", "left"),
            ("level", "left"),
            ("anomaly", "left"),
            ("", "left"),
        ]
        rows = [[v.feature, v.split, v.level, v.rule, v.description] for v in checked.violations]
        print_table(console, f"What the data of run {checked.run} violate", columns, rows)
        console.print()
        features = dict.fromkeys(v.feature for v in checked.violations if v.feature)
        # All the options, as schema_path may be one.
        words = shlex.join(["schema", "accept", *features, *_options(file, overrides)])
        console.print(f"Next: {_command()} {words}", soft_wrap=True)


@schema.command("accept")
@click.argument("features", nargs=-1, metavar="[FEATURE...]")
@_configured
def schema_accept(features: tuple[str, ...], file: str | None, overrides: tuple[str, ...]) -> None:
    """Propose an edit of the schema that the data of the latest run satisfy.

    Prints it as a diff, and writes the whole text to FILE.proposed and the diff to FILE.patch beside the
    schema, or in the current folder where that cannot be written. The schema itself stays as it is: review the
    proposal, and apply it yourself.

    \b
    Examples:
      marquee schema accept                  everything that the data violate
      marquee schema accept rating           one feature
    """
    from pipeline.config import load_config
    from pipeline.console import captured

    config = load_config(file, overrides)
    path = Path(config.schema_path).resolve()
    with captured(None) as console:
        from pipeline import schema_edit

        checked = schema_edit.latest(config)
        current = schema_edit.read(path)
        proposal = schema_edit.propose(current, checked, features, path.name)
        if not proposal.patch:
            console.print("There is nothing to propose: no edit of the schema would change what was found.")
            return
        console.file.write(proposal.patch)
        proposed, patch = schema_edit.write(proposal, path)
        console.print(f"\nProposed, not applied: {_short(proposed)}")
        console.print(f"Review it, then: patch {_short(path)} {_short(patch)}", soft_wrap=True)


# Releases: history, rollback, bless, gc.


@main.command()
@_configured
@_json
def history(file: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show every version ever pushed: by which run, when, how good, and why it was let through.

    \b
    Examples:
      marquee history
      marquee history --config ml-1m --json
    """
    from pipeline.config import load_config
    from pipeline.console import captured, print_table
    from pipeline.release import history as read_history
    from pipeline.runs import decided_by
    from pipeline.store import open_store

    config = load_config(file, overrides)
    with captured(None) as console:
        releases = read_history(config, open_store(config))
        if as_json:
            content = [{**vars(one), "blessing": one.blessing} for one in releases]
            console.file.write(json.dumps({"pipeline": config.name, "versions": content}, indent=2) + "\n")
            return
        if not releases:
            console.print(f"Nothing of {config.name} has been pushed to {_short(config.serving_model_dir)}.")
            return
        columns = [("version", "left"), ("state", "left"), ("pushed", "left"), ("run", "left")]
        columns += [("ratings until", "left"), ("for", "left"), ("decided by", "left"), ("blessing", "left")]
        rows = [
            [
                one.version,
                one.state,
                f"{datetime.fromisoformat(one.pushed_at):%Y-%m-%d %H:%M:%S}" if one.pushed_at else "-",
                one.run_id.split(".")[0].replace("T", " ") or "-",
                f"{datetime.fromtimestamp(one.newest_timestamp, UTC):%Y-%m-%d}"
                if one.newest_timestamp is not None
                else "-",
                one.objective or "-",
                decided_by({"objective": one.objective, "metric": one.metric, **one.metrics}) or "-",
                one.blessing,
            ]
            for one in releases
        ]
        title = f"Versions of {config.name} in {_short(config.serving_model_dir)}"
        print_table(console, title, columns, rows, droppable=("run", "ratings until", "for", "state"))


@main.command()
@click.argument("version", required=False)
@click.option("--reason", default="", callback=_utf8, help="Why; recorded, and shown by `marquee history`.")
@_wait
@_configured
def rollback(
    version: str | None, reason: str, wait: bool, file: str | None, overrides: tuple[str, ...]
) -> None:
    """Serve an earlier VERSION again, and make its model the baseline.

    Servers serve the highest number, so it becomes a new version. Without VERSION it is the one before the served
    one that has another model. The next run is compared with it.

    \b
    Examples:
      marquee rollback
      marquee rollback 1795450524 --reason "complaints about recommendations"
    """
    from pipeline.release import rollback as roll_back

    def act(config: PipelineConfig, store: Any) -> Release:
        return roll_back(config, store, version, reason)

    _released("rollback", act, wait, file, overrides)


@main.command()
@click.argument("run_id", required=False, metavar="[RUN]")
@click.option("--force", is_flag=True, help="Required: the gates have refused this model.")
@click.option("--reason", default="", metavar="TEXT", callback=_utf8, help="Required: why; shown for ever.")
@_wait
@_configured
def bless(
    run_id: str | None, force: bool, reason: str, wait: bool, file: str | None, overrides: tuple[str, ...]
) -> None:
    """Bless a refused model by force, and push it.

    RUN is the id of a run or its beginning, such as "2026-11-23 16:14"; by default the newest run with a model.
    Who did it and why is recorded, and shown for ever by `marquee history` and `marquee status`.

    \b
    Examples:
      marquee bless --force --reason "the eval split is broken, see ticket 12"
    """
    from pipeline.release import bless as bless_by_force

    if not force or not reason.strip():
        raise ConfigError(
            "A model that the gates refuse is blessed by force only, and with a reason.",
            where="--reason" if force else "--force",
            found="missing",
            fix='marquee bless --force --reason "..."',
        )

    def act(config: PipelineConfig, store: Any) -> Release:
        return bless_by_force(config, store, run_id, reason.strip())

    _released("bless", act, wait, file, overrides)


@main.command()
@click.option(
    "--keep", required=True, type=click.IntRange(min=1), help="Of runs and of versions: the newest N."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@_json
@_wait
@_configured
def gc(
    keep: int, dry_run: bool, as_json: bool, wait: bool, file: str | None, overrides: tuple[str, ...]
) -> None:
    """Remove old artifacts and versions.

    Never the served version, the baseline, or what a kept model descends from. `marquee history` and `marquee
    status` go on showing what is gone.

    \b
    Examples:
      marquee gc --keep 3 --dry-run
      marquee gc --keep 3
    """
    from pipeline.config import load_config
    from pipeline.console import captured, print_table
    from pipeline.garbage import collect
    from pipeline.repair import strays
    from pipeline.store import open_store

    config = load_config(file, overrides)
    _exists(config)
    with _locked(config, "gc", wait) as dead, captured(None) as console:
        put_right = dry_run
        with suppress(StorageError):  # on a full disk this may need what is yet to be freed
            if not dry_run:
                _recover(None if as_json else console, config, dead)
                put_right = True
        store = open_store(config)
        warnings = strays(config, store)
        for sentence in warnings if not as_json else []:
            console.headed("Warning", "yellow", f": {sentence}.")
        removal = collect(config, store, keep, dry_run)
        if not put_right:
            _recover(None if as_json else console, config, dead)
        if as_json:
            content = {
                "artifacts": [
                    dict(zip(("id", "type", "uri"), one, strict=True)) for one in removal.artifacts
                ],
                "versions": [path.name for path in removal.versions],
                "bytes": removal.size,
                "removed": not dry_run,
                "warnings": warnings,
            }
            console.file.write(json.dumps(content, indent=2) + "\n")
            return
        rows = [[kind, _short(Path(uri))] for _, kind, uri in removal.artifacts]
        rows += [["version", _short(path)] for path in removal.versions]
        if rows:
            print_table(
                console,
                "Would be removed" if dry_run else "Removed",
                [("what", "left"), ("where", "left")],
                rows,
            )
            console.print()
        console.print(
            f"{len(removal.artifacts)} artifacts and {len(removal.versions)} versions"
            f" {'would be' if dry_run else 'are'} removed: {removal.size / 1e6:.1f} MB."
        )


def _released(
    command: str,
    act: Callable[[PipelineConfig, Any], Release],
    wait: bool,
    file: str | None,
    overrides: tuple[str, ...],
) -> None:
    from pipeline.config import load_config
    from pipeline.console import captured
    from pipeline.store import open_store

    config = load_config(file, overrides)
    _exists(config)
    with _locked(config, command, wait) as dead, captured(None) as console:
        _recover(console, config, dead)
        done = act(config, open_store(config))
        console.headed("Served", "bold green", f":   {_short(config.serving_model_dir / done.version)}")
        console.print(f"Blessing: {done.blessing}", soft_wrap=True)
        console.print(f"Baseline: model {done.model_id}, with which the next run is compared")


def _exists(config: PipelineConfig) -> None:
    if not config.pipeline_root.is_dir():
        raise ModelError(
            f"There is no pipeline {config.name!r} yet.",
            where=str(config.pipeline_root),
            fix="run `marquee run` first",
        )


@contextmanager
def _locked(config: PipelineConfig, command: str, wait: bool) -> Iterator[Holder | None]:
    from pipeline.locking import locked

    def tell(other: Holder | None) -> None:
        click.echo(f"Waiting for {other or 'another process'}...", err=True)

    with locked(config.pipeline_root, command, wait, tell) as dead:
        yield dead


def _recover(console: Console | None, config: PipelineConfig, dead: Holder | None) -> None:
    """Puts right what a process that died has left, and says so."""
    from pipeline.recovery import recover
    from pipeline.store import open_store

    store = open_store(config)
    done = recover(config, store) if store else []
    for sentence in done:
        logging.getLogger("marquee").warning("Recovery: %s.", sentence)
    if console and dead:
        console.print(f"  The lock was that of a dead process, which is taken over: {dead}.", soft_wrap=True)
    if console:
        for sentence in done:
            console.print(f"  Recovered: {sentence}.", soft_wrap=True)


def _repair(console: Console, config: PipelineConfig) -> None:
    """Has what was lost or damaged brought back or made again, and says so."""
    from pipeline.repair import repair, strays
    from pipeline.store import open_store

    store = open_store(config)
    for sentence in repair(config, store) if store else []:
        logging.getLogger("marquee").warning("Repair: %s.", sentence)
        of_call = click.get_current_context().params
        options = shlex.join(_options(of_call["file"], of_call["overrides"]))
        console.headed("  Repaired", "yellow", f": {_completed(sentence, options)}.")
    for sentence in strays(config, store):
        console.headed("  Warning", "yellow", f": {sentence}.")


def _tell_if_forced(console: Console, config: PipelineConfig, done: Run) -> None:
    model = done.nodes["MovieTrainer"].output("model")
    for one in _by_force(config):
        if model and one["kind"] == "forced" and one["model_id"] == model.id:
            console.print(f"But this model was blessed before: version {one['version']}, {one['blessing']}.")


def _by_force(config: PipelineConfig) -> list[dict[str, Any]]:
    from pipeline.release import forced
    from pipeline.release import history as read_history
    from pipeline.store import open_store

    return [
        {**vars(one), "blessing": one.blessing} for one in forced(read_history(config, open_store(config)))
    ]


def _served(config: PipelineConfig) -> Any:
    from pipeline.served import ServedModel

    return ServedModel(config.serving_model_dir)


def _print_answers(console: Console, answers: Sequence[Answer], titles: Sequence[str], score: str) -> None:
    from pipeline.console import print_table

    columns = [("", "right"), ("movie", "left"), ("title", "left"), ("genres", "left"), (score, "right")]
    for answer, title in zip(answers, titles, strict=True):
        if title is not titles[0]:
            console.print()
        rows = [
            [str(rank), movie.id, str(movie), ", ".join(movie.genres), f"{value:.3f}"]
            for rank, (movie, value) in enumerate(answer.movies, start=1)
        ]
        print_table(console, title, columns, rows)


def _as_json(key: str, answers: Sequence[Answer]) -> str:
    content = [
        {
            key: answer.asked,
            "known": answer.known,
            "movies": [
                {
                    "movie_id": movie.id,
                    "title": movie.title,
                    "year": movie.year,
                    "genres": movie.genres,
                    "score": score,
                }
                for movie, score in answer.movies
            ],
        }
        for answer in answers
    ]
    return json.dumps(content, indent=2) + "\n"


def _options(file: str | None, overrides: Sequence[str]) -> list[str]:
    return [*(["--config", file] if file else []), *(part for item in overrides for part in ("--set", item))]


def _flags(file: str | None, overrides: Sequence[str]) -> str:
    """The options that lead to the same pipeline again: which it is, and where it keeps what it knows."""
    kept = [
        item
        for item in overrides
        if re.split(r"[.=]", item)[0].strip() in ("name", "root", "metadata")
        or re.match(r"data(\.path)?\s*=", item)
    ]
    return "".join(f" {shlex.quote(part)}" for part in _options(file, kept))


def _command() -> str:
    """How this command is called from here."""
    called, found = Path(sys.argv[0]).resolve(), shutil.which("marquee")
    if called.name != "marquee" or (found and Path(found).resolve() == called):  # the first: `python -c`, say
        return "marquee"
    return _short(called)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
