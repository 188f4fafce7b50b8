"""`mailer resume`: lets mail go out again."""

import click

from mailer.cli.base import Command, opened
from mailer.cli.idle import warn_if_nothing_sends
from mailer.cli.output import message
from mailer.ledger.pause_switch import resume as resume_sending


@click.command(cls=Command)
def resume() -> None:
    """Send again after `mailer pause`.

    \b
    Example:
      mailer resume
    """
    with opened() as app:
        with app.database.write() as session:
            was_paused = resume_sending(session)
        message("sending goes on" if was_paused else "sending was not paused")
        warn_if_nothing_sends(app)
