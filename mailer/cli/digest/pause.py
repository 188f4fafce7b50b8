"""`mailer digest pause`, `resume` and `cancel`: a digest on its way is stopped, and goes on."""

import click

from mailer.cli.base import Command, confirmed, json_option, opened, yes_option
from mailer.cli.digest.show import tell_digest
from mailer.cli.parameters import ROW_ID
from mailer.digests import summary
from mailer.digests.build import slot_claims
from mailer.digests.summary import DigestSummary
from mailer.errors import Refused
from mailer.ledger import digest_state
from mailer.models import DigestStatus

_STAFF = "by staff"


@click.command(cls=Command)
@click.argument("digest_id", metavar="ID", type=ROW_ID)
@click.option("--reason", metavar="TEXT", help="Why, for others to read in `mailer status`.")
@json_option
def pause(digest_id: int, reason: str | None, as_json: bool) -> None:
    """Start no more mails of a digest, until `mailer digest resume`.

    Mails that are on their way to the relay at this moment still arrive. Other digests go on.

    \b
    Example:
      mailer digest pause 12 --reason "a wrong name in the lead"
    """
    with opened() as app:
        with app.database.write() as session:
            found = summary.find(session, digest_id)
            told = f"{_STAFF}: {reason}" if reason else _STAFF
            if not digest_state.pause_digest(session, digest_id, told):
                raise Refused(_why_not_paused(found))
        tell_digest(app, digest_id, as_json)


def _why_not_paused(found: DigestSummary) -> str:
    number = found.id
    match found.status:
        case DigestStatus.PAUSED:
            return (
                f"digest {number} is paused already ({found.reason}); "
                f"`mailer digest resume {number}` goes on, `mailer digest cancel {number}` ends it"
            )
        case DigestStatus.SCHEDULED | DigestStatus.BUILDING:
            return (
                f"digest {number} is not being sent yet ({found.status}); pause it when it is, "
                f"or end it with `mailer digest cancel {number}`"
            )
    return f"digest {number} is over ({found.status}); `mailer digest list` shows which are not"


@click.command(cls=Command)
@click.argument("digest_id", metavar="ID", type=ROW_ID)
@json_option
def resume(digest_id: int, as_json: bool) -> None:
    """Resume a digest that was paused, by staff or by itself.

    Running workers send what waits. Readers who left meanwhile get nothing.

    \b
    Example:
      mailer digest resume 12
    """
    with opened() as app:
        with app.database.write() as session:
            found = summary.find(session, digest_id)
            if not digest_state.resume_digest(session, digest_id):
                raise Refused(
                    f"digest {digest_id} is not paused ({found.status}); "
                    "`mailer digest list` shows which are"
                )
        tell_digest(app, digest_id, as_json)


@click.command(cls=Command)
@click.argument("digest_id", metavar="ID", type=ROW_ID)
@yes_option
@json_option
def cancel(digest_id: int, yes: bool, as_json: bool) -> None:
    """End a digest for good. What has not gone out is cancelled.

    Its articles are due again to those readers who did not get it. Mails that are on their way to the
    relay at this moment still arrive.

    \b
    Example:
      mailer digest cancel 12
    """
    with opened() as app:
        with app.database.read() as session:
            found = summary.find(session, digest_id)
        if not confirmed(f"Cancel digest {digest_id}, {found.subject!r}?", yes=yes):
            raise Refused("nothing was cancelled")
        with app.database.write() as session:
            done = slot_claims.cancel(session, digest_id, now=app.times.wall())
        if not done:
            raise Refused(
                f"digest {digest_id} is over ({found.status}); "
                "`mailer digest list` shows which are not"
            )
        tell_digest(app, digest_id, as_json)
