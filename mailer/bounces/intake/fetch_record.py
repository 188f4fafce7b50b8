"""Records how the fetches of a mailbox went, so that staff are told once when they keep failing.

Never fetches. Never commits.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import insert_missing
from mailer.models import MailboxFetch

ALERT_AFTER: Final = timedelta(days=1)
"""How long fetches fail before staff get a mail about it: servers are restarted, and come back."""


class FailingFetch(NamedTuple):
    """Since when a mailbox cannot be fetched, and why."""

    since: datetime
    error: str


def failing_fetch(session: Session, mailbox: str) -> FailingFetch | None:
    """Read since when the fetches of this mailbox have been failing; None if the last one went well."""
    row = session.scalars(select(MailboxFetch).where(MailboxFetch.mailbox == mailbox)).one_or_none()
    if row is None or row.failing_since is None:
        return None
    return FailingFetch(row.failing_since, row.error or "")


def record_fetch(
    session: Session, mailbox: str, error: str | None, *, now: datetime
) -> datetime | None:
    """Record that a fetch has ended.

    Args:
        mailbox: names it, without a password.
        error: why it failed; None if it went well.
        now: when it ended (aware UTC).

    Returns:
        Since when fetches have been failing, if it is time to tell staff and nobody has been told; then this
        counts as told.
    """
    insert_missing(session, MailboxFetch, [{"mailbox": mailbox}])
    row = session.scalars(
        select(MailboxFetch).where(MailboxFetch.mailbox == mailbox).with_for_update()
    ).one()
    row.error = error
    if error is None:
        row.fetched_at, row.failing_since, row.alerted_at = now, None, None
        return None
    row.failing_since = row.failing_since or now
    if row.alerted_at is not None or now - row.failing_since < ALERT_AFTER:
        return None
    row.alerted_at = now
    return row.failing_since
