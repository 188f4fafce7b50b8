"""Opens engines for SQLite and PostgreSQL, and sets up each of their connections.

Never runs a statement of the mailer's own: sessions are in `mailer.db.sessions`.
"""

from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from mailer.db.locks import AdvisoryLock
from mailer.errors import SettingsError

BUSY_TIMEOUT_SECONDS: Final = 30
CONNECTION_DEFAULTS: Final = {
    "fallback_application_name": "mailer",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Options of libpq for every connection, unless `database_url` sets them.

They notice within 30 seconds, not hours, that a server has vanished; on a Unix socket that changes nothing.
All but the name are in seconds, except the last, in milliseconds.
"""


def open_engine(url: str, pool_size: int) -> Engine:
    """Open an engine; its first session opens a connection.

    Args:
        url: `sqlite:///file` or `postgresql://…`.
        pool_size: how many connections are kept on PostgreSQL.

    Raises:
        SettingsError: the URL is not one of the two kinds, or its driver is not installed.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend not in {"sqlite", "postgresql"}:
            raise SettingsError("database_url must start with sqlite:/// or postgresql://")
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}
        if backend == "postgresql":
            chosen = parsed.query
            options = {
                "pool_size": pool_size,
                "max_overflow": pool_size,
                "pool_pre_ping": True,
                "connect_args": {k: v for k, v in CONNECTION_DEFAULTS.items() if k not in chosen},
            }
        # Error messages end in logs, where readers' data must not appear.
        engine = create_engine(parsed, hide_parameters=True, **options)
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingsError(
            "database_url is not a database URL; write sqlite:///mailer.db or postgresql://host/name"
        ) from error
    except ModuleNotFoundError as error:
        raise SettingsError(
            "database_url names PostgreSQL, but its driver is not installed; "
            "install the extra `postgresql`"
        ) from error
    is_sqlite = backend == "sqlite"
    event.listen(engine, "connect", _prepare_sqlite if is_sqlite else _prepare_postgresql)
    event.listen(engine, "begin", _begin_sqlite if is_sqlite else _begin_postgresql)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: `_begin_sqlite` does.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        # What is deleted is overwritten, so that an erased person is in no unused page.
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    # Compiling one of our long statements takes longer than the compiled one saves.
    cursor = connection.execute(
        "SELECT set_config('jit', 'off', false),"
        f" pg_try_advisory_xact_lock_shared({AdvisoryLock.EXCLUSIVE_USE.value})"
    )
    _, is_open_to_us = cursor.fetchone()
    connection.commit()
    if not is_open_to_us:
        # Its driver is not installed everywhere.
        from psycopg import OperationalError

        connection.close()
        raise OperationalError("another command is restoring or moving the database")


def _begin_postgresql(connection: Any) -> None:
    if (lock_timeout := connection.get_execution_options().get("lock_timeout")) is not None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{lock_timeout}'")


def _begin_sqlite(connection: Any) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    # A deferred transaction that reads first and then writes fails at once, without waiting, if another
    # process has written in between. Writers therefore take the lock first, by BEGIN IMMEDIATE.
    connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN"))
