"""Removes what was deleted from where it is kept still: SQLite's unused pages and WAL, PostgreSQL's samples.

Never changes what the tables hold. The files of PostgreSQL are left to autovacuum, which reuses the space.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mailer.db.errors import explain
from mailer.db.model_base import Base
from mailer.db.sessions import Database
from mailer.errors import Refused

LARGE: Final = 100 * 2**20
"""From this many bytes on, rewriting a file takes seconds in which nothing else is written."""


def wipe(database: Database, *, rewrite_large: bool = False) -> str | None:
    """Rewrite SQLite's file, unless it is large, and empty its WAL; on PostgreSQL take new samples.

    Deleted rows are overwritten at once on every connection (`secure_delete`). What an older version of the
    mailer deleted, or SQLite moved from page to page, is gone only once the file is rewritten (VACUUM).

    Args:
        rewrite_large: also a file of `LARGE` bytes or more; needs as much free disk as it has.

    Returns:
        What is still to be done, as a sentence for people; None if nothing is.

    Raises:
        Refused: the file cannot be rewritten, for example because the disk is full.
        DBAPIError: that failed for a reason that `explain` does not know.
    """
    if not database.is_sqlite:
        renew_samples(database)
        return None
    try:
        with database.alone() as connection:
            is_large = _bytes_of(connection) >= LARGE
            if rewrite_large or not is_large:
                connection.exec_driver_sql("VACUUM")
            emptied = _empty_wal(connection)
    except DBAPIError as error:
        reason = explain(error)
        if reason is None:
            raise
        raise Refused(
            f"the data is deleted, but unused parts of the database's file may still hold it ({reason}); "
            "repeat the command"
        ) from error
    if not emptied:
        return (
            f"another process reads the database, so {_wal_of(database)} may still hold what was deleted; "
            "repeat the command, or restart that process"
        )
    if is_large and not rewrite_large:
        return (
            "the database is large, so its file was not rewritten, and unused parts of it may still hold "
            "what an older version deleted; repeat the command with --vacuum when there is little to do"
        )
    return None


def renew_samples(database: Database, *, skip_locked: bool = False) -> None:
    """Let PostgreSQL sample the tables that hold people anew, for its planner.

    It keeps values of each column in its statistics, also addresses, and otherwise for as long as the table
    changes little. Nothing is done on SQLite, which keeps none.

    Args:
        skip_locked: leave out a table that another process is sampling or cleaning, instead of waiting.
    """
    if database.is_sqlite:
        return
    tables = [
        table.name
        for table in Base.metadata.sorted_tables
        if {"key_hash", "subscriber_id"} & set(table.columns.keys())
    ]
    option = "(SKIP_LOCKED)" if skip_locked else ""
    with database.alone() as connection:
        connection.exec_driver_sql(f"ANALYZE {option} {', '.join(tables)}")


def empty_wal(database: Database, *, wait_seconds: float) -> bool:
    """Write the WAL into SQLite's file and empty it. Return False if another process was reading or writing.

    Args:
        wait_seconds: how long to wait for others at most.
    """
    if not database.is_sqlite:
        return True
    with database.alone() as connection:
        before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(wait_seconds * 1000)}")
        try:
            return _empty_wal(connection)
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {before}")


def _empty_wal(connection: Connection) -> bool:
    busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return not busy


def _bytes_of(connection: Connection) -> int:
    pages, size = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("page_count", "page_size")
    )
    return int(pages) * int(size)


def _wal_of(database: Database) -> str:
    return f"{Path(database.url.database or '').name}-wal"
