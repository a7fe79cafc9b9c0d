"""Options that commands share, and how a command is called again with the same ones."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from components.shared.errors import ConfigError, MarqueeError


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
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
            error.args = (completed(str(error), shlex.join(given_options(file, overrides))),)
            raise

    return told


def completed(text: str, options: str) -> str:
    """A text in which each suggested `marquee ...` is called as this one is, and about the same pipeline."""
    return re.sub(
        r"`marquee( [^`]*)?`",
        lambda found: f"`{' '.join(filter(None, [command_name() + (found[1] or ''), options]))}`",
        text,
    )


def utf8(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """What ML Metadata can hold: in place of bytes that are not UTF-8 a mark."""
    return os.fsencode(value).decode(errors="replace")


how_many = click.option(
    "-k", default=10, show_default=True, type=click.IntRange(1, 2**31 - 1), help="How many movies."
)


leaving_out = click.option(
    "--unseen/--all", default=True, help="Leave out what the user has rated (default), or not."
)


path_type = click.Path(path_type=Path)


waiting = click.option("--wait", is_flag=True, help="Wait for another process on this pipeline, not refuse.")


verbosely = click.option("--verbose", "-v", is_flag=True, help="Show the logs of all components too.")


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def given_options(file: str | None, overrides: Sequence[str]) -> list[str]:
    return [*(["--config", file] if file else []), *(part for item in overrides for part in ("--set", item))]


def flags_of(file: str | None, overrides: Sequence[str]) -> str:
    """The options that lead to the same pipeline again: which it is, and where it keeps what it knows."""
    kept = [
        item
        for item in overrides
        if re.split(r"[.=]", item)[0].strip() in ("name", "root", "metadata")
        or re.match(r"data(\.path)?\s*=", item)
    ]
    return "".join(f" {shlex.quote(part)}" for part in given_options(file, kept))


def command_name() -> str:
    """How this command is called from here."""
    called, found = Path(sys.argv[0]).resolve(), shutil.which("marquee")
    if called.name != "marquee" or (found and Path(found).resolve() == called):  # the first: `python -c`, say
        return "marquee"
    return short(called)


def short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
