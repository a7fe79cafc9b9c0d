"""`marquee config`."""

from __future__ import annotations

import click

from pipeline.cli.options import configured


@click.command("config")
@configured
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
