"""Brings a database that came from a backup up to what is known: its schema, the journal, and the fence.

Never commits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.orm import Session

from mailer.database_copies.replay import ReplayCounts, replay
from mailer.journal.entries import RecordedEntry
from mailer.ledger import fence
from mailer.models import Installation, JournalEntry, Worker

_COLUMNS: Final = ("id", "at", "kind", "key_hash", "newsletter", "reason", "detail")


@dataclass(frozen=True)
class Journal:
    """Where the journal of what happened after the backup was found.

    Attributes:
        copy: beside the database, where restores do not reach it.
        replaced: in the database that the backup replaces.
    """

    copy: bool
    replaced: bool

    @property
    def is_lost(self) -> bool:
        """Whether nothing is known of what happened after the backup."""
        return not self.copy and not self.replaced


@dataclass(frozen=True)
class Restored:
    """What a restore did.

    Attributes:
        made_at: when the backup was made, as far as that is known.
        schema: the number that its schema had.
        replaced: the file in which the replaced database is kept; None if there is none.
    """

    file: Path
    made_at: datetime | None
    schema: str
    journal: Journal
    counts: ReplayCounts
    replaced: Path | None = None


def bring_up_to_date(
    session: Session, entries: Iterator[RecordedEntry], journal: Journal, *, now: datetime
) -> tuple[datetime | None, ReplayCounts]:
    """Do again what the journal says, and put up the fence, in a database with the current schema.

    Returns:
        When the backup was made, as far as that is known, and what was done.
    """
    made_at = _made_at(session, now)
    counts = replay(session, entries, now=now)
    fence.put_up(session, backup_at=made_at, now=now, without_journal=journal.is_lost)
    return made_at, counts


def entries_of(connection: Connection, *, after: int) -> Iterator[RecordedEntry]:
    """Read the journal in a database of any schema, behind the entry with this number."""
    if not inspect(connection).has_table(JournalEntry.__tablename__):
        return
    table = JournalEntry.__table__
    rows = connection.execute(
        select(*(table.c[name] for name in _COLUMNS))
        .where(table.c.id > after)
        .order_by(table.c.id),
        execution_options={"yield_per": 1000},
    )
    for row in rows:
        yield RecordedEntry.of(row)


def _made_at(session: Session, now: datetime) -> datetime | None:
    """Return the latest moment that is written in the database, but not one in the future."""
    moments = [
        session.scalar(select(column))
        for column in (
            Installation.backup_started_at,
            func.max(JournalEntry.at),
            func.max(Worker.heartbeat_at),
        )
    ]
    return max((moment for moment in moments if moment is not None and moment <= now), default=None)
