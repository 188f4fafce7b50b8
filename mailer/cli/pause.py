"""`mailer pause`: stops all sending."""

import click

from mailer.cli.base import Command, opened
from mailer.cli.output import message
from mailer.ledger.pause_switch import pause as pause_sending


@click.command(cls=Command)
@click.option("--reason", metavar="TEXT", help="Why, for others to read in `mailer status`.")
def pause(reason: str | None) -> None:
    """Stop all sending until `mailer resume`, also of confirmations.

    Mails that are under way are finished. Digests are still built, and wait.

    \b
    Example:
      mailer pause --reason "the relay is moving"
    """
    with opened() as app, app.database.write() as session:
        pause_sending(session, reason, now=app.times.wall())
    message("sending is paused; `mailer resume` starts it again")
