"""What a person sees: a line a component, tables, errors; everything else goes to the log."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.interrupts import stop

if TYPE_CHECKING:
    from rich.progress import Progress

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


def spinner(console: PlainConsole, text: str) -> Progress:
    """Shows on a terminal what is under way and since when; to be started and stopped, or a context.

    What components log to `marquee.now` meanwhile, such as an epoch, stands behind it, the last of it. Not rich's own
    `status`, which would send what components print to the screen, not to the log.
    """
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    class Now(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            bar.update(task, description=printable(f"{text} {record.getMessage()}"))

    class Bar(Progress):
        def start(self) -> None:
            logger.addHandler(handler)
            super().start()

        def stop(self) -> None:
            logger.removeHandler(handler)
            self.live.stop()  # its own adds an empty line where there is no terminal

    logger, handler = logging.getLogger("marquee.now"), Now()
    bar = Bar(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = bar.add_task(printable(text), total=None)
    return bar


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


def _width(terminal: TextIO) -> int | None:
    # A pipe or a file gets lines wide enough not to be cut.
    return None if terminal.isatty() else 140
