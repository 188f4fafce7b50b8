"""Engines, and the kinds of session on them.

A read session never changes anything. A write session is one transaction, committed when its block
ends well. Which statements run in them is not decided here.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from copy import copy
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.orm import Session

from mailer.db.statements import LET_GO
from mailer.errors import SettingsError

BUSY_TIMEOUT_SECONDS = 30
CONNECTION_DEFAULTS: Final = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""What libpq is told of each connection, where `database_url` says nothing of it.

A server that vanished without a word is noticed after 30 seconds, and not only after hours. On a Unix socket
it changes nothing. All in seconds, but the last in milliseconds.
"""
LOCK_TIMEOUT: Final = "10s"
"""How long a request waits on PostgreSQL for a lock that somebody else holds."""
BEATING: Final = 2
"""Connections kept for heartbeats: a process has a sender and a builder at most."""
CANCEL_TIMEOUT_SECONDS = 1.0


class FifoLock:
    """A lock that is granted in the order in which it was asked for.

    SQLite lets waiting writers race, which makes an unlucky one wait for seconds; inside one process
    this lock makes the wait fair.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            turn = threading.Event()
            self._waiting.append(turn)
        turn.wait()

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._held = False


class Database:
    """One database, opened: hands out read and write sessions.

    Args:
        url: `sqlite:///file` or `postgresql://…`.
        pool_size: how many connections are kept on PostgreSQL.

    Raises:
        SettingsError: the URL is not one of the two kinds, or its driver is not installed.
    """

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        try:
            self.url = make_url(url)
            self.is_sqlite = self.url.get_backend_name() == "sqlite"
            if not self.is_sqlite and self.url.get_backend_name() != "postgresql":
                raise SettingsError("database_url must start with sqlite:/// or postgresql://")
            self.engine = self._open(pool_size)
        except (ArgumentError, NoSuchModuleError) as error:
            raise SettingsError(
                "database_url is no database URL; write sqlite:///mailer.db or postgresql://host/name"
            ) from error
        except ModuleNotFoundError as error:
            raise SettingsError(
                "database_url names PostgreSQL, whose driver is not installed; "
                "install the extra `postgresql`"
            ) from error
        self._writer = self.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._beats = self._writer if self.is_sqlite else self._open(BEATING)
        self._turn = FifoLock()

    def _open(self, pool_size: int) -> Engine:
        if not self.is_sqlite:
            engine = create_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                # What an error shows ends in a log, and values of readers have no place there.
                hide_parameters=True,
                connect_args={
                    name: value
                    for name, value in CONNECTION_DEFAULTS.items()
                    if name not in self.url.query
                },
            )
            event.listen(engine, "connect", _prepare_postgresql)
            event.listen(engine, "begin", _begin_postgresql)
            return engine
        engine = create_engine(
            self.url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that is rolled back at its end: it can show, never change.

        All its statements see the database at one moment, on both engines. What was loaded may be
        read after its end.
        """
        with Session(self.engine, expire_on_commit=False) as session:
            if not self.is_sqlite:
                session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is one write transaction: committed at its end, rolled back on an error."""
        with self._writing(self._writer) as session:
            yield session

    @contextmanager
    def beat(self) -> Iterator[Session]:
        """As `write`, for heartbeats only: on connections that nobody else can take.

        Otherwise a worker whose other threads wait for a lock would be held for dead.
        """
        with self._writing(self._beats) as session:
            yield session

    @contextmanager
    def _writing(self, engine: Engine) -> Iterator[Session]:
        turn = self._turn if self.is_sqlite else nullcontext()
        with turn, Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def for_requests(self) -> "Database":
        """The same database, for those who do not wait long for a lock that somebody else holds.

        On SQLite only the connection itself waits, see `BUSY_TIMEOUT_SECONDS`.
        """
        hasty = copy(self)
        hasty.engine = self.engine.execution_options(lock_timeout=LOCK_TIMEOUT)
        hasty._writer = self._writer.execution_options(lock_timeout=LOCK_TIMEOUT)
        return hasty

    @contextmanager
    def kept(self) -> Iterator["PinnedConnection"]:
        """Sessions that have one connection, on which temporary tables last from one to the next."""
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                # For joins of all readers. With the 4 MB that it has by itself, PostgreSQL writes them to
                # its disk piece by piece.
                connection.exec_driver_sql("SET work_mem = '64MB'")
                connection.commit()
            try:
                yield PinnedConnection(connection, self._turn if self.is_sqlite else nullcontext())
            finally:
                # Whoever would get it next is not to find what is left on it.
                connection.invalidate()

    def writer(self) -> "Writer":
        """For a thread that writes all the time: it keeps its connection."""
        return Writer(self._writer, self._turn if self.is_sqlite else nullcontext())

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._beats.dispose()


class PinnedConnection:
    """The two kinds of session on one connection, see `Database.kept`; one at a time.

    Args:
        turn: held while a session writes.
    """

    def __init__(self, connection: Connection, turn: AbstractContextManager[None]) -> None:
        self._connection = connection
        self._turn = turn
        self._driver: Any = connection.connection.driver_connection
        self._driver_error: type[Exception] = connection.dialect.loaded_dbapi.Error

    def interrupt(self) -> None:
        """Let the statement that runs now fail; from any thread. Without one, nothing happens."""
        # It may have been closed just now, or its server may be gone.
        with suppress(self._driver_error):
            if self._connection.dialect.name == "sqlite":
                self._driver.interrupt()
            else:
                self._driver.cancel_safe(timeout=CANCEL_TIMEOUT_SECONDS)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """As `Database.read`, but temporary tables may be written, and last."""
        is_sqlite = self._connection.dialect.name == "sqlite"
        connection = self._connection.execution_options(sqlite_begin="BEGIN")
        with Session(connection, expire_on_commit=False) as session, session.begin():
            if not is_sqlite:
                session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """As `Database.write`."""
        connection = self._connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with self._turn, Session(connection, expire_on_commit=False) as session, session.begin():
            yield session


class Writer:
    """Write transactions of one thread, one after the other, on connections that are kept.

    What is executed often is prepared on them, and they are not tried out each time. A connection on
    which something failed is closed, and the next transaction opens another one.

    Args:
        turn: held during each transaction.
    """

    def __init__(self, engine: Engine, turn: AbstractContextManager[None]) -> None:
        self._engine = engine
        self._turn = turn
        self._connection: Connection | None = None
        self._single: Connection | None = None

    @contextmanager
    def write(self) -> Iterator[Session]:
        """As `Database.write`."""
        with self._turn, self._guarded():
            if self._connection is None:
                self._connection = self._planning_once(self._engine)
            with Session(self._connection, expire_on_commit=False) as session, session.begin():
                yield session

    @contextmanager
    def statement(self) -> Iterator[Session]:
        """For one statement that is a transaction by itself: on PostgreSQL, one journey to the server."""
        with self._guarded():
            if self._single is None:
                at_once = self._engine.execution_options(isolation_level="AUTOCOMMIT")
                self._single = self._planning_once(at_once)
            with Session(self._single, expire_on_commit=False) as session:
                yield session

    def _planning_once(self, engine: Engine) -> Connection:
        """A connection on which PostgreSQL plans a statement once, whatever it is given each time.

        To plan one of ours takes it longer than to execute it.
        """
        connection = engine.connect()
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
            connection.exec_driver_sql(f"SET {LET_GO}")
            connection.commit()
        return connection

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections, if there are any."""
        for connection in (self._connection, self._single):
            if connection is not None:
                # It may be broken, and nobody else is to get one that plans in our way.
                connection.invalidate()
                connection.close()
        self._connection = self._single = None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: we say BEGIN or BEGIN IMMEDIATE below.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    # To compile one of our long statements takes longer than the compiled one saves.
    connection.execute("SET jit = off")
    connection.commit()


def _begin_postgresql(connection: Any) -> None:
    if (lock_timeout := connection.get_execution_options().get("lock_timeout")) is not None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{lock_timeout}'")


def _begin_sqlite(connection: Any) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    # A deferred transaction that reads and then writes fails at once when another wrote meanwhile,
    # without waiting: writers take the lock first.
    connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN"))
