"""Keeps a database that came from a backup from building and sending until staff say how to go on.

Never decides when: `mailer.database_copies` puts it up and takes it down.
"""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import false, func, select, true, update
from sqlalchemy.orm import Session

from mailer.errors import Refused
from mailer.ledger.pause import pause_sending
from mailer.models import Installation

REASON: Final = "the database was restored from a backup; see `mailer resume`"


class Fence(NamedTuple):
    """Since when the fence is up, when the backup was made, and whether the journal after it is lost."""

    restored_at: datetime
    backup_at: datetime | None
    without_journal: bool


def put_up(
    session: Session, *, backup_at: datetime | None, now: datetime, without_journal: bool = False
) -> None:
    """Put up the fence, and pause all sending.

    Args:
        backup_at: when the backup was made, as far as that is known.
        without_journal: whether not all is known of what happened after that. It stays so if it was so
            when the backup was made.
    """
    session.execute(
        update(Installation)
        .values(
            restored_at=now,
            restored_backup_at=backup_at,
            restored_without_journal=true()
            if without_journal
            else func.coalesce(Installation.restored_without_journal, false()),
        )
        .execution_options(synchronize_session=False)
    )
    pause_sending(session, REASON, now, replace_reason=True)


def check_down(session: Session) -> None:
    """Check that the fence is not up.

    Raises:
        Refused: nothing is built until staff have said what counts as had.
    """
    if current(session) is not None:
        raise Refused(
            "this database was restored from a backup, and nothing is built until you have said what readers "
            "have received since: run `mailer resume`"
        )


def current(session: Session) -> Fence | None:
    """Return the fence, or None if it is not up."""
    row = session.execute(
        select(
            Installation.restored_at,
            Installation.restored_backup_at,
            Installation.restored_without_journal,
        )
    ).one()
    if row.restored_at is None:
        return None
    return Fence(row.restored_at, row.restored_backup_at, bool(row.restored_without_journal))
