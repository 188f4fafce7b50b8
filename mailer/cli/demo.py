"""`mailer demo`: starts the sample newsroom."""

import click

from mailer.cli.base import Command


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="Run the whole tour unattended, then stop.")
@click.option("--port", type=click.IntRange(1, 65535), help="Where the sign-up form listens.")
@click.pass_context
def demo(ctx: click.Context, once: bool, port: int | None) -> None:
    """Try everything on this machine: a sample newsroom, the sign-up form and a local inbox.

    Nothing leaves the machine, and nothing stays on it. Ctrl-C ends it.

    \b
    Example:
      mailer demo
      mailer demo --once
    """
    from mailer.demo import main

    ctx.exit(main(once, port))
