"""Writes entries into the journal, in the transaction of the act that they are about.

Never commits, and never changes or deletes an entry. The copy beside the database is written by
`mailer.journal.copies`: on PostgreSQL in the same transaction, on SQLite right after the commit.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Select, insert
from sqlalchemy.orm import Session

from mailer.journal import copies
from mailer.journal.entries import NewEntry
from mailer.models import JournalEntry

__all__ = ["COLUMNS", "NewEntry", "record", "record_selected", "silent"]

COLUMNS: Final = ("at", "kind", "key_hash", "newsletter", "reason", "detail")
"""What a statement for `record_selected` selects, in this order."""
_SILENT: Final = "journal is silent"


def record(session: Session, entries: Sequence[NewEntry]) -> None:
    """Write these entries, in their order."""
    if entries and not session.info.get(_SILENT):
        rows = [vars(entry) for entry in entries]
        ids = session.scalars(
            insert(JournalEntry).returning(JournalEntry.id, sort_by_parameter_order=True), rows
        ).all()
        copies.copy_entries(session, ids)


def record_selected(session: Session, rows: Select[Any]) -> None:
    """Write one entry for each of `rows`, which has the columns of `COLUMNS`, in the order of `rows`."""
    if not session.info.get(_SILENT):
        copies.insert_and_copy(session, insert(JournalEntry).from_select(COLUMNS, rows))


@contextmanager
def silent(session: Session) -> Iterator[None]:
    """Record nothing in this session meanwhile: what a replay does again is in the journal already."""
    session.info[_SILENT] = True
    try:
        yield
    finally:
        del session.info[_SILENT]
