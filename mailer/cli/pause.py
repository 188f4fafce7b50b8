"""`mailer pause` and `mailer resume`: stop all sending, and start it again, also after a restore."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mailer.cli.base import (
    Command,
    confirmed,
    json_option,
    opened,
    warn_if_nothing_sends,
    yes_option,
)
from mailer.cli.output import message, print_json, print_text
from mailer.clock import format_instant
from mailer.errors import Refused
from mailer.ledger import fence
from mailer.ledger.pause import pause_sending, resume_sending
from mailer.text.english import pluralise
from mailer.text.untrusted import printable_line

if TYPE_CHECKING:
    from mailer.app import App
    from mailer.database_copies.gap import GapDigest
    from mailer.database_copies.resume import ResumeResult, Situation


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
@click.option(
    "--send-again",
    is_flag=True,
    help="After a restore: do not count what was sent since the backup as received.",
)
@yes_option
@json_option
def resume(send_again: bool, yes: bool, as_json: bool) -> None:
    """Start sending again after `mailer pause`, or after a restore.

    After a restore it first shows what was sent between the backup and now, and what would be due now.
    It asks whether to count the former as received, so that nobody gets an article twice. Without a
    terminal, and with --yes, it is counted as received.

    \b
    Example:
      mailer resume
      mailer resume --send-again
    """
    with opened() as app:
        with app.database.read() as session:
            is_restored = fence.current(session) is not None
        if is_restored:
            _resume_restored(app, send_again=send_again, yes=yes, as_json=as_json)
        else:
            with app.database.write() as session:
                was_paused = resume_sending(session)
            if as_json:
                print_json({"was_paused": was_paused, "restored": None})
            else:
                message("sending has resumed" if was_paused else "sending was not paused")
        warn_if_nothing_sends(app)


def _resume_restored(app: "App", *, send_again: bool, yes: bool, as_json: bool) -> None:
    """Show what staff have to know, ask, and take down the fence.

    Raises:
        Refused: the answer was no.
    """
    from mailer.database_copies import resume as resuming

    with app.database.read() as session:
        situation = resuming.read_situation(session, now=app.times.wall())
    if situation is None:
        raise Refused("another process has resumed just now; see `mailer status`")
    if not as_json:
        _show(situation)
    question = (
        "Send again what was sent since the backup, so that readers may get it twice?"
        if send_again
        else "Count it as received, and start sending?"
    )
    if not confirmed(question, yes=yes):
        raise Refused(
            "nothing was changed, and nothing is sent; `mailer resume --send-again` counts nothing as "
            "received"
        )
    with app.database.write() as session:
        result = resuming.resume(session, count_as_had=not send_again, now=app.times.wall())
    if as_json:
        print_json({"was_paused": True, "restored": _as_json(situation), **asdict(result)})
        return
    _tell(result, send_again=send_again, without_journal=situation.fence.without_journal)


def _show(situation: "Situation") -> None:
    at = situation.fence.backup_at
    made = "an older copy" if at is None else f"the backup of {format_instant(at)}"
    print_text(
        f"this database is {made}, put in place {format_instant(situation.fence.restored_at)}"
    )
    if situation.fence.without_journal:
        print_text(
            "the journal is lost, so nothing is known of what was sent since. Counting it as "
            "received means: of all articles until now, readers get none; later ones are sent to everybody"
        )
    for digest in situation.sent:
        print_text(f"sent since: {_line(digest)}")
    for begun in situation.begun:
        print_text(
            f"was being sent: {begun.newsletter}/{begun.schedule} {begun.slot}, "
            f"{pluralise(begun.pending, 'mail')} left at the backup"
        )
    if not situation.sent and not situation.begun and not situation.fence.without_journal:
        print_text("sent since: nothing")
    for due in situation.due:
        when = "goes out now" if due.is_late else "comes next"
        print_text(
            f"{when}: {due.newsletter}/{due.schedule} {due.slot}, "
            f"{pluralise(due.articles, 'article')} for {pluralise(due.readers, 'reader')}, "
            "if nothing is counted as received"
        )
    if situation.lost_readers:
        print_text(
            f"{pluralise(situation.lost_readers, 'reader')} confirmed since and cannot be brought back; "
            "they have to sign up again"
        )


def _line(digest: "GapDigest") -> str:
    detail = digest.detail
    what = f"{digest.newsletter}/{detail.schedule} {detail.slot}"
    if detail.status in ("skipped", "cancelled"):
        what += f", {detail.status}"
    subject = "" if detail.subject is None else f", {printable_line(detail.subject)!r}"
    return printable_line(
        f"{what}{subject}, {pluralise(len(detail.articles), 'article')} to "
        f"{pluralise(detail.readers, 'reader')}"
    )


def _tell(result: "ResumeResult", *, send_again: bool, without_journal: bool) -> None:
    if send_again:
        message("nothing was counted as received; sending has resumed")
        return
    if without_journal:
        message("all articles until now are counted as received; sending has resumed")
    else:
        message(
            f"{pluralise(result.digests, 'digest')} and {pluralise(result.deliveries, 'mail')} are counted "
            "as received; sending has resumed"
        )
    if result.unknown_newsletters:
        message(
            f"{pluralise(result.unknown_newsletters, 'digest')} of newsletters that the backup does not "
            "know were left out"
        )


def _as_json(situation: "Situation") -> dict[str, object]:
    return {
        "backup_at": situation.fence.backup_at,
        "restored_at": situation.fence.restored_at,
        "without_journal": situation.fence.without_journal,
        "sent": [
            {
                "newsletter": digest.newsletter,
                "schedule": digest.detail.schedule,
                "slot": digest.detail.slot,
                "status": digest.detail.status,
                "subject": digest.detail.subject,
                "articles": len(digest.detail.articles),
                "readers": digest.detail.readers,
            }
            for digest in situation.sent
        ],
        "begun": [asdict(digest) for digest in situation.begun],
        "due": [asdict(due) for due in situation.due],
        "lost_readers": situation.lost_readers,
    }
