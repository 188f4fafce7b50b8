"""Writes entries into the journal, in the transaction of the act that they are about.

Never commits, and never changes or deletes an entry. The copy beside the database is written by
`mailer.journal.copies`: on PostgreSQL in the same transaction, on SQLite right after the commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, insert
from sqlalchemy.orm import Session

from mailer.journal import copies
from mailer.models import JournalEntry, JournalKind

COLUMNS: Final = ("at", "kind", "key_hash", "newsletter", "reason", "detail")
"""What a statement for `record_selected` selects, in this order."""


@dataclass(frozen=True)
class NewEntry:
    """Something that a restored database has to be told again.

    Args:
        key_hash: of the person; None for a digest.
        newsletter: its slug; None if it is about all newsletters.
        reason: of a suppression, or why somebody left.
        detail: of a digest: its schedule, slot and articles, as JSON.
    """

    kind: JournalKind
    at: datetime
    key_hash: str | None = None
    newsletter: str | None = None
    reason: str | None = None
    detail: str | None = None


def record(session: Session, entries: Sequence[NewEntry]) -> None:
    """Write these entries, in their order."""
    if entries:
        rows = [vars(entry) for entry in entries]
        ids = session.scalars(
            insert(JournalEntry).returning(JournalEntry.id, sort_by_parameter_order=True), rows
        ).all()
        copies.note(session, ids)


def record_selected(session: Session, rows: Select[Any]) -> None:
    """Write one entry for each of `rows`, which has the columns of `COLUMNS`, in the order of `rows`."""
    new = insert(JournalEntry).from_select(COLUMNS, rows)
    copies.insert_and_note(session, new)
