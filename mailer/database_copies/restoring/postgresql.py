"""Puts a backup in the place of a database of PostgreSQL, by pg_restore.

All tables are replaced in one transaction; then, in a second one, the schema is upgraded, the journal is told
again, and the fence is put up. If the program is killed between the two, repeating the command does all of it
again; and the next role that starts finds that the journal is ahead. Never touches the copy of the journal.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.orm import Session

from mailer import schema
from mailer.database_copies.exclusive import exclusive
from mailer.database_copies.files import examine, postgresql_tools
from mailer.database_copies.files.contents import Contents, IsStopping, NotACopy
from mailer.database_copies.restoring.told import (
    Journal,
    Restored,
    bring_up_to_date,
    entries_of,
)
from mailer.db import Base, Database
from mailer.errors import Refused
from mailer.failpoint import reach
from mailer.journal import own_schema
from mailer.journal.entries import RecordedEntry
from mailer.models import Installation, Subscriber

_KEYS: Final = text(
    """SELECT from_table.relname, conname, to_table.relname
    FROM pg_constraint
    JOIN pg_class from_table ON from_table.oid = conrelid
    JOIN pg_class to_table ON to_table.oid = confrelid
    WHERE contype = 'f' AND from_table.relnamespace = current_schema()::regnamespace"""
)


def restore(
    database: Database,
    file: Path,
    *,
    fingerprint: str,
    lease: timedelta,
    now: datetime,
    is_stopping: IsStopping,
) -> Restored:
    """Put the backup in `file` in the place of this database.

    Raises:
        Refused: the file is no backup, the database is in use or another's, or pg_restore failed.
        SettingsError: the backup belongs to another identity key.
        SchemaError: it is of a newer program.
        Stopped: `is_stopping` said so; nothing was changed.
    """
    examine.check_kind(file, is_sqlite=False)
    with database.read() as session:
        namespace = session.scalar(text("SELECT current_schema()")) or "public"
    try:
        contents = examine.contents_of_dump(file, namespace)
        examine.check_contents(file, contents, fingerprint=fingerprint, head=schema.head())
        postgresql_tools.check_whole(file, is_stopping)
    except NotACopy as error:
        raise Refused(f"{file} cannot be restored: {error}; take another backup") from error
    tables = set(postgresql_tools.tables(file))
    with exclusive(database, lease=lease, now=now) as connection:
        entries, has_copy, is_ours = _journal(connection, contents)
        is_newer = _drop_keys(connection, tables)
        reach("restore.before-load")
        postgresql_tools.restore(postgresql_tools.Tools.of(database.engine), file, is_stopping)
        reach("restore.loaded")
        journal = Journal(copy=has_copy, replaced=is_ours)
        with connection.begin():
            _drop_tables(connection, tables, is_newer=is_newer)
            schema.create_tables(connection)
            # The end of the session ends no transaction.
            with Session(connection, join_transaction_mode="rollback_only") as session:
                known = iter(entries) if entries is not None else _copied(session, contents)
                made_at, journal, counts = bring_up_to_date(session, known, journal, now=now)
                session.flush()
            reach("restore.before-commit")
    return Restored(
        file=file,
        made_at=made_at,
        schema=contents.schema,
        journal=journal,
        counts=counts,
    )


def _copied(session: Session, contents: Contents) -> Iterator[RecordedEntry]:
    return own_schema.read(session, contents.fingerprint)


def _journal(
    connection: Connection, contents: Contents
) -> tuple[list[RecordedEntry] | None, bool, bool]:
    """Save the journal of the database that is about to be replaced.

    Returns:
        Its entries, if they could not be put beside it; whether there is a copy beside it; and whether the
        database belongs to this installation.

    Raises:
        Refused: the database has readers of another installation, or was moved.
    """
    with connection.begin(), Session(connection) as session:
        is_ours = _is_ours(session, contents.fingerprint)
        has_entries = is_ours and inspect(connection).has_table("journal_entry")
        if has_entries:
            own_schema.complete(session)
        has_copy = bool(own_schema.last_id(session, contents.fingerprint))
        is_saved = has_copy or not has_entries
        return (
            None if is_saved else list(entries_of(connection, after=0)),
            has_copy,
            is_ours,
        )


def _is_ours(session: Session, fingerprint: str) -> bool:
    """Tell whether the database belongs to this identity key; False if it is empty.

    Raises:
        Refused: it has readers of another installation, or everything was moved from it.
    """
    columns: set[str] = set()
    inspector = inspect(session.connection())
    if inspector.has_table("installation"):
        columns = {column["name"] for column in inspector.get_columns("installation")}
    if "identity_fingerprint" not in columns:
        return False
    if "moved_to" in columns and (moved_to := session.scalar(select(Installation.moved_to))):
        raise Refused(
            f"everything in this database was moved to {moved_to}; set `database_url` to that one"
        )
    if session.scalar(select(Installation.identity_fingerprint)) == fingerprint:
        return True
    if session.scalar(select(func.count()).select_from(Subscriber)):
        raise Refused(
            "the database in `database_url` has readers of another installation, which would be lost; "
            "name another database, or drop this one"
        )
    return False


def _drop_keys(connection: Connection, tables: set[str]) -> bool:
    """Drop the foreign keys that keep the tables of the backup from being replaced.

    They are those of newer tables, which are dropped once the backup is in place.

    Returns:
        Whether the database belongs to a newer program.
    """
    with connection.begin():
        quoted = connection.dialect.identifier_preparer.quote
        for table, key, target in connection.execute(_KEYS).all():
            if table not in tables and target in tables:
                statement = f"ALTER TABLE {quoted(table)} DROP CONSTRAINT {quoted(key)}"
                connection.exec_driver_sql(statement)
        if not inspect(connection).has_table("alembic_version"):
            return False
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return version is not None and version > schema.head()


def _drop_tables(connection: Connection, tables: set[str], *, is_newer: bool) -> None:
    """Drop what the backup does not have, so that the upgrade can make it anew.

    Args:
        is_newer: the replaced database belonged to a newer program, whose tables we do not know: then all.
    """
    quoted = connection.dialect.identifier_preparer.quote
    for name in set(inspect(connection).get_table_names()) - tables:
        if is_newer or name in Base.metadata.tables:
            connection.exec_driver_sql(f"DROP TABLE {quoted(name)} CASCADE")
