"""Copies what is recorded in the journal to where no restore of the database reaches, and reads that copy.

On SQLite that is a file beside the database, written right after the commit; on PostgreSQL a table in a
schema of its own, written in the same transaction. Never decides what is recorded. A copy that cannot be
written does not fail the act: it is completed with the next entry, or when a role starts.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, Insert, event, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer.db import Database
from mailer.failpoint import reach
from mailer.journal import file, own_schema
from mailer.journal.entries import RecordedEntry
from mailer.models import Installation, JournalEntry

log = logging.getLogger(__name__)

_CHUNK: Final = 5000
_PENDING: Final = "journal is to be copied"


def copy_entries(session: Session, ids: Sequence[int]) -> None:
    """Copy the entries with these `ids`, which this transaction has written."""
    if session.get_bind().dialect.name == "sqlite":
        _copy_after_commit(session)
    elif own_schema.is_usable(session.connection()):
        session.execute(own_schema.copying(JournalEntry.id.in_(ids)))


def insert_and_copy(session: Session, new: Insert) -> None:
    """Execute `new`, which writes entries, and copy what it writes."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(new)
        _copy_after_commit(session)
    elif own_schema.is_usable(session.connection()):
        session.execute(own_schema.inserting_twice(new))
    else:
        session.execute(new)


def copy_missing(session: Session) -> None:
    """Copy what this transaction has written that did not come from the copy."""
    if session.get_bind().dialect.name == "sqlite":
        _copy_after_commit(session)
    else:
        own_schema.complete(session)


def complete(database: Database) -> int:
    """Copy what was committed and not copied, because a process was killed or the disk was full.

    Returns:
        How many entries these were.

    Raises:
        OSError: the file cannot be written.
    """
    if not database.is_sqlite:
        with database.write() as session:
            return own_schema.complete(session)
    path = file.path_of(database.url)
    return 0 if path is None else _append(database.engine, path)


def read(database: Database) -> Iterator[RecordedEntry]:
    """Read the copy of this database's journal, in the order of its entries; nothing if there is none.

    Raises:
        OSError: the file cannot be read.
    """
    with database.read() as session:
        identity = _identity(session)
        if not database.is_sqlite:
            yield from own_schema.read(session, identity)
            return
    path = file.path_of(database.url)
    if path is not None:
        yield from file.read(path, identity)


def last_ids(database: Database) -> tuple[int, int | None]:
    """Return the number of the last entry in the database, and in its copy; None if there is no copy.

    The copy is ahead if the database is an older one, and behind if it could not be written.

    Raises:
        OSError: the file cannot be read.
    """
    with database.read() as session:
        identity = _identity(session)
        own = session.scalar(select(func.max(JournalEntry.id))) or 0
        if not database.is_sqlite:
            return own, own_schema.last_id(session, identity)
    path = file.path_of(database.url)
    return own, None if path is None else file.last_id(path, identity)


def _identity(session: Session | Connection) -> str:
    return session.scalar(select(Installation.identity_fingerprint)) or ""


def _copy_after_commit(session: Session) -> None:
    path = file.path_of(session.get_bind().engine.url)
    if path is None or session.info.get(_PENDING):
        return
    session.info[_PENDING] = True
    event.listen(session, "after_commit", _append_committed)


def _append_committed(session: Session) -> None:
    reach("journal.before-append")
    engine = session.get_bind().engine
    path = file.path_of(engine.url)
    if path is None:
        return
    try:
        _append(engine, path)
    except (OSError, SQLAlchemyError) as error:
        # The act is committed, and must not look as if it were not.
        log.warning(
            "the journal %s cannot be written (%s); it is completed once it can be: check the disk, "
            "and that this user may write there",
            path.name,
            error.strerror if isinstance(error, OSError) else type(error).__name__,
        )


def _append(engine: Engine, path: Path) -> int:
    # Only reads: a writer that waits for the file may not keep others from writing the database.
    reading = engine.execution_options(sqlite_begin="BEGIN")
    beside = Path(engine.url.database or "")
    with (
        reading.connect() as connection,
        file.opened(path, _identity(connection), beside) as journal,
    ):
        # What others have committed meanwhile is seen only by a transaction that begins after the lock.
        connection.rollback()
        rows = connection.execute(
            select(JournalEntry.__table__)
            .where(JournalEntry.id > journal.last_id)
            .order_by(JournalEntry.id),
            execution_options={"yield_per": _CHUNK},
        )
        return journal.append(
            [RecordedEntry.of(row) for row in chunk] for chunk in rows.partitions()
        )
