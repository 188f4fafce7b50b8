"""Imports the readers of a CSV file, one chunk per transaction, and counts what happened.

Commits, but decides nothing. Repeating an import that broke off continues it, because readers who are in
already stay as they are.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sqlalchemy.exc import DBAPIError

from mailer.address import parse
from mailer.clock import Clock
from mailer.db import Database, explain
from mailer.errors import BadAddress, Refused
from mailer.failpoint import reach
from mailer.subscribers.csv_table import CsvRow
from mailer.subscribers.importing.rows import RejectedRow
from mailer.subscribers.signup import ScheduleChoice, SignupContext
from mailer.subscribers.staff_changes import EntryResult, NewReader, enter, preview
from mailer.text.english import pluralise
from mailer.text.reader_name import reader_name
from mailer.tokens import Keys

CHUNK: Final = 500
_SKIPPED: Final = (EntryResult.UNSUBSCRIBED, EntryResult.SUPPRESSED)


@dataclass
class ImportCounts:
    """What an import did; `rows` is the sum of all others."""

    rows: int = 0
    results: Counter[EntryResult] = field(default_factory=Counter)
    rejected: list[RejectedRow] = field(default_factory=list)

    def as_data(self) -> dict[str, object]:
        """Return the counts as `subscriber import` prints them."""
        return {
            "rows": self.rows,
            "added": self.results[EntryResult.ADDED],
            "updated": self.results[EntryResult.UPDATED],
            "unchanged": self.results[EntryResult.UNCHANGED],
            "skipped": {result.value: self.results[result] for result in _SKIPPED},
            "rejected": [{"line": row.line, "reason": row.reason} for row in self.rejected],
        }


def import_readers(
    database: Database,
    rows: Iterator[CsvRow],
    choice: ScheduleChoice,
    source: str,
    context: SignupContext,
    *,
    clock: Clock,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportCounts:
    """Enter the readers in the rows of a file for one newsletter.

    Args:
        source: the file, and where its readers gave their consent; kept in the consent log with the line.
        dry_run: only count.
        progress: is called after each chunk with the number of rows read so far.

    Raises:
        Refused: the file cannot be read, or the database written, to its end. What came before is entered.
        DBAPIError: the database failed for a reason that `explain` does not know.
    """
    counts = ImportCounts()
    seen: set[str] = set()
    with _saying_how_far(counts, dry_run=dry_run):
        while chunk := list(islice(rows, CHUNK)):
            readers = list(_new_readers(chunk, seen, counts, context.keys, source))
            if dry_run:
                with database.read() as session:
                    results = preview(session, readers, choice)
            else:
                with database.write() as session:
                    results = enter(session, readers, choice, random=context.random, now=clock())
                reach("import.after-chunk")
            counts.results.update(results)
            counts.rows += len(chunk)
            progress(counts.rows)
    return counts


@contextmanager
def _saying_how_far(counts: ImportCounts, *, dry_run: bool) -> Iterator[None]:
    """Add to an error how far the import came.

    Raises:
        Refused: the file or the database can be used no further.
        DBAPIError: the database failed for a reason that `explain` does not know.
    """
    try:
        yield
    except (Refused, DBAPIError) as error:
        reason = explain(error) if isinstance(error, DBAPIError) else error
        if reason is None or dry_run or not counts.rows:
            raise
        raise Refused(
            f"{reason}; the first {pluralise(counts.rows, 'row is', 'rows are')} done, "
            "and repeating the command continues"
        ) from error


def _new_readers(
    chunk: Sequence[CsvRow], seen: set[str], counts: ImportCounts, keys: Keys, source: str
) -> Iterator[NewReader]:
    """Yield the chunk's addresses that are valid and new in this file."""
    for row in chunk:
        try:
            address = parse(row.email)
        except BadAddress as error:
            counts.rejected.append(RejectedRow(row.number, str(error)))
            continue
        if address.key in seen:
            counts.results[EntryResult.UNCHANGED] += 1
            continue
        seen.add(address.key)
        yield NewReader(
            address,
            keys.key_hash(address.key),
            reader_name(row.name),
            f"{source}, line {row.number}",
        )


def parse_columns(text: str | None) -> dict[str, str]:
    """Read `email=Column,name=Column` into a mapping.

    Raises:
        Refused: it is written differently.
    """
    columns = {}
    for item in (text or "").split(","):
        if not item.strip():
            continue
        column, _, name = (part.strip() for part in item.partition("="))
        if column not in {"email", "name"} or not name:
            raise Refused(f"--map must be like email=Column,name=Column, not {text!r}")
        columns[column] = name
    return columns
