"""Imports the rows of a file, one chunk per transaction, and counts what happened.

Commits, but decides nothing. Repeating an import that broke off continues it, because what is stored already
stays as it is. Never holds the whole file in memory, nor the database for longer than a chunk takes.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sqlalchemy.exc import DBAPIError

from mailer.address import parse
from mailer.clock import Clock
from mailer.db import Database, explain
from mailer.errors import BadAddress, Refused
from mailer.failpoint import reach
from mailer.subscribers.entering.decide import EntryResult, NewReader, ReaderState
from mailer.subscribers.entering.earlier_rows import earlier_rows
from mailer.subscribers.entering.enter import enter, preview
from mailer.subscribers.entering.rejected_rows import RejectedRows
from mailer.subscribers.importing.rows import ImportRow, RejectedRow
from mailer.subscribers.signup import ScheduleChoice, SignupContext
from mailer.text.english import pluralise
from mailer.text.untrusted import printable_line
from mailer.tokens import Keys

CHUNK: Final = 1000
"""How many rows a transaction enters. Meanwhile nobody else can write to SQLite, for some 50 milliseconds."""

_LONGEST_REASON: Final = 200
_SKIPPED: Final = (EntryResult.UNSUBSCRIBED, EntryResult.SUPPRESSED)
_NEW: Final = {"left_at": EntryResult.UNSUBSCRIBED, "suppression": EntryResult.SUPPRESSED}

ImportRows = Iterable[ImportRow | RejectedRow]
Results = tuple[list[EntryResult], dict[str, ReaderState]]


@dataclass
class ImportCounts:
    """What an import did; `rows` is the sum of the results and the rejected rows.

    `recorded` counts who of the skipped readers was not known to have left, or to be suppressed, before.
    `possible` are the results that there can be. `progress` is called after each chunk with the number of
    rows so far.
    """

    rejected: RejectedRows
    progress: Callable[[int], None] = lambda rows: None
    possible: Sequence[EntryResult] = tuple(EntryResult)
    rows: int = 0
    results: Counter[EntryResult] = field(default_factory=Counter)
    recorded: Counter[EntryResult] = field(default_factory=Counter)

    def add(self, rows: int, results: Results) -> None:
        """Count a chunk of so many rows."""
        self.rows += rows
        self.results.update(results[0])
        for state in results[1].values():
            self.recorded.update(kind for name, kind in _NEW.items() if name in state.changes)
        self.progress(self.rows)

    def as_data(self) -> dict[str, object]:
        """Return the counts as the commands print them, without the rejected rows."""
        done = [result for result in self.possible if result not in _SKIPPED]
        skipped = [result for result in self.possible if result in _SKIPPED]
        data: dict[str, object] = {
            "rows": self.rows,
            **{result.value: self.results[result] for result in done},
        }
        if skipped:
            data["skipped"] = {result.value: self.results[result] for result in skipped}
            data["recorded"] = {result.value: self.recorded[result] for result in skipped}
        return data


def import_readers(
    database: Database,
    rows: ImportRows,
    choice: ScheduleChoice,
    source: str,
    context: SignupContext,
    counts: ImportCounts,
    *,
    clock: Clock,
    dry_run: bool = False,
) -> None:
    """Enter the readers in the rows of a file for one newsletter.

    Args:
        source: the file, and where its readers gave their consent; kept in the consent log with the line.
        counts: what was done is added to them.
        dry_run: only count.

    Raises:
        Refused: the file cannot be read, or the database written, to its end. What came before is entered.
        DBAPIError: the database failed for a reason that `explain` does not know.
    """
    with earlier_rows() if dry_run else nullcontext() as earlier:

        def act(readers: list[NewReader]) -> Results:
            if earlier is None:
                with database.write() as session:
                    return enter(session, readers, choice, random=context.random, now=clock())
            with database.read() as session:
                results = preview(session, readers, choice, now=clock(), earlier=earlier.apply)
            earlier.remember(results[1])
            return results

        import_rows(rows, context.keys, source, counts, act, dry_run=dry_run)


def import_rows(
    rows: ImportRows,
    keys: Keys,
    source: str,
    counts: ImportCounts,
    act: Callable[[list[NewReader]], Results],
    *,
    dry_run: bool,
) -> None:
    """Call `act` for each chunk of rows, and count.

    Raises:
        Refused: the file cannot be read, or the database written, to its end.
        DBAPIError: the database failed for a reason that `explain` does not know.
    """
    remaining = iter(rows)
    with _saying_how_far(counts, dry_run=dry_run), _closed_at_the_end(remaining):
        while chunk := list(islice(remaining, CHUNK)):
            results = act(list(_new_readers(chunk, keys, source, counts.rejected)))
            if not dry_run:
                reach("import.after-chunk")
            counts.add(len(chunk), results)


@contextmanager
def _closed_at_the_end(rows: Iterator[ImportRow | RejectedRow]) -> Iterator[None]:
    """Close the file that rows are read from, also if they are not read to the end."""
    try:
        yield
    finally:
        if isinstance(rows, Generator):
            rows.close()


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
    chunk: Iterable[ImportRow | RejectedRow], keys: Keys, source: str, rejected: RejectedRows
) -> Iterator[NewReader]:
    """Yield the rows whose addresses are valid."""
    for row in chunk:
        if isinstance(row, RejectedRow):
            rejected.add(row)
            continue
        try:
            address = parse(row.email)
        except BadAddress as error:
            rejected.add(RejectedRow(row.line, printable_line(str(error), _LONGEST_REASON)))
            continue
        words = f"; signed up at {row.source}" if row.source else ""
        yield NewReader(
            address, keys.key_hash(address.key), row, f"{source}, line {row.line}{words}"
        )
