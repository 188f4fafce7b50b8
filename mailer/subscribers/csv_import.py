"""Imports: takes readers out of a file into the database, a chunk to a transaction.

Owns the commits, and decides nothing: repeating an import that broke off continues it, because those who
are in already are left as they are.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from mailer.address import parse
from mailer.clock import Clock
from mailer.db import Database, explain
from mailer.errors import BadAddress, Refused
from mailer.failpoint import reach
from mailer.subscribers.csv_table import Line, read_table
from mailer.subscribers.signup import MailContext, ScheduleChoice
from mailer.subscribers.staff_entry import ImportResult, NewReader, enter, entry, fate, known
from mailer.text.english import pluralise
from mailer.text.reader_name import reader_name

CHUNK: Final = 500
_SKIPPED: Final = (ImportResult.UNSUBSCRIBED, ImportResult.SUPPRESSED)


@dataclass(frozen=True)
class Rejected:
    """A row that holds no address that mail can be sent to."""

    line: int
    reason: str


@dataclass
class ImportCounts:
    """What an import did; `rows` is the sum of all others."""

    rows: int = 0
    fates: Counter[ImportResult] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)

    def as_data(self) -> dict[str, object]:
        """The numbers as `subscriber import` prints them."""
        return {
            "rows": self.rows,
            "added": self.fates[ImportResult.ADDED],
            "updated": self.fates[ImportResult.UPDATED],
            "unchanged": self.fates[ImportResult.UNCHANGED],
            "skipped": {one.value: self.fates[one] for one in _SKIPPED},
            "rejected": [{"line": one.line, "reason": one.reason} for one in self.rejected],
        }


def import_readers(
    database: Database,
    path: Path,
    columns: Mapping[str, str],
    choice: ScheduleChoice,
    consent_source: str,
    desk: MailContext,
    *,
    clock: Clock,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportCounts:
    """Enter everybody in the file for one newsletter.

    Args:
        columns: which column holds "email" and "name".
        consent_source: where these people said yes; kept in the consent log with file and line.
        dry_run: count only.
        progress: is told after each chunk how many rows were read in all.

    Raises:
        Refused: the file cannot be read, or the database written, to its end. What came before is entered.
    """
    tally = ImportCounts()
    seen: set[str] = set()
    source = f"import {path.name}: {consent_source}"
    lines = read_table(path, columns)
    with _telling(tally, dry_run=dry_run):
        while chunk := list(islice(lines, CHUNK)):
            entries = list(_fresh(chunk, seen, tally, desk, source))
            now = clock()
            if dry_run:
                with database.read() as session:
                    before = known(session, entries, choice.offer.id)
                tally.fates.update(fate(one, before, choice) for one in entries)
            else:
                with database.write() as session:
                    fates = enter(session, entries, choice, random=desk.random, now=now)
                tally.fates.update(fates)
                reach("import.after-chunk")
            tally.rows += len(chunk)
            progress(tally.rows)
    return tally


@contextmanager
def _telling(tally: ImportCounts, *, dry_run: bool) -> Iterator[None]:
    """Adds how far an import came to what broke it off."""
    try:
        yield
    except (Refused, DBAPIError) as error:
        told = explain(error) if isinstance(error, DBAPIError) else error
        if told is None or dry_run or not tally.rows:
            raise
        raise Refused(
            f"{told}; the first {pluralise(tally.rows, 'row is', 'rows are')} done, "
            "and repeating the command continues"
        ) from error


def _fresh(
    chunk: list[Line], seen: set[str], tally: ImportCounts, desk: MailContext, source: str
) -> Iterator[NewReader]:
    """The chunk's addresses that are valid and that the file did not hold before."""
    for line in chunk:
        try:
            address = parse(line.email)
        except BadAddress as error:
            tally.rejected.append(Rejected(line.number, str(error)))
            continue
        if address.key in seen:
            tally.fates[ImportResult.UNCHANGED] += 1
            continue
        seen.add(address.key)
        yield entry(desk.keys, address, reader_name(line.name), f"{source}, line {line.number}")


def parse_columns(text: str | None) -> dict[str, str]:
    """`email=Column,name=Column` as a mapping.

    Raises:
        Refused: it is written otherwise.
    """
    found = {}
    for item in (text or "").split(","):
        if not item.strip():
            continue
        column, equals, name = item.partition("=")
        if not equals or column.strip() not in {"email", "name"} or not name.strip():
            raise Refused(f"--map must be like email=Column,name=Column, not {text!r}")
        found[column.strip()] = name.strip()
    return found
