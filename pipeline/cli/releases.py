"""`marquee history`, `rollback`, `bless` and `gc`: the versions that were pushed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.shared.errors import ConfigError, StorageError
from pipeline.cli.options import configured, json_option, short, utf8, waiting
from pipeline.cli.session import check_exists, locked, recovered

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from pipeline.operations.history import Release


def spans_of(first: str | None, last: str | None) -> str:
    """A window of spans in a table: `3-12`, or `2026-11-01 to 2026-11-26`."""
    if not first or not last:
        return "-"
    return first if first == last else f"{first}{'-' if first.isdigit() else ' to '}{last}"


def dates_of(times: Mapping[str, Any]) -> str:
    """The days of the oldest and the newest rating in a table."""
    found = [times[name] for name in ("oldest_timestamp", "newest_timestamp") if times.get(name)]
    return " to ".join(f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in found) or "-"


@click.command()
@configured
@json_option
def history(file: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show every version ever pushed: by which run, when, how good, and why it was let through.

    \b
    Examples:
      marquee history
      marquee history --config ml-1m --json
    """
    from pipeline.cli.console import captured, print_table
    from pipeline.config import load_config
    from pipeline.operations.history import history as read_history
    from pipeline.state.runs import decided_by
    from pipeline.state.store import open_store

    config = load_config(file, overrides)
    with captured(None) as console:
        releases = read_history(config, open_store(config))
        if as_json:
            content = [{**vars(one), "blessing": one.blessing} for one in releases]
            console.file.write(json.dumps({"pipeline": config.name, "versions": content}, indent=2) + "\n")
            return
        if not releases:
            console.print(f"Nothing of {config.name} has been pushed to {short(config.serving_model_dir)}.")
            return
        columns = [("version", "left"), ("state", "left"), ("pushed", "left"), ("run", "left")]
        columns += [
            ("ratings until", "left"),
            ("spans", "left"),
            ("for", "left"),
            ("decided by", "left"),
            ("blessing", "left"),
        ]
        rows = [
            [
                one.version,
                one.state,
                f"{datetime.fromisoformat(one.pushed_at):%Y-%m-%d %H:%M:%S}" if one.pushed_at else "-",
                one.run_id.split(".")[0].replace("T", " ") or "-",
                f"{datetime.fromtimestamp(one.newest_timestamp, UTC):%Y-%m-%d}"
                if one.newest_timestamp is not None
                else "-",
                spans_of(one.first_span, one.last_span),
                one.objective or "-",
                decided_by(one.figures) or "-",
                one.blessing,
            ]
            for one in releases
        ]
        if not any(one.last_span for one in releases):
            columns = [column for column in columns if column[0] != "spans"]
            rows = [[*row[:5], *row[6:]] for row in rows]
        title = f"Versions of {config.name} in {short(config.serving_model_dir)}"
        print_table(console, title, columns, rows, droppable=("run", "ratings until", "for", "state"))


@click.command()
@click.argument("version", required=False)
@click.option("--reason", default="", callback=utf8, help="Why; recorded, and shown by `marquee history`.")
@waiting
@configured
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
    from pipeline.operations.release import rollback as roll_back

    def act(config: PipelineConfig, store: Any) -> Release:
        return roll_back(config, store, version, reason)

    _released("rollback", act, wait, file, overrides)


@click.command()
@click.argument("run_id", required=False, metavar="[RUN]")
@click.option("--force", is_flag=True, help="Required: the gates have refused this model.")
@click.option("--reason", default="", metavar="TEXT", callback=utf8, help="Required: why; shown for ever.")
@waiting
@configured
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
    from pipeline.operations.release import bless as bless_by_force

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


@click.command()
@click.option(
    "--keep", required=True, type=click.IntRange(min=1), help="Of runs and of versions: the newest N."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
@waiting
@configured
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
    from pipeline.cli.console import captured, print_table
    from pipeline.config import load_config
    from pipeline.operations.garbage import collect
    from pipeline.state.repair import strays
    from pipeline.state.store import open_store

    config = load_config(file, overrides)
    check_exists(config)
    with locked(config, "gc", wait) as dead, captured(None) as console:
        put_right = dry_run
        with suppress(StorageError):  # on a full disk this may need what is yet to be freed
            if not dry_run:
                recovered(None if as_json else console, config, dead)
                put_right = True
        store = open_store(config)
        warnings = strays(config, store)
        for sentence in warnings if not as_json else []:
            console.headed("Warning", "yellow", f": {sentence}.")
        removal = collect(config, store, keep, dry_run)
        if not put_right:
            recovered(None if as_json else console, config, dead)
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
        rows = [[kind, short(Path(uri))] for _, kind, uri in removal.artifacts]
        rows += [["version", short(path)] for path in removal.versions]
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
    from pipeline.cli.console import captured
    from pipeline.config import load_config
    from pipeline.state.store import open_store

    config = load_config(file, overrides)
    check_exists(config)
    with locked(config, command, wait) as dead, captured(None) as console:
        recovered(console, config, dead)
        done = act(config, open_store(config))
        console.headed("Served", "bold green", f":   {short(config.serving_model_dir / done.version)}")
        console.print(f"Blessing: {done.blessing}", soft_wrap=True)
        console.print(f"Baseline: model {done.model_id}, with which the next run is compared")


def forced_versions(config: PipelineConfig) -> list[dict[str, Any]]:
    from pipeline.operations.history import forced
    from pipeline.operations.history import history as read_history
    from pipeline.state.store import open_store

    return [
        {**vars(one), "blessing": one.blessing} for one in forced(read_history(config, open_store(config)))
    ]
