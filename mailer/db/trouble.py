"""What an operator is told where a database cannot be used."""

import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError

from mailer.db.database import BUSY_TIMEOUT_SECONDS
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
    if error.connection_invalidated or _is_outside(error) or "not a database" in told:
        return DatabaseUnavailable(
            f"the database cannot be used ({told}); check database_url, then try again"
        )
    return None


def _is_outside(error: DBAPIError) -> bool:
    """Whether the reason lies with the connection, the server or its disk, and not in what was asked."""
    if not isinstance(error, OperationalError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        # "Operational" is to SQLite also a statement that it cannot read, code 1, and to its driver a text
        # that is not UTF-8, without a code.
        return getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) != sqlite3.SQLITE_ERROR
    return True
