"""Makes sure that no other process uses the database, and keeps all others out while a block runs.

Never stops a process: it refuses, and names what runs.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Final

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, Database
from mailer.errors import Refused
from mailer.models import Worker, WorkerRole
from mailer.text.english import pluralise
from mailer.text.untrusted import printable_line

_ROLES: Final = {WorkerRole.SENDER: "worker", WorkerRole.BUILDER: "scheduler"}
_ANOTHER: Final = "another process has it open, such as `mailer run web`"
_LONGEST_NAME: Final = 40
_LOOKS: Final = 30
_SECONDS_BETWEEN_LOOKS: Final = 0.1

_OTHER_CONNECTIONS: Final = text(
    # Other users' rows have no backend_type for those who may not see it; the server's own have no user.
    "SELECT pid, application_name FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    " AND datid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'"
    " ORDER BY pid"
)


@contextmanager
def exclusive(
    database: Database, *, lease: timedelta, now: datetime, name: str = "the database"
) -> Iterator[Connection]:
    """Give the only connection to the database; other processes that open it during the block are refused.

    All work of the block must use this connection: also our own process gets no second one. It is not in a
    transaction, and it may begin and commit as many as it needs. If the process is killed, the database
    is free again at once, and nothing is left to repair.

    On SQLite the connection has left WAL mode and holds the file's lock, so there is no `-wal` beside it, and
    the file's content may be replaced by SQLite's backup function, but the file itself may not be renamed
    away: a process that waits for its lock would go on with the old one.

    Args:
        lease: how long a worker may be silent before it is considered dead.
        now: the present instant.
        name: what the message calls the database.

    Raises:
        Refused: another process uses the database; the message names the roles that run.
    """
    # Idle connections of our own would look like another process.
    database.dispose()
    with database.engine.connect() as connection:
        try:
            in_use = (
                _lock_file(database, connection, lease, now)
                if database.is_sqlite
                else _lock_server(connection, lease, now)
            )
            if in_use:
                raise Refused(
                    f"{name} is in use: {'; '.join(in_use)}. "
                    "Stop all processes of the mailer that use it, and try again"
                )
            yield connection
        finally:
            # Closed, it keeps no lock, even if the block failed in a transaction.
            connection.invalidate()
    if database.is_sqlite:
        # Every new connection sets WAL mode.
        with suppress(SQLAlchemyError), database.engine.connect():
            pass


def _lock_file(
    database: Database, connection: Connection, lease: timedelta, now: datetime
) -> list[str]:
    """Lock SQLite's file. Return what uses it, if it cannot be locked."""
    driver: Any = connection.connection.cursor()
    if _becomes_true(lambda: _leaves_wal_mode(driver)):
        # The lock that follows stays after its transaction.
        driver.execute("PRAGMA locking_mode = EXCLUSIVE")
        driver.execute("BEGIN EXCLUSIVE")
        driver.execute("COMMIT")
        return []
    with database.engine.connect() as reader:
        return _running_roles(reader, lease, now) or [_ANOTHER]


def _leaves_wal_mode(driver: Any) -> bool:
    """Leave WAL mode, which SQLite does only if no other connection is open; return whether it did.

    Raises:
        OperationalError: something else is wrong with the file.
    """
    try:
        driver.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return False
        # The driver's own error would not be explained to the operator.
        raise OperationalError(None, None, error) from error
    return True


def _lock_server(connection: Connection, lease: timedelta, now: datetime) -> list[str]:
    """Lock PostgreSQL's database. Return what uses it; nothing if it is locked."""
    lock = select(func.pg_try_advisory_lock(AdvisoryLock.EXCLUSIVE_USE.value))
    if not _becomes_true(lambda: connection.scalar(lock)):
        return ["another command is restoring or moving it"]
    # Those who connect from now on are refused by the lock; those who did before are seen here.
    is_alone = _becomes_true(lambda: not _others(connection))
    others = [] if is_alone else _others(connection)
    reasons = _running_roles(connection, lease, now)
    connection.rollback()
    names = {name for _, name in others} - {"", "mailer"}
    if names:
        reasons.append(f"{', '.join(sorted(names))} has it open")
    if others and not reasons:
        reasons.append(_ANOTHER)
    if others:
        pids = ", ".join(str(pid) for pid, _ in others[:3])
        count = pluralise(len(others), "other connection")
        reasons.append(f"the server has {count} (process id there: {pids})")
    return reasons


def _others(connection: Connection) -> list[tuple[int, str]]:
    """Return the server's process id and the program's name of each other connection to this database."""
    # What is known of the others is read once for each transaction.
    connection.rollback()
    rows = connection.execute(_OTHER_CONNECTIONS)
    return [(pid, printable_line(name or "", _LONGEST_NAME)) for pid, name in rows]


def _becomes_true(true: Callable[[], object]) -> bool:
    """Ask a few times: a command that has just ended, such as our own check, may not be gone yet."""
    for look in range(_LOOKS):
        if true():
            return True
        if look + 1 < _LOOKS:
            Event().wait(_SECONDS_BETWEEN_LOOKS)
    return False


def _running_roles(connection: Connection, lease: timedelta, now: datetime) -> list[str]:
    """Describe the workers whose heartbeat is young; none if the database has no such table."""
    try:
        with Session(connection) as session:
            rows = session.execute(
                select(Worker.role, Worker.host, Worker.pid)
                .where(Worker.stopped_at.is_(None), Worker.heartbeat_at > now - lease)
                .order_by(Worker.id)
            ).all()
    except SQLAlchemyError:
        return []
    return [f"a {_ROLES[role]} runs on {host} with process id {pid}" for role, host, pid in rows]
