"""`mailer resume`: lets mail go out again."""

import click

from mailer.cli.idle import warn_if_nothing_sends
from mailer.cli.output import message
from mailer.cli.verb import Verb, opened
from mailer.ledger.pause_switch import resume as resume_sending


@click.command(cls=Verb)
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
