"""`marquee batch`: everybody's recommendations in a file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from pipeline.cli.options import configured, how_many, json_option, leaving_out, path_type, short


@click.command()
@click.option("--out", required=True, type=path_type, help="A .parquet or .csv file to write.")
@click.option(
    "--users",
    type=path_type,
    help="An id a line, or CSV or Parquet with a column user_id; default: all known.",
)
@how_many
@leaving_out
@click.option("--version", help="A pushed version; default: the served one.")
@json_option
@configured
def batch(
    out: Path,
    users: Path | None,
    k: int,
    unseen: bool,
    version: str | None,
    as_json: bool,
    file: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Write the recommendations of all users to a file.

    A row is a user and a movie: user_id, known_user, rank, movie_id, title, score, probability (of a like), version. A
    user whom the model does not know has what most like. The file is there when it is whole; a call that was ended is
    taken up by the same call.

    \b
    Examples:
      marquee batch --out everybody.parquet
      marquee batch --out some.csv --users users.txt -k 20
    """
    from pipeline.cli.console import captured, spinner
    from pipeline.config import load_config
    from pipeline.engine import resolved_arguments
    from pipeline.operations.batch import batch as write
    from pipeline.operations.served import ServedModel

    config = load_config(file, overrides)
    arguments = resolved_arguments(config.beam.args)
    served = ServedModel(config.serving_model_dir, version)
    started = time.monotonic()
    with captured(None) as console:
        with spinner(console, f"Asking version {served.path.name}..."):
            done = write(served, out, users, k, unseen, arguments)
        seconds = time.monotonic() - started
        if as_json:
            content = {
                "out": str(out),
                "version": served.path.name,
                **vars(done),
                "seconds": round(seconds, 1),
            }
            console.file.write(json.dumps(content, indent=2) + "\n")
            return
        taken = f", {done.taken_up} of {done.pieces} pieces from the call before" if done.taken_up else ""
        console.print(
            f"{done.rows:,} recommendations for {done.users:,} users by version {served.path.name},"
            f" in {seconds:.0f} s{taken}: {short(out)}",
            soft_wrap=True,
        )
