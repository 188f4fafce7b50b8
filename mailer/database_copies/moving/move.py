"""Moves everything in a database to an empty one of PostgreSQL, and marks the old one as moved.

The new database gets all of it in one transaction. Before that transaction is committed the old one is
marked as being moved, and afterwards as moved: whenever the process is killed, at most one of the two can be
used. Commits both; never changes anything else in the old one.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Table, func, inspect, make_url, select, text, update
from sqlalchemy.orm import Session

from mailer import schema
from mailer.database_copies.exclusive import exclusive
from mailer.database_copies.moving.bulk_load import (
    continue_numbers,
    last_numbers,
    last_of_sequences,
    without_indexes,
)
from mailer.database_copies.moving.checksums import (
    BadValue,
    TableChecksum,
    TableSum,
    bad_values,
    differing,
    is_storable,
)
from mailer.database_copies.moving.new_place import new_place, place_of
from mailer.database_copies.moving.table_lines import (
    columns_of,
    prepare_postgresql,
    read_lines,
    write_lines,
)
from mailer.db import Base, Database
from mailer.errors import MailerError, Refused
from mailer.failpoint import reach
from mailer.journal import copies, file, own_schema
from mailer.models import Installation, JournalEntry
from mailer.text.english import pluralise

Show = Callable[[str, int], None]
"""Is told what is being done, and how many rows of it are done."""

_LISTED: Final = 20
"""How many values that cannot be stored are named."""


@dataclass(frozen=True)
class MoveResult:
    """What was moved.

    Attributes:
        place: the URL of the new database, without its password.
        finished: whether an earlier command had moved everything, and only the mark was missing.
    """

    place: str
    tables: Mapping[str, TableSum]
    finished: bool

    @property
    def rows(self) -> int:
        """How many rows all tables have."""
        return sum(table.rows for table in self.tables.values())


class ChecksumMismatch(MailerError):
    """The new database does not hold what the old one does; nothing was changed. Check both disks."""


def move(
    database: Database, url: str, *, fingerprint: str, lease: timedelta, now: datetime, show: Show
) -> MoveResult:
    """Move everything, or finish a move that was killed near its end.

    Args:
        url: of the new database, with its password if it needs one.
        fingerprint: of the identity key.
        lease: how long a worker may be silent before it is considered dead.

    Raises:
        Refused: one of the two is in use; the new one is not empty; or the old one holds what the new one
            cannot store.
        DatabaseMoved: everything was moved already.
        DatabaseUnavailable: the new one cannot be reached.
        ChecksumMismatch: the new one does not hold what the old one does.
        SchemaError: the old one has no current schema.
        SettingsError: the identity key is another database's.
    """
    schema.check(database, fingerprint, even_if_moved=True)
    target_place = place_of(make_url(url))
    if target_place == place_of(database.url):
        raise Refused(f"{target_place} is this database itself; name an empty one")
    _check_journal(database)
    with ExitStack() as stack:
        source = stack.enter_context(exclusive(database, lease=lease, now=now))
        # Only now: a moment ago another command may have been moving it to another place.
        is_begun = _is_begun(source, target_place)
        # Its heartbeats, if there are any, are those of the old one.
        target, place = stack.enter_context(new_place(url, lease=timedelta(0), now=now))
        with lines_transaction(target):
            finished = is_begun and has_tables(target)
            if finished:
                tables = _compare(source, target, show)
            else:
                _refuse_unless_empty(source, target)
                tables = _fill(source, target, show)
                reach("move.filled")
                _mark(source, place, None)
                reach("move.begun")
        reach("move.committed")
        _end_journal(source, database.url, fingerprint, now)
        _mark(source, place, now)
        reach("move.marked")
    return MoveResult(place, tables, finished)


def _check_journal(database: Database) -> None:
    """Complete the journal beside the database, unless a move was begun, which ends it.

    Raises:
        Refused: the database is older than its journal.
    """
    with database.read() as session:
        if session.scalar(select(Installation.moved_to)) is not None:
            return
    own, copied = copies.last_ids(database)
    if copied is not None and copied > own:
        raise Refused(
            "the database is older than the journal beside it; run `mailer run` once, which takes in "
            "what the journal says, and `mailer resume`, and then move"
        )
    # What is not in it comes along in the database all the same.
    with suppress(OSError):
        copies.complete(database)


def has_tables(connection: Connection) -> bool:
    """Tell whether a database of PostgreSQL is not empty."""
    return bool(inspect(connection).get_table_names())


@contextmanager
def lines_transaction(connection: Connection) -> Iterator[None]:
    """Open a transaction in which tables can be read and written as lines."""
    with connection.begin():
        if connection.dialect.name != "sqlite":
            prepare_postgresql(connection)
        yield


def sums(connection: Connection, what: str, show: Show) -> dict[str, TableSum]:
    """Compute the checksum of each table."""
    found = {}
    for table in Base.metadata.sorted_tables:
        checksum = TableChecksum()
        for chunk in read_lines(connection, table):
            checksum.add(chunk)
            show(f"{what} {table.name}", checksum.rows)
        found[table.name] = checksum.result
    return found


def _is_begun(source: Connection, place: str) -> bool:
    """Tell whether a move to this place was begun, so that nobody has used the old database since.

    Raises:
        DatabaseMoved: everything was moved already, or a move to another place was begun.
    """
    with source.begin():
        moved_at, moved_to = source.execute(
            select(Installation.moved_at, Installation.moved_to)
        ).one()
        if moved_at is not None or moved_to not in {None, place}:
            schema.check_not_moved(source)
    return moved_to is not None


def _end_journal(source: Connection, url: URL, fingerprint: str, now: datetime) -> None:
    """Write into the journal beside the old database that it does not know what happens from now on.

    A backup from before the move may be restored there, after the old database was deleted.
    """
    path = file.path_of(url)
    if path is None:
        return
    with source.begin():
        last = source.scalar(select(func.max(JournalEntry.id))) or 0
    # The move is done: a disk that is full may not spoil it.
    with suppress(OSError):
        file.note_gap(path, fingerprint, Path(url.database or ""), after=last, now=now)


def _mark(source: Connection, moved_to: str, moved_at: datetime | None) -> None:
    with source.begin():
        source.execute(update(Installation).values(moved_to=moved_to, moved_at=moved_at))


def _refuse_unless_empty(source: Connection, target: Connection) -> None:
    if has_tables(target):
        raise Refused(
            "the new database is not empty; name one that has no tables, "
            "such as one that `createdb NAME` has just made"
        )
    encoding = target.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise Refused(
            f"the new database stores texts as {encoding}, which has not all characters; "
            "make another one with `createdb --encoding UTF8 --template template0 NAME`"
        )
    with source.begin():
        identity = source.scalar(select(Installation.identity_fingerprint)) or ""
    with Session(target) as session:
        if own_schema.last_id(session, identity):
            raise Refused(
                f"the new database has a journal of this installation in its schema {own_schema.SCHEMA}, "
                "from an earlier move; name one that has just been made"
            )


def _fill(source: Connection, target: Connection, show: Show) -> dict[str, TableSum]:
    """Write everything into the empty database, and check that it is there.

    Raises:
        Refused: the old database holds what the new one cannot store.
        ChecksumMismatch: the new one holds something else than the old one.
    """
    with lines_transaction(source):
        _refuse_dangling(source)
        schema.create_tables(target)
        bad: list[BadValue] = []
        with without_indexes(target):
            read = {
                table.name: _copy(source, target, table, show, bad)
                for table in Base.metadata.sorted_tables
            }
            if bad:
                raise Refused(_unstorable(bad))
            show("making the indexes", 0)
        last = last_numbers(source)
    continue_numbers(target, last)
    with Session(target) as session:
        own_schema.complete(session)
    reach("move.copied")
    if different := differing(read, sums(target, "checking", show)):
        raise ChecksumMismatch(
            f"the new database does not hold what the old one does: {', '.join(different)}. "
            "Nothing was changed. Check both disks and try again; if it happens again, report it"
        )
    if (numbers := last_of_sequences(target)) != last:
        raise ChecksumMismatch(
            f"the new database would number rows from {numbers}, the old one from {last}. "
            "Nothing was changed; report it"
        )
    return read


def _refuse_dangling(source: Connection) -> None:
    if source.dialect.name == "sqlite":
        dangling = source.execute(text("PRAGMA foreign_key_check")).all()
        if dangling:
            count = pluralise(len(dangling), "row that refers", "rows that refer")
            raise Refused(
                f"the old database has {count} to a missing one, the first in {dangling[0][0]}; "
                "see `mailer db check`, and restore a backup"
            )


def _copy(
    source: Connection, target: Connection, table: Table, show: Show, bad: list[BadValue]
) -> TableSum:
    checksum = TableChecksum()
    columns = [column.name for column in columns_of(table)]
    keys = [column.name for column in table.primary_key]

    def storable() -> Iterator[bytes]:
        for chunk in read_lines(source, table):
            checksum.add(chunk)
            if not is_storable(chunk):
                bad.extend(bad_values(chunk, table.name, columns, keys))
            # With a bad value everything is refused, so that the rest is only searched for others.
            if not bad:
                yield chunk
            show(f"copying {table.name}", checksum.rows)

    write_lines(target, table, storable())
    return checksum.result


def _unstorable(bad: list[BadValue]) -> str:
    named = "; ".join(map(str, bad[:_LISTED]))
    more = f"; and {len(bad) - _LISTED:,} more" if len(bad) > _LISTED else ""
    return (
        f"PostgreSQL cannot store {pluralise(len(bad), 'text')} of the old database: {named}{more}. "
        "Nothing was changed; correct them, for example with `mailer article edit`, and try again"
    )


def _compare(source: Connection, target: Connection, show: Show) -> dict[str, TableSum]:
    """Compare both databases, after a command that was killed when everything was there already.

    Raises:
        Refused: they differ.
    """
    with lines_transaction(source):
        old = sums(source, "checking the old", show)
    if different := differing(old, sums(target, "checking the new", show)):
        raise Refused(
            "a move to this database was begun, but it is not as the old one is: "
            f"{', '.join(different)}. If it is in use already, set `database_url` to it and leave the old "
            "one as it is; otherwise empty it and repeat this, or take the move back with --cancel"
        )
    return old
