"""Creates and upgrades the database's schema, and refuses to work with any other.

Whether it is current is decided without Alembic, which is slow to import: by the number in the database
and the numbers of the files in `migrations/versions`.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, ForeignKeyConstraint, Select, func, insert, inspect, select, text

from mailer.clock import format_instant
from mailer.db import SQLITE_ONLY, AdvisoryLock, Base, Database, take_lock
from mailer.errors import DatabaseMoved, Refused, SchemaError, SettingsError
from mailer.journal import own_schema
from mailer.models import Installation
from mailer.packaged_files import resource_folder
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK_TIMEOUT: Final = "10s"
"""How long a migration on PostgreSQL waits for a table; everything that comes after it waits too."""


_FIRST_WITH_MARK: Final = "0015"
"""The first schema in which a database can be marked as moved."""


def head() -> str:
    """Return the number of the newest migration, such as "0001"."""
    return max(path.name[:4] for path in resource_folder("migrations").glob("versions/[0-9]*.py"))


def check(database: Database, fingerprint: str, *, even_if_moved: bool = False) -> None:
    """Check that the schema is current, that the identity key is the database's own, and nothing has moved.

    Args:
        even_if_moved: accept a database that is used no more because everything was moved from it.

    Raises:
        SchemaError: there is no database, or its schema is not current.
        SettingsError: `fingerprint` is that of another identity key.
        DatabaseMoved: everything was moved to another database.
    """
    version = current(database)
    if version is None:
        raise SchemaError("the database is empty; run `mailer db upgrade`")
    _refuse_newer(version)
    if version != head():
        raise SchemaError(
            f"the database has schema {version}, this mailer needs {head()}; run `mailer db upgrade`"
        )
    with database.read() as session:
        _check_fingerprint(session.connection(), fingerprint)
        if not even_if_moved:
            check_not_moved(session.connection())


def current(database: Database) -> str | None:
    """Return the number of the database's schema, or None if it has none.

    Raises:
        SchemaError: the file of SQLite does not exist.
    """
    if database.is_sqlite and not Path(database.url.database or "").is_file():
        raise SchemaError(
            f"the database {database.url.database} does not exist; check `database_url`, "
            "put a backup back with `mailer db restore FILE` if it is lost, or create an empty one with "
            "`mailer db upgrade`"
        )
    with database.read() as session:
        return _version(session.connection())


def dangling_references(database: Database) -> dict[str, int]:
    """Count the references to rows that do not exist, by table.

    Reads every row: on SQLite for all foreign keys, on PostgreSQL for those that it does not check itself.
    """
    with database.read() as session:
        connection = session.connection()
        if database.is_sqlite:
            rows = connection.execute(text("PRAGMA foreign_key_check"))
            counts = Counter(row[0] for row in rows)
        else:
            counts = Counter()
            for table in Base.metadata.sorted_tables:
                for key in table.foreign_key_constraints:
                    if key.info.get(SQLITE_ONLY):
                        counts[table.name] += connection.scalar(_count_dangling(key)) or 0
    return {name: count for name, count in sorted(counts.items()) if count}


def _count_dangling(key: ForeignKeyConstraint) -> Select[int]:
    [element] = key.elements
    target = element.column.table.alias()
    exists = select(target.c[element.column.name]).where(
        target.c[element.column.name] == element.parent
    )
    return (
        select(func.count())
        .select_from(key.table)
        .where(element.parent.is_not(None), ~exists.exists())
    )


def create(database: Database, fingerprint: str, now: datetime) -> None:
    """Give an empty database the current schema, and store the fingerprint of its identity key.

    Raises:
        Refused: the database is not empty.
    """
    with migration(database) as connection:
        if inspect(connection).get_table_names():
            raise Refused(
                "the database in `database_url` is in use already; name an empty one, "
                "or restore the mailer.toml that belongs to it"
            )
        create_tables(connection)
        _install(connection, fingerprint, now)


def create_tables(connection: Connection) -> None:
    """Run all migrations that are missing, in the transaction of `connection`."""
    from alembic import command

    command.upgrade(alembic_config(connection), "head")
    if connection.dialect.name == "postgresql":
        own_schema.create(connection)


def upgrade(database: Database, fingerprint: str, now: datetime) -> tuple[str | None, str]:
    """Bring the schema up to date, all of it or nothing.

    Returns:
        The number of the schema before and after.

    Raises:
        SettingsError: `fingerprint` is that of another identity key.
        SchemaError: the database belongs to a newer mailer.
        DatabaseMoved: everything was moved to another database.
    """
    with migration(database) as connection:
        before = _version(connection)
        if before is not None:
            _check_fingerprint(connection, fingerprint)
            _refuse_newer(before)
            if before >= _FIRST_WITH_MARK:
                check_not_moved(connection)
        create_tables(connection)
        if before is None:
            _install(connection, fingerprint, now)
    return before, head()


def alembic_config(connection: Connection) -> "Config":
    """Configure Alembic to work on `connection`; there is no alembic.ini."""
    from alembic.config import Config

    # The default is what stdout was when alembic was imported, which may be closed by now.
    config = Config(stdout=sys.stdout)
    config.set_main_option("script_location", str(resource_folder("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def migration(database: Database) -> Iterator[Connection]:
    """Open a transaction in which tables may be recreated, by one process at a time.

    Raises:
        SchemaError: rows of SQLite would be left that refer to missing rows.
    """
    if database.is_sqlite:
        _make_private(Path(database.url.database or ""))
    with database.engine.connect() as connection:
        if database.is_sqlite:
            yield from _on_sqlite(connection)
            return
        with connection.begin():
            connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
            take_lock(connection, AdvisoryLock.UPGRADE_SCHEMA)
            yield connection


def _make_private(file: Path) -> None:
    """Create SQLite's file, if there is none, so that no other user can read the addresses in it."""
    # If this fails, opening the file fails too, and that error is explained in full.
    with suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))


def _on_sqlite(connection: Connection) -> Iterator[Connection]:
    driver = connection.connection.cursor()
    # A table that is recreated is dropped first, and with foreign keys that would delete, by ON DELETE
    # CASCADE, the rows that refer to it. The switch works only before BEGIN.
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        writer = connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with writer.begin():
            yield writer
            if broken := writer.execute(text("PRAGMA foreign_key_check")).all():
                count = pluralise(len(broken), "row that refers", "rows that refer")
                raise SchemaError(
                    f"the migration would leave {count} to a missing row, the first in {broken[0][0]}; "
                    "nothing was changed; report this as a bug"
                )
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _refuse_newer(version: str) -> None:
    if version > head():
        raise SchemaError(
            f"the database has schema {version} of a newer mailer, this one knows {head()}; "
            "install the newer one again, or restore the backup from before the upgrade "
            "with `mailer db restore`"
        )


def _install(connection: Connection, fingerprint: str, now: datetime) -> None:
    connection.execute(
        insert(Installation).values(id=1, identity_fingerprint=fingerprint, created_at=now)
    )


def check_not_moved(connection: Connection) -> None:
    """Check that nothing was moved from this database, whose schema is current.

    Raises:
        DatabaseMoved: everything was moved to another one, or a move was begun.
    """
    moved_at, moved_to = connection.execute(
        select(Installation.moved_at, Installation.moved_to)
    ).one()
    if moved_to is None:
        return
    if moved_at is None:
        raise DatabaseMoved(
            f"a move of this database to {moved_to} was begun and not finished, so nothing may use either; "
            "repeat `mailer db move --to` with that URL, or take it back with --cancel"
        )
    raise DatabaseMoved(
        f"everything in this database was moved to {moved_to} on {format_instant(moved_at)}; "
        "set `database_url` to that one. As long as it has sent nothing, `mailer db move --to` "
        "with its URL and --cancel takes the move back"
    )


def _check_fingerprint(connection: Connection, fingerprint: str) -> None:
    stored = connection.scalar(select(Installation.identity_fingerprint))
    if stored is None:
        raise SchemaError("the database has lost its installation row; restore a backup")
    if stored != fingerprint:
        raise SettingsError(
            "identity_key does not belong to this database; "
            "restore the key that `mailer init` wrote, or name the database that belongs to it"
        )
