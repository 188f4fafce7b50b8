"""`mailer pause` and `mailer resume`: stop all sending, and start it again."""

import click

from mailer.cli.base import Command, opened, warn_if_nothing_sends
from mailer.cli.output import message
from mailer.ledger.pause import pause_sending, resume_sending


@click.command(cls=Command)
@click.option("--reason", metavar="TEXT", help="Why; others see it in `mailer status`.")
def pause(reason: str | None) -> None:
    """Stop all sending, including confirmations, until `mailer resume`.

    Mails that are under way are finished. Digests are still built, and wait.

    \b
    Example:
      mailer pause --reason "the relay is moving"
    """
    with opened() as app, app.database.write() as session:
        pause_sending(session, reason, app.times.wall(), replace_reason=True)
    message("sending is paused; `mailer resume` starts it again")


@click.command(cls=Command)
def resume() -> None:
    """Start sending again after `mailer pause`.

    \b
    Example:
      mailer resume
    """
    with opened() as app:
        with app.database.write() as session:
            was_paused = resume_sending(session)
        message("sending has resumed" if was_paused else "sending was not paused")
        warn_if_nothing_sends(app)
