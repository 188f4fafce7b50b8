"""Compares a database with the copy of its journal whenever it is opened, and mends whichever is behind.

A copy that is behind is completed. A database that is behind was put in place by hand, from a backup: it is
told what the journal says, and put behind the fence. Never fails because the copy cannot be written.
"""

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from mailer.db import Database
from mailer.errors import MailerError
from mailer.journal import copies
from mailer.ledger import fence
from mailer.models import JournalEntry

if TYPE_CHECKING:
    from mailer.database_copies.replay import ReplayCounts

log = logging.getLogger(__name__)


def catch_up(database: Database, *, now: datetime) -> "ReplayCounts | None":
    """Complete the copy beside the database; or replay it, if the database is older, and put up the fence.

    Returns:
        What the replay did; None if the database is as new as its copy, or has none.

    Raises:
        MailerError: the copy cannot be read.
    """
    try:
        own, copied = copies.last_ids(database)
        if copied is None or copied <= own:
            _complete(database, own, copied)
            return None
        # Few processes need it, and all open a database.
        from mailer.database_copies.replay import replay

        with database.write() as session:
            backup_at = session.scalar(
                select(func.max(JournalEntry.at)).where(JournalEntry.replayed_at.is_(None))
            )
            counts = replay(session, copies.read(database), now=now)
            if counts.entries:
                fence.put_up(session, backup_at=backup_at, now=now, without_journal=counts.gaps > 0)
    except OSError as error:
        raise MailerError(
            f"the journal beside the database cannot be read ({error.strerror}); "
            "make it readable for this user, and try again"
        ) from error
    if counts.entries:
        log.warning(
            "the database is older than the journal beside it, so it was told of %s entries; nothing is "
            "built or sent until `mailer resume`",
            counts.entries,
        )
    return counts


def _complete(database: Database, own: int, copied: int | None) -> None:
    if own == (copied or 0):
        return
    try:
        copies.complete(database)
    except OSError as error:
        log.warning(
            "the journal beside the database cannot be written (%s); check the disk, and that this user "
            "may write there",
            error.strerror,
        )
