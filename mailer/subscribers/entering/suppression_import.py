"""Suppresses the addresses in the rows of a file, one chunk per transaction, and counts what happened.

Commits. Never subscribes or unsubscribes anybody: a suppression stops all mail to an address anyway.
"""

from contextlib import nullcontext
from datetime import datetime
from typing import Final

from mailer.clock import Clock
from mailer.db import AdvisoryLock, Database, take_lock
from mailer.models import SuppressionReason
from mailer.subscribers.entering.csv_import import ImportCounts, ImportRows, Results, import_rows
from mailer.subscribers.entering.decide import (
    EntryResult,
    EntryTerms,
    NewReader,
    ReaderState,
    decide,
)
from mailer.subscribers.entering.earlier_rows import earlier_rows
from mailer.subscribers.entering.load import load
from mailer.subscribers.entering.store import store_suppressions
from mailer.subscribers.importing.rows import ReaderStatus
from mailer.tokens import Keys

_OF_THE_FILE: Final = frozenset({SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED})
"""Reasons that the rows may name themselves."""


def import_suppressions(
    database: Database,
    rows: ImportRows,
    reason: SuppressionReason,
    source: str,
    keys: Keys,
    counts: ImportCounts,
    *,
    clock: Clock,
    dry_run: bool = False,
) -> None:
    """Stop all mail to the addresses in the rows of a file.

    Args:
        reason: for rows that name none.
        source: is kept with each suppression, with the line.
        counts: what was done is added to them.
        dry_run: only count.

    Raises:
        Refused: the file cannot be read, or the database written, to its end. What came before is done.
        DBAPIError: the database failed for a reason that `explain` does not know.
    """
    with earlier_rows() if dry_run else nullcontext() as earlier:

        def act(readers: list[NewReader]) -> Results:
            hashes = [reader.key_hash for reader in readers]
            if earlier is None:
                with database.write() as session:
                    take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
                    states = load(session, hashes, None)
                    now = clock()
                    results = [_suppress(states, reader, reason, now) for reader in readers]
                    store_suppressions(session, list(states.items()), now=now)
                return results, states
            with database.read() as session:
                states = load(session, hashes, None)
            earlier.apply(states)
            results = [_suppress(states, reader, reason, clock()) for reader in readers]
            earlier.remember(states)
            return results, states

        import_rows(rows, keys, source, counts, act, dry_run=dry_run)


def _suppress(
    states: dict[str, ReaderState], reader: NewReader, reason: SuppressionReason, now: datetime
) -> EntryResult:
    """Change the state of a reader to suppressed, and return what that did."""
    state, row = states[reader.key_hash], reader.row
    own = row.reason if row.reason in _OF_THE_FILE else reason
    row = row._replace(status=ReaderStatus.SUPPRESSED, reason=own)
    before = state.suppression
    decide(state, reader._replace(row=row), EntryTerms(0, moves=False, now=now))
    if state.suppression is before:
        return EntryResult.UNCHANGED
    return EntryResult.ADDED if before is None else EntryResult.UPDATED
