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
    # SQLite says "operational" of every statement that it cannot read, with code 1.
    is_outside = isinstance(error, OperationalError) and (
        getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR
    )
    if is_outside or error.connection_invalidated or "not a database" in told:
        return DatabaseUnavailable(
            f"the database cannot be used ({told}); check database_url, then try again"
        )
    return None
