"""What an operator is told where a database cannot be used."""

import sqlite3

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)

from mailer.db.engine import BUSY_TIMEOUT_SECONDS
from mailer.errors import DatabaseUnavailable, MailerError, SchemaError


def explain(error: Exception) -> MailerError | None:
    """What an operator should be told of an error of the driver; None where it is a defect of ours."""
    if not isinstance(error, DBAPIError):
        return None
    told = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason given"
    state = getattr(error.orig, "sqlstate", None)
    # 42P01 and 42703: undefined table and undefined column.
    if state in {"42P01", "42703"} or told.startswith(("no such table", "no such column")):
        return SchemaError(
            f"the database has not the current schema ({told}); run `mailer db upgrade`"
        )
    if "readonly" in told or "read-only" in told or "unable to open" in told:
        return DatabaseUnavailable(
            f"the database cannot be written ({told}); "
            "check that its folder exists, and that this user may write there"
        )
    if told == "database is locked":
        return DatabaseUnavailable(
            f"another process has been writing to the database for {BUSY_TIMEOUT_SECONDS} seconds, and "
            "nothing was changed; `mailer status` shows what runs; try again when it is done"
        )
    # 55P03: lock not available.
    if state == "55P03":
        return DatabaseUnavailable(
            f"another process holds a lock in the database ({told}), and nothing was changed; "
            "try again when it is done"
        )
    if _is_outside(error):
        return DatabaseUnavailable(
            f"the database cannot be used ({told}); check database_url, then try again"
        )
    return None


def is_unusable(error: SQLAlchemyError) -> bool:
    """Whether nothing can be done with the database, and not only what was tried just now.

    False where a value, a row or a statement is at fault: everything else may well work.
    """
    if isinstance(error, DBAPIError):
        return explain(error) is not None
    # As of its pool. What a column's type does not take is an error of a statement, without a driver's.
    return not isinstance(error, StatementError)


def is_unreadable(error: Exception) -> bool:
    """Whether a value in the database is none of its column's type, so that its row cannot be read."""
    if isinstance(error, DBAPIError):
        is_decoding = isinstance(error.orig, sqlite3.OperationalError) and _code(error.orig) is None
        return isinstance(error, DataError) or is_decoding
    return isinstance(error, (ValueError, LookupError, TypeError, OverflowError))


def _is_outside(error: DBAPIError) -> bool:
    """Whether the reason lies with the connection, the server or its disk, and not in what was asked."""
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    if isinstance(error.orig, sqlite3.Error):
        code = _code(error.orig)
        # "Operational" is to SQLite also a statement that it cannot read, and to its driver a text that is
        # not UTF-8, which has no code.
        is_operational = isinstance(error, OperationalError) and code != sqlite3.SQLITE_ERROR
        return code in _BROKEN_FILE or (is_operational and code is not None)
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, OperationalError) or state.startswith(_OUTSIDE)


_BROKEN_FILE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_OUTSIDE = ("08", "53", "57", "58", "XX", "25P03")
"""SQLSTATEs of the connection, of resources, of an operator, of the system, of a broken server, and of a
transaction that was idle for too long, whose connection is closed."""


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's own code of an error, without what it says of the details; None where its driver failed."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
