"""Brings a database that came from a backup up to what is known: its schema, the journal, and the fence.

Never commits.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.orm import Session

from mailer.database_copies.replay import ReplayCounts, replay
from mailer.journal.entries import RecordedEntry
from mailer.journal.record import NewEntry, record
from mailer.ledger import fence
from mailer.models import Installation, JournalEntry, JournalKind, Worker

_COLUMNS: Final = ("id", "at", "kind", "key_hash", "newsletter", "reason", "detail")


@dataclass(frozen=True)
class Journal:
    """Where the journal of what happened after the backup was found.

    Attributes:
        copy: beside the database, where restores do not reach it.
        replaced: in the database that the backup replaces.
        is_lost: whether it is not known what happened after the backup, or not all of it.
    """

    copy: bool
    replaced: bool
    is_lost: bool = False


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
) -> tuple[datetime | None, Journal, ReplayCounts]:
    """Do again what the journal says, and put up the fence, in a database with the current schema.

    That the journal is lost is recorded in the journal that begins now: who restores the same backup once
    more, or an older one, has to know it.

    Returns:
        When the backup was made, as far as that is known; whether the journal is lost; and what was done.
    """
    made_at = _made_at(session, now)
    last_known = session.scalar(select(func.max(JournalEntry.id))) or 0
    last_read = 0

    def reading() -> Iterator[RecordedEntry]:
        nonlocal last_read
        for entry in entries:
            last_read = max(last_read, entry.id)
            yield entry

    counts = replay(session, reading(), now=now)
    # A copy that ends before the backup does was put there by hand, and is older than the backup.
    is_unknown = not journal.replaced and (not journal.copy or last_read < last_known)
    if is_unknown:
        record(session, [NewEntry(JournalKind.GAP, now)])
    before = fence.current(session)
    was_lost = counts.gaps > 0 or (before is not None and before.without_journal)
    journal = replace(journal, is_lost=is_unknown or was_lost)
    fence.put_up(session, backup_at=made_at, now=now, without_journal=journal.is_lost)
    return made_at, journal, counts


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
