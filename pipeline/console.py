"""What a person sees: a line a component, tables, errors; everything else goes to the log."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from components.features import GENRES_KEY, MOVIE_KEY, USER_KEY, WITHOUT_TIMES
from components.models.search_space import sentence
from components.tuner.settings import METRICS
from pipeline.interrupts import stop
from pipeline.runs import Node, Run, decided_by

_STYLES = {"done": "green", "cached": "cyan", "failed": "red", "running": "yellow", "interrupted": "red"}


# Control characters but tab and line feed, what has no width, and what turns the direction of text: in a title or an id
# they would move the cursor, colour the screen, or show another text than there is.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def printable(text: str) -> str:
    """The text with a mark in place of each character that a terminal would obey rather than show."""
    return _UNPRINTABLE.sub("\ufffd", text)


class PlainConsole(Console):
    """Prints strings as they are, without markup, and printable."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's own; what is a Text already is taken to be printable."""
        super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **options)

    def headed(self, head: str, style: str, text: str) -> None:
        """Prints a line whose first words stand out."""
        super().print(Text.assemble((head, style), printable(text)), soft_wrap=True)


@contextmanager
def captured(log: Path | None, verbose: bool = False) -> Iterator[PlainConsole]:
    """Sends what this process writes to stdout and stderr to a log, and yields a console on the real stdout.

    Python's warnings and logging, and also what compiled libraries write, end up in the log (nowhere
    if it is None). With `verbose` the terminal gets them too.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1" if log else "3")
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
    sink = open(log or os.devnull, "a", encoding="utf-8")  # noqa: SIM115
    terminal = os.fdopen(saved[0], "w", encoding="utf-8", errors="replace", closefd=False)
    handlers: list[logging.Handler] = [logging.StreamHandler(sink)]
    if verbose:
        handlers.append(logging.StreamHandler(os.fdopen(saved[1], "w", closefd=False)))
    else:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    root = logging.getLogger()
    previous = root.handlers[:], root.level
    root.handlers, root.level = handlers, logging.INFO
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.captureWarnings(True)
    logging.getLogger("apache_beam.typehints").setLevel(logging.WARNING)  # thousands of lines at import
    try:
        yield PlainConsole(file=terminal, highlight=False, markup=False, width=_width(terminal))
    finally:
        stop.leave()
        logging.captureWarnings(False)
        root.handlers, root.level = previous
        for stream in (sys.stdout, sys.stderr, terminal):
            with suppress(OSError):  # a log on a full disk must not hide the error
                stream.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        with suppress(OSError):
            sink.close()
        for descriptor in saved:
            os.close(descriptor)


@contextmanager
def progress(console: PlainConsole) -> Iterator[None]:
    """Shows what components log to `marquee.progress` while they run, a line each."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.print(f"    {record.getMessage()}", soft_wrap=True)

    handler, logger = Handler(), logging.getLogger("marquee.progress")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def spinner(console: PlainConsole, text: str) -> Live:
    """Shows on a terminal that something is under way; to be started and stopped, or a context.

    Not rich's own `status`, which would send what components print to the screen, not to the log.
    """
    return Live(
        Spinner("dots", Text(printable(text)), style="status.spinner"),
        console=console,
        transient=True,
        refresh_per_second=12.5,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def component_line(name: str, state: str, seconds: float, figure: str) -> Text:
    """`name  state  seconds  the figure that matters`."""
    return Text.assemble(
        f"  {printable(name):<22}",
        (f"{state:<8}", _STYLES.get(state, "")),
        f"{seconds:>6.1f} s   ",
        (printable(figure), "dim" if state == "cached" else ""),
    )


def print_table(
    console: PlainConsole,
    title: str,
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[str]],
    droppable: Sequence[str] = (),
) -> None:
    """Prints a title and a table that fits the screen, and never cuts a figure.

    Where it is too wide, columns are left out and named; where it still is, each row becomes a list.

    Args:
        console: Where to.
        title: Above it.
        columns: (header, "left" or "right"); the left ones are text, which may go over several lines.
        rows: Their cells.
        droppable: Headers of columns to leave out, the least important first.
    """
    # Not as the table's own title, which would be broken to the table's width.
    console.print(Text(printable(title), style="bold"))
    dropped: list[str] = []
    for header in droppable:
        if _width_of(columns, rows, dropped) <= console.width:
            break
        dropped.append(header)
    kept = [place for place, (header, _) in enumerate(columns) if header not in dropped]
    if _width_of(columns, rows, dropped) > console.width:
        for row in rows:
            console.print()
            for header, cell in zip((header for header, _ in columns), row, strict=True):
                console.print(f"  {header}: {cell}" if header else f"  {cell}")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    room = console.width - _width_of(columns, rows, dropped)
    for place in kept:
        header, justify = columns[place]
        least, whole = _widths(place, columns, rows)
        width = min(whole, least + room)
        room -= width - least
        table.add_column(
            header,
            justify="right" if justify == "right" else "left",
            header_style="dim",
            width=width,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(printable(row[place])) for place in kept))
    console.print(table)
    if dropped:
        console.print(f"Left out, as the screen is narrow: {', '.join(dropped)}.", soft_wrap=True)


_TEXT_WIDTH = 16  # of a column of text at least, where it has as much


def _widths(place: int, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """The least width of a column, and that at which each cell is one line."""
    header, justify = columns[place]
    whole = max([cell_len(header), *(cell_len(printable(row[place])) for row in rows)])
    if justify == "right":
        return whole, whole
    words = [cell_len(word) for row in rows for word in printable(row[place]).split()]
    return max(min(whole, _TEXT_WIDTH), min(max(words, default=0), 2 * _TEXT_WIDTH)), whole


def _width_of(
    columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], dropped: Sequence[str]
) -> int:
    """The least width of the table, at which nothing is cut."""
    kept = [place for place, (header, _) in enumerate(columns) if header not in dropped]
    return sum(_widths(place, columns, rows)[0] + 2 for place in kept)


def figure(node: Node, run: Run) -> str:
    """The figure that matters of a component that has run."""
    model = run.nodes["MovieTrainer"].output("model") if "MovieTrainer" in run.nodes else None
    ranks = model and model.properties.get("objective") == "interaction"
    write = (_FIGURES | (_FIGURES_OF_RANKERS if ranks else {})).get(node.id)
    return write(node) if write else ""


def _examples(node: Node) -> str:
    of = _properties(node, "examples")
    text = f"{of['num_rows']:,} ratings ({of['num_train']:,} train, {of['num_eval']:,} eval, {of['num_test']:,} test)"
    text += f", {of['num_users']:,} users, {of['num_movies']:,} movies"
    for name, what in (
        ("num_rejected", "malformed set aside"),
        ("num_duplicates", "duplicates dropped"),
        ("num_ratings_without_movie", "of movies not in the movies table"),
    ):
        if of.get(name):
            text += f", {of[name]:,} {what}"
    if of.get(WITHOUT_TIMES):
        text += "; no times, so what the schema and the data gate say of them is off"
    artifact = node.output("examples")
    if artifact and of.get("num_rejected"):
        text += f"; see {artifact.uri}/rejects.csv"
    return text


def _schema(node: Node) -> str:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    artifact = node.output("schema")
    if not artifact:
        return ""
    schema = text_format.Parse((Path(artifact.uri) / "schema.pbtxt").read_bytes(), schema_pb2.Schema())
    return f"{len(schema.feature)} features: " + ", ".join(feature.name for feature in schema.feature)


def _statistics(node: Node) -> str:
    return "of " + ", ".join(json.loads(_properties(node, "statistics")["split_names"]))


def _anomalies(node: Node) -> str:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    artifact = node.output("anomalies")
    found = []
    for path in sorted(Path(artifact.uri).glob("Split-*/SchemaDiff.pb")) if artifact else []:
        anomalies = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        found += [
            f"{path.parent.name.removeprefix('Split-')}: {feature} {info.short_description}"
            for feature, info in anomalies.anomaly_info.items()
        ]
    return f"{len(found)} anomalies: " + "; ".join(found) if found else "no anomalies"


def _gate(node: Node) -> str:
    of = _properties(node, "verdict")
    against = "" if of.get("compared") else "; no earlier blessed run to compare with"
    if not of.get("num_warn"):
        return f"nothing to report{against}"
    warnings = json.loads(of["warnings"])
    more = of["num_warn"] - len(warnings)
    text = f"{of['num_warn']} warning{'s' * (of['num_warn'] > 1)}: " + "; ".join(warnings)
    return text + (f"; and {more} more" if more else "") + against


def _data_baseline(node: Node) -> str:
    artifact = node.output("examples")
    return f"baseline is examples {artifact.id}" if artifact else "no earlier blessed run on other data"


def _vocabularies(node: Node) -> str:
    artifact = node.output("transform_graph")
    sizes = []
    for key, what in ((USER_KEY, "users"), (MOVIE_KEY, "movies"), (GENRES_KEY, "genres")):
        with open(Path(artifact.uri if artifact else "") / "transform_fn" / "assets" / key, "rb") as lines:
            sizes.append(f"{sum(1 for _ in lines):,} {what}")
    return "vocabularies of " + ", ".join(sizes)


def _training(node: Node) -> str:
    of = _properties(node, "model")
    if of["objective"] == "like":
        figures = f"AUC {of['val_auc']:.4f}, log-loss {of['val_loss']:.4f}"
    else:
        figures = f"NDCG@10 {of['val_ndcg@10']:.4f}, recall@10 {of['val_recall@10']:.4f}"
    tuned = ", tuned" if of.get("tuned") else ""
    text = f"{of['model_name']} ({of['objective']}){tuned}: validation {figures}"
    text += f" at epoch {of['best_epoch']} of {of['epochs']}"
    return f"{text}; {_start(of)}" if "warm_start" in of else text


def _start(of: dict[str, Any]) -> str:
    if of["warm_start"] != "yes":
        base = f", not from model {of['base_model_id']}" if "base_model_id" in of else ""
        return f"cold start{base}: {of['warm_start']}"
    known = ", ".join(
        f"{of[f'warm_{key}']:,} of {of[f'num_{key}']:,} {what}"
        for key, what in ((USER_KEY, "users"), (MOVIE_KEY, "movies"))
    )
    return f"warm start from model {of['base_model_id']}: {known} carried over"


def _base_model(node: Node) -> str:
    artifact = node.output("model")
    return f"model {artifact.id}" if artifact else "no model was blessed on earlier data"


def _search(node: Node) -> str:
    of = _properties(node, "best_hyperparameters")
    configured = f" ({of['configured_score']:.4f} as configured)" if "configured_score" in of else ""
    return (
        f"best of {of['trials']} trials, validation {METRICS[of['metric']]} {of['score']:.4f}{configured}:"
        f" {sentence(json.loads(of['values']))}"
    )


def _tuned_values(node: Node) -> str:
    tuned, outdated = node.output("hyperparameters"), node.output("outdated")
    if outdated:
        rows, rows_now = outdated.properties["train_rows"], _properties(node, "verdict")["train_rows"]
        return (
            f"not reused, as the data have drifted since ({rows:,} train rows then, {rows_now:,} now):"
            " search again with tuning.tune"
        )
    return (
        f"hyperparameters {tuned.id}" if tuned else "none: the model's values are those of the configuration"
    )


def _baseline(node: Node) -> str:
    artifact = node.output("model")
    return (
        f"baseline is model {artifact.id}"
        if artifact
        else "no earlier blessed model: only the absolute bars hold"
    )


def _verdict(node: Node) -> str:
    of, blessing = _properties(node, "evaluation"), _properties(node, "blessing")
    verdict = "within the bars" if blessing.get("blessed") == 1 else "not within the bars"
    return f"test AUC {of['auc']:.4f}, log-loss {of['log_loss']:.4f}: {verdict}"


def _verdict_on_ranker(node: Node) -> str:
    """A model that learns what is watched has no bars on likes, see `pipeline.evaluation`."""
    failures = json.loads(_properties(node, "evaluation").get("failures") or "[]")
    return "; ".join(failures) or "no bars on likes, which this model does not learn"


def _serving(node: Node) -> str:
    of = _properties(node, "blessing")
    if of.get("blessed") != 1:
        failures = json.loads(of.get("failures", "[]")) or ["not fit for serving"]
        more = f" ({len(failures) - 1} more)" if len(failures) > 1 else ""
        return f"{failures[0]}{more}"
    if "load_seconds" not in of:  # the InfraValidator's
        return "TensorFlow Serving loads it and answers"
    return (
        f"loads in {of['load_seconds']:.1f} s, p95 {of['p95_ms']:.1f} ms ({of['slowest']}),"
        f" {of['size_mb']:.1f} MB, answers as the trainer does"
    )


def _likes(node: Node) -> str:
    of = _properties(node, "ranking")
    if "log_loss" not in of:
        return ""
    floors = {"movie mean": "movie_mean_log_loss", "bias regression": "bias_logistic_regression_log_loss"}
    shown = ", ".join(f"{name} {of[key]:.4f}" for name, key in floors.items() if key in of)
    return f"log-loss {of['log_loss']:.4f}" + (f" ({shown})" if shown else "") + _compared(of)


def _ranking(node: Node) -> str:
    of = _properties(node, "ranking")
    k = of.get("primary_k", 10)
    parts = [
        f"{title}@{k} {of[f'{metric}@{k}']:.4f} (popularity {of[f'popularity_{metric}@{k}']:.4f})"
        for metric, title in (("ndcg", "NDCG"), ("recall", "recall"))
        if f"{metric}@{k}" in of and f"popularity_{metric}@{k}" in of
    ]
    return (", ".join(parts) or "no user liked a movie in test") + _compared(of)


def _compared(of: dict[str, Any]) -> str:
    """What of the test split there is to hold the candidate against the baseline."""
    rows, left_out = of.get("compared_rows"), of.get("left_out_rows")
    if left_out:
        return f"; {rows:,} of {rows + left_out:,} test rows to compare on: the baseline was trained on {left_out:,}"
    # Without a baseline it has neither.
    return (
        "; nothing to compare on: the ratings that the baseline was trained on are gone" if rows == 0 else ""
    )


def _decision(node: Node) -> str:
    of = _properties(node, "report")
    failures, warnings = (len(json.loads(of.get(key, "[]"))) for key in ("failures", "warnings"))
    text = (
        "blessed"
        if of.get("blessed") == 1
        else f"not blessed: {failures} of {of.get('num_rules')} rules broken"
    )
    text += f", {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    rows, left_out = of.get("compared_rows"), of.get("left_out_rows")
    if rows == 0 and "baseline_model_id" in _properties(node, "blessing"):
        text += "; compared with nothing"
    elif left_out:
        text += f"; compared on {rows:,} test rows"
    text += f", {left_out:,} left out" if left_out else ""
    # Reports of earlier versions of this program do not say what decided.
    return f"{text}; {decided_by(of)}" if "metric" in of else text


def _push(node: Node) -> str:
    of = _properties(node, "pushed_model")
    return f"version {of['pushed_version']}" if of.get("pushed") == 1 else "nothing pushed"


def _properties(node: Node, key: str) -> dict[str, Any]:
    artifact = node.output(key)
    return artifact.properties if artifact else {}


_FIGURES: dict[str, Callable[[Node], str]] = {
    "RatingsExampleGen": _examples,
    "ImportSchemaGen": _schema,
    "StatisticsGen": _statistics,
    "ExampleValidator": _anomalies,
    "latest_blessed_data": _data_baseline,
    "DataGate": _gate,
    "Transform": _vocabularies,
    "latest_blessed_base": _base_model,
    "MovieTuner": _search,
    "tuned_values": _tuned_values,
    "MovieTrainer": _training,
    "latest_blessed_model": _baseline,
    "Evaluator": _verdict,
    "ServingValidator": _serving,
    "InfraValidator": _serving,
    "RankingEvaluator": _likes,
    "Blessing": _decision,
    "Pusher": _push,
}
_FIGURES_OF_RANKERS = {"Evaluator": _verdict_on_ranker, "RankingEvaluator": _ranking}


def _width(terminal: TextIO) -> int | None:
    # A pipe or a file gets lines wide enough not to be cut.
    return None if terminal.isatty() else 140
