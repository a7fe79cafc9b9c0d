"""`marquee status` and `marquee explain`: what has run, and why a model was blessed or refused."""

from __future__ import annotations

import json
import shlex
from datetime import datetime

import click

from components.shared.artifacts import RETRIEVAL
from pipeline.cli.options import command_name, configured, given_options, json_option, short
from pipeline.cli.releases import dates_of, forced_versions, spans_of


@click.command()
@configured
@json_option
@click.option("--last", default=10, show_default=True, type=click.IntRange(min=1), help="How many runs.")
def status(file: str | None, overrides: tuple[str, ...], as_json: bool, last: int) -> None:
    """Show runs, metrics, blessings and pushed versions.

    \b
    Examples:
      marquee status
      marquee status --config ml-1m --json
    """
    from pipeline.cli.console import captured, print_table
    from pipeline.config import load_config
    from pipeline.state.runs import decided_by, pushed_versions, read_runs

    config = load_config(file, overrides)
    with captured(None) as console:
        runs = [run.summary() for run in read_runs(config, last)]
        versions = [path.name for path in pushed_versions(config.serving_model_dir)]
        by_force = forced_versions(config)
        forced_runs = {one["run_id"]: one["version"] for one in by_force if one["kind"] == "forced"}
        if as_json:
            content = {"pipeline": config.name, "runs": runs, "pushed": versions, "forced": by_force}
            console.file.write(json.dumps(content, indent=2) + "\n")
            return
        if not runs:
            console.print(
                f"No runs of {config.name} under {short(config.pipeline_root)};"
                f" `{command_name()} {shlex.join(['run', *given_options(file, overrides)])}` makes one.",
                soft_wrap=True,
            )
            return
        columns = [("run", "left"), ("state", "left"), ("model", "left"), ("for", "left"), ("rows", "right")]
        columns += [("decided by", "left"), ("blessed", "left"), ("version", "left")]
        rows = [
            [
                f"{datetime.fromisoformat(row['started']):%Y-%m-%d %H:%M:%S}",
                row["state"],
                " + ".join(row[key] for key in ("model_name", f"{RETRIEVAL}model_name") if key in row) or "-",
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
        if any("last_span" in row for row in runs):
            columns[4:4] = [("spans", "right"), ("ratings of", "left")]
            for cells, row in zip(rows, runs, strict=True):
                cells[4:4] = [spans_of(row.get("first_span"), row.get("last_span")), dates_of(row)]
        print_table(
            console,
            f"Runs of {config.name}",
            columns,
            rows,
            droppable=("ratings of", "rows", "version", "model", "spans"),
        )
        console.print()
        if versions:
            console.print(
                f"Pushed to {short(config.serving_model_dir)}: {', '.join(versions)} (served: {versions[-1]})"
            )
        else:
            console.print("Nothing has been pushed.")
        for one in by_force:
            console.headed(
                "By force", "bold yellow", f": version {one['version']} ({one['state']}), {one['blessing']}"
            )


@click.command()
@click.argument("run", required=False, metavar="[RUN]")
@json_option
@configured
def explain(run: str | None, as_json: bool, file: str | None, overrides: tuple[str, ...]) -> None:
    """Show why the model of RUN (the last one that was decided on) was blessed or refused.

    RUN is the beginning of a run's id or start as `marquee status` shows it, or a pushed version.

    \b
    Examples:
      marquee explain
      marquee explain "2026-11-23 16:10" --json
    """
    from pipeline.cli.console import captured, print_table
    from pipeline.config import load_config
    from pipeline.operations import explain
    from pipeline.state.runs import read_runs

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
