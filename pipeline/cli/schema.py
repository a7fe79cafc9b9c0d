"""`marquee schema diff` and `accept`: what the data violate, and a proposal for review."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from pipeline.cli.group import Group
from pipeline.cli.options import command_name, configured, given_options, json_option, short


@click.group(cls=Group)
def schema() -> None:
    """Compare the latest data with the curated schema, and propose an edit of it."""


@schema.command("diff")
@configured
@json_option
def schema_diff(file: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show what the data of the latest run violate of the schema.

    \b
    Examples:
      marquee schema diff
      marquee schema diff --config ml-1m --json
    """
    import dataclasses

    from pipeline.cli.console import captured, print_table
    from pipeline.config import load_config

    config = load_config(file, overrides)
    with captured(None) as console:
        from pipeline.operations import schema_edit

        checked = schema_edit.latest(config)
        if as_json:
            content = [dataclasses.asdict(violation) for violation in checked.violations]
            console.file.write(json.dumps({"run": checked.run, "violations": content}, indent=2) + "\n")
            return
        if not checked.violations:
            console.print(
                f"The data of run {checked.run} violate nothing of {short(Path(config.schema_path))}."
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
        words = shlex.join(["schema", "accept", *features, *given_options(file, overrides)])
        console.print(f"Next: {command_name()} {words}", soft_wrap=True)


@schema.command("accept")
@click.argument("features", nargs=-1, metavar="[FEATURE...]")
@configured
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
    from pipeline.cli.console import captured
    from pipeline.config import load_config

    config = load_config(file, overrides)
    path = Path(config.schema_path).resolve()
    with captured(None) as console:
        from pipeline.operations import schema_edit

        checked = schema_edit.latest(config)
        current = schema_edit.read(path)
        proposal = schema_edit.propose(current, checked, features, path.name)
        if not proposal.patch:
            console.print("There is nothing to propose: no edit of the schema would change what was found.")
            return
        console.file.write(proposal.patch)
        proposed, patch = schema_edit.write(proposal, path)
        console.print(f"\nProposed, not applied: {short(proposed)}")
        console.print(f"Review it, then: patch {short(path)} {short(patch)}", soft_wrap=True)
