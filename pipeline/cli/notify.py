"""`marquee notify`."""

from __future__ import annotations

import click

from components.shared.errors import MarqueeError
from pipeline.cli.options import configured


@click.command("notify")
@configured
def notify(file: str | None, overrides: tuple[str, ...]) -> None:
    """Send a test message to the webhook and the command under `notify`.

    Exits with 1 where one could not be told.

    \b
    Examples:
      marquee notify --config my.yaml
      marquee notify --set notify.webhook_env=MARQUEE_WEBHOOK --set notify.webhook_format=text
    """
    from pipeline.config import load_config
    from pipeline.operations.notify import send_test

    config = load_config(file, overrides)
    problems = send_test(config)
    if problems:
        raise MarqueeError("The test message did not arrive.", where="notify", found="\n".join(problems))
    ways = {"webhook": config.notify.webhook_env, "command": config.notify.command}
    click.echo(f"Told: {' and '.join(f'the {name}' for name, set_ in ways.items() if set_)}.")
