"""Explains database errors to operators, and tells a broken database from a bad statement or value."""

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
    """Turn a driver's error into one that tells the operator what to do; None if it is a bug of ours."""
    if not isinstance(error, DBAPIError):
        return None
    reason = next(iter(str(error.orig).strip().splitlines()), "no reason given")
    state = getattr(error.orig, "sqlstate", None)
    # 42P01 and 42703: undefined table and undefined column.
    if state in {"42P01", "42703"} or reason.startswith(("no such table", "no such column")):
        return SchemaError(
            f"the database schema is not current ({reason}); run `mailer db upgrade`"
        )
    if "readonly" in reason or "read-only" in reason or "unable to open" in reason:
        return DatabaseUnavailable(
            f"the database cannot be written ({reason}); "
            "check that its folder exists and that this user may write there"
        )
    if reason == "database is locked":
        return DatabaseUnavailable(
            f"another process has been writing to the database for {BUSY_TIMEOUT_SECONDS} seconds, so "
            "nothing was changed; see `mailer status` for what is running, and try again later"
        )
    # 55P03: lock not available.
    if state == "55P03":
        return DatabaseUnavailable(
            f"another process holds a lock in the database ({reason}), so nothing was changed; "
            "try again later"
        )
    if _is_outside(error):
        return DatabaseUnavailable(
            f"the database cannot be used ({reason}); check database_url, then try again"
        )
    return None


def is_unusable(error: SQLAlchemyError) -> bool:
    """Tell whether the database as a whole cannot be used.

    False if a value, a row or a statement is at fault: everything else may still work.
    """
    if isinstance(error, DBAPIError):
        return explain(error) is not None
    # For example an error of the pool. A value that a column's type refuses is a StatementError.
    return not isinstance(error, StatementError)


def is_unreadable(error: Exception) -> bool:
    """Tell whether a row cannot be read because a value in it does not fit its column's type."""
    if isinstance(error, DBAPIError):
        is_decoding = isinstance(error.orig, sqlite3.OperationalError) and _code(error.orig) is None
        return isinstance(error, DataError) or is_decoding
    return isinstance(error, (ValueError, LookupError, TypeError, OverflowError))


def _is_outside(error: DBAPIError) -> bool:
    """Tell whether the cause is the connection, the server or its disk, and not the statement."""
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    if isinstance(error.orig, sqlite3.Error):
        code = _code(error.orig)
        # SQLite also calls a syntax error "operational", and its driver a text that is not UTF-8, which has
        # no code.
        is_operational = isinstance(error, OperationalError) and code != sqlite3.SQLITE_ERROR
        return code in _BROKEN_FILE or (is_operational and code is not None)
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, OperationalError) or state.startswith(_OUTSIDE)


_BROKEN_FILE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_OUTSIDE = ("08", "53", "57", "58", "XX", "25P03")
"""SQLSTATEs of the connection, resources, operators, the system and a broken server, and of a transaction
that was idle for too long, whose connection is closed."""


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary error code; None if the error came from its driver."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
