"""`mailer digest pause`, `resume` and `cancel`: stop a digest that is being sent, and go on with it."""

import click

from mailer.bounces import watch
from mailer.cli.base import Command, confirmed, json_option, opened, yes_option
from mailer.cli.digest.show import print_outcome
from mailer.cli.parameters import digest_id_argument
from mailer.digests import listings
from mailer.digests.build import slot_claims
from mailer.digests.listings import DigestSummary
from mailer.errors import Refused
from mailer.ledger import digest_state
from mailer.models import DigestStatus
from mailer.monitoring.digest_progress import ways_out


@click.command(cls=Command)
@digest_id_argument
@click.option("--reason", metavar="TEXT", help="Why; others see it in `mailer status`.")
@json_option
def pause(digest_id: int, reason: str | None, as_json: bool) -> None:
    """Pause a digest that is being sent, until `mailer digest resume`.

    Mails that are on their way to the relay at this moment still arrive. Other digests go on.

    \b
    Example:
      mailer digest pause 12 --reason "a wrong name in the lead"
    """
    with opened() as app:
        with app.database.write() as session:
            digest = listings.find(session, digest_id)
            reason = f"by staff: {reason}" if reason else "by staff"
            if not digest_state.pause_digest(session, digest_id, reason):
                raise Refused(_why_not_paused(digest))
        print_outcome(app, digest_id, as_json)


def _why_not_paused(digest: DigestSummary) -> str:
    number = digest.id
    if digest.status is DigestStatus.PAUSED:
        return f"digest {number} is paused already ({digest.reason}); {ways_out(number)}"
    if digest.status in (DigestStatus.SCHEDULED, DigestStatus.BUILDING):
        return (
            f"digest {number} is not being sent yet ({digest.status}); pause it when it is, "
            f"or end it with `mailer digest cancel {number}`"
        )
    return _is_over(digest)


def _is_over(digest: DigestSummary) -> str:
    return f"digest {digest.id} is over ({digest.status}); `mailer digest list` shows which are not"


@click.command(cls=Command)
@digest_id_argument
@json_option
def resume(digest_id: int, as_json: bool) -> None:
    """Resume a digest that was paused, by staff or automatically.

    Running workers send what waits. Readers who have unsubscribed since then get nothing. If it was paused
    because too much came back, only what comes back of later mails can pause it again.

    \b
    Example:
      mailer digest resume 12
    """
    with opened() as app:
        with app.database.write() as session:
            digest = listings.find(session, digest_id)
            if not watch.resume_digest(session, digest_id, now=app.times.wall()):
                raise Refused(
                    f"digest {digest_id} is not paused ({digest.status}); "
                    "`mailer digest list` shows which are"
                )
        print_outcome(app, digest_id, as_json)


@click.command(cls=Command)
@digest_id_argument
@yes_option
@json_option
def cancel(digest_id: int, yes: bool, as_json: bool) -> None:
    """Cancel a digest for good. Mails that have not gone out are cancelled.

    Its articles are due again to the readers who did not get it. Mails that are on their way to the
    relay at this moment still arrive.

    \b
    Example:
      mailer digest cancel 12
    """
    with opened() as app:
        with app.database.read() as session:
            digest = listings.find(session, digest_id)
        if not confirmed(f"Cancel digest {digest_id}, {digest.subject!r}?", yes=yes):
            raise Refused("nothing was cancelled")
        with app.database.write() as session:
            if not slot_claims.cancel(session, digest_id, now=app.times.wall()):
                raise Refused(_is_over(digest))
        print_outcome(app, digest_id, as_json)
