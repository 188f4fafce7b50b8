"""Fetches the unread mails of a mailbox, and takes them in a few at a time.

A mail is removed only after the transaction that records it has committed: what is interrupted is fetched
again, and counts once. What reports nothing about our mails stays, marked as read.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from mailer.bounces.intake.fetch_record import record_fetch
from mailer.bounces.intake.mailbox import OpenMailbox
from mailer.bounces.intake.take_in import TakenIn, take_in
from mailer.bounces.reading.read import read_returned
from mailer.bounces.reading.returned import ReturnedMail
from mailer.db import Database
from mailer.errors import MailboxUnavailable
from mailer.notices.alert import Alerts
from mailer.notices.deliverability_alerts import on_mailbox_failing
from mailer.tokens import Keys


@dataclass(frozen=True)
class MailboxContext:
    """What fetching needs.

    Attributes:
        open: opens the mailbox for the length of a block; raises MailboxUnavailable.
        name: names the mailbox to staff, without a password.
        source: "maildir" or "imap".
        wall: the clock (aware UTC).
    """

    database: Database
    keys: Keys
    alerts: Alerts
    open: Callable[[], AbstractContextManager[OpenMailbox]]
    name: str
    source: str
    wall: Callable[[], datetime]


def fetch(
    context: MailboxContext,
    *,
    is_stopping: Callable[[], bool],
    on_batch: Callable[[int], object] = lambda _: None,
) -> Counter[TakenIn]:
    """Take in all mails that are unread now, and record how that went.

    Staff get a mail when this has failed for a day.

    Args:
        is_stopping: asked before each batch; what was taken in until then stays taken in.
        on_batch: is told how many mails a batch had, when it is done.

    Returns:
        How many mails became what.

    Raises:
        MailboxUnavailable: the mailbox cannot be read or changed.
    """
    counts: Counter[TakenIn] = Counter()
    try:
        with context.open() as mailbox:
            for batch in mailbox.batches():
                if is_stopping():
                    return counts
                # Read before the transaction: one mail may take long, and others wait to write.
                returned = [(mail.id, read_returned(mail.raw)) for mail in batch]
                now = context.wall()
                taken = {mail_id: _take_in(context, mail, now) for mail_id, mail in returned}
                mailbox.settle(
                    remove=[mail_id for mail_id, result in taken.items() if result.is_settled],
                    leave=[mail_id for mail_id, result in taken.items() if not result.is_settled],
                )
                counts.update(taken.values())
                on_batch(len(batch))
    except MailboxUnavailable as error:
        _record(context, str(error))
        raise
    _record(context, None)
    return counts


def _take_in(context: MailboxContext, mail: ReturnedMail, now: datetime) -> TakenIn:
    # A transaction for each: two processes that record several, in different orders, would wait for each
    # other's rows.
    with context.database.write() as session:
        return take_in(session, mail, context.keys, source=context.source, now=now)


def _record(context: MailboxContext, error: str | None) -> None:
    now = context.wall()
    with context.database.write() as session:
        since = record_fetch(session, context.name, error, now=now)
        if since is not None:
            on_mailbox_failing(session, context.alerts, error or "", since, now)
