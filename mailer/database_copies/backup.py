"""Backs up the whole database into one file, while everything goes on.

On SQLite by its backup function, on PostgreSQL by pg_dump. Each sees the database at one moment. Never
overwrites a file, never leaves half of one, and never gives a file its name before it was checked.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text, update

from mailer.database_copies.files import postgresql_tools, sqlite_copy
from mailer.database_copies.files.contents import (
    Contents,
    IsStopping,
    NotACopy,
    OnProgress,
)
from mailer.database_copies.files.new_file import cannot_write, new_file
from mailer.db import Database
from mailer.errors import Refused, SchemaError, SettingsError
from mailer.models import Digest, Installation, JournalEntry, Subscriber

SCHEMA_WITH_TIMES = "0015"
"""The first one in which a database says when it was backed up."""


@dataclass(frozen=True)
class Backup:
    """A backup that was made."""

    file: Path
    bytes: int
    made_at: datetime
    engine: str
    schema: str
    subscribers: int
    digests: int


def back_up(
    database: Database,
    path: Path,
    *,
    fingerprint: str,
    now: datetime,
    on_progress: OnProgress,
    is_stopping: IsStopping,
) -> Backup:
    """Write a backup to `path`, which only its owner may read.

    The database may have an older schema than the current one.

    Args:
        fingerprint: of the identity key that the database must belong to.
        now: what the backup says of when it was made.

    Raises:
        AlreadyExists: there is a file of that name.
        Refused: it cannot be written, a program is missing, or the copy is not sound.
        Stopped: `is_stopping` said so; nothing is left.
        SettingsError: the identity key is another one.
        SchemaError: the database has no tables of the mailer.
    """
    schema = _note_start(database, fingerprint, now)
    with new_file(path) as part:
        try:
            if database.is_sqlite:
                contents = _copy_sqlite(database, part, on_progress, is_stopping)
            else:
                contents = _dump_postgresql(database, part, schema, on_progress, is_stopping)
        except NotACopy as error:
            raise Refused(
                f"no backup was made: the copy is not sound ({error}). Run `mailer db check`; if the "
                "database is damaged, restore the last good backup"
            ) from error
        except OSError as error:
            raise Refused(cannot_write(path, error)) from error
        size = part.stat().st_size
    return Backup(
        file=path,
        bytes=size,
        made_at=now,
        engine="sqlite" if database.is_sqlite else "postgresql",
        schema=contents.schema,
        subscribers=contents.subscribers,
        digests=contents.digests,
    )


def schema_of(connection: Connection) -> str | None:
    """Return the number of the database's schema; None if it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _note_start(database: Database, fingerprint: str, now: datetime) -> str:
    """Write into the database when it is backed up, so that the copy says it. Return the schema's number.

    Raises:
        SettingsError: the identity key is another one.
        SchemaError: the database has no tables of the mailer.
    """
    with database.read() as session:
        schema = schema_of(session.connection())
        if schema is None:
            raise SchemaError("the database is empty, so there is nothing to back up")
        stored = session.scalar(select(Installation.identity_fingerprint))
    if stored != fingerprint:
        raise SettingsError(
            "identity_key does not belong to this database; restore the mailer.toml that belongs to it"
        )
    if schema >= SCHEMA_WITH_TIMES:
        with database.write() as session:
            session.execute(update(Installation).values(backup_started_at=now))
    return schema


def _copy_sqlite(
    database: Database, part: Path, on_progress: OnProgress, is_stopping: IsStopping
) -> Contents:
    source = Path(database.url.database or "")
    expected = sqlite_copy.copy(source, part, on_progress, is_stopping)
    contents = sqlite_copy.check(part, is_stopping, thoroughly=False)
    if contents != expected:
        raise NotACopy("it does not hold what the database holds")
    return contents


def _dump_postgresql(
    database: Database,
    part: Path,
    schema: str,
    on_progress: OnProgress,
    is_stopping: IsStopping,
) -> Contents:
    with database.read() as session:
        connection = session.connection()
        server = connection.scalar(text("SHOW server_version_num")) or "0"
        namespace = connection.scalar(text("SELECT current_schema()")) or "public"
        subscribers = session.scalar(select(func.count()).select_from(Subscriber)) or 0
        digests = session.scalar(select(func.count()).select_from(Digest)) or 0
        own_tables = set(inspect(connection).get_table_names())
        last = select(func.max(JournalEntry.id))
        last_entry = (session.scalar(last) or 0) if "journal_entry" in own_tables else 0
    for program in ("pg_dump", "pg_restore"):
        postgresql_tools.check_version(program, int(server) // 10_000)
    tools = postgresql_tools.Tools.of(database.engine)
    postgresql_tools.dump(tools, namespace, part, on_progress, is_stopping)
    if missing := own_tables - set(postgresql_tools.tables(part)):
        raise NotACopy(f"it lacks the table {min(missing)}")
    postgresql_tools.check_whole(part, is_stopping)
    [installation] = postgresql_tools.rows(part, "installation")
    return Contents(
        schema=schema,
        fingerprint=installation["identity_fingerprint"] or "",
        subscribers=subscribers,
        digests=digests,
        last_entry=last_entry,
    )
