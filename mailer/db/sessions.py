"""Opens sessions on one database: to read, to write, for heartbeats, and on a connection of one's own.

A read session never changes anything. A write session is one transaction, committed when its block ends
without an error. Never decides which statements run in them.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from mailer.db.dialect import ABORT_IF_FROZEN
from mailer.db.engine import open_engine
from mailer.db.prepared_statements import Prepared, Queries, Query, T, execute

if TYPE_CHECKING:
    from mailer.db.nonblocking import NonblockingConnection

LOCK_TIMEOUT: Final = "10s"
"""How long a web request waits on PostgreSQL for a lock that another transaction holds."""
HEARTBEAT_CONNECTIONS: Final = 2
"""A process has at most one sender and one builder."""
CANCEL_TIMEOUT_SECONDS: Final = 1.0

WriteLock = AbstractContextManager[None]
"""What a write session holds: a lock on SQLite, nothing on PostgreSQL."""


class FifoLock:
    """A lock that is granted in the order in which it was asked for.

    SQLite lets waiting writers race, so that an unlucky one waits for seconds. Inside one process this lock
    makes the wait fair.
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
            granted = threading.Event()
            self._waiting.append(granted)
        granted.wait()

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
        self.engine = open_engine(url, pool_size)
        self.url = self.engine.url
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writing = self.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._heartbeats = (
            self._writing if self.is_sqlite else open_engine(url, HEARTBEAT_CONNECTIONS)
        )
        self._write_lock: WriteLock = FifoLock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that is rolled back at its end: it can show, never change.

        All its statements see the database at one moment, on both engines. What was loaded may be
        read after its end.
        """
        with Session(self.engine, expire_on_commit=False) as session:
            if not self.is_sqlite:
                session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            yield session

    def write(self) -> AbstractContextManager[Session]:
        """Open a session that is one transaction: committed at its end, rolled back on an error."""
        return _transaction(self._writing, self._write_lock)

    def heartbeat(self) -> AbstractContextManager[Session]:
        """Open a session as `write` does, on a connection that is kept for heartbeats.

        Otherwise a worker whose other threads wait for a lock would be considered dead.
        """
        return _transaction(self._heartbeats, self._write_lock)

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """Open a connection of SQLite without a transaction; no thread of this process writes meanwhile."""
        autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        with self._write_lock, autocommit.connect() as connection:
            yield connection

    def for_requests(self) -> "Database":
        """Return the same database with a short wait for locks that other transactions hold.

        On SQLite only the connection itself waits, see `BUSY_TIMEOUT_SECONDS`.
        """
        impatient = copy(self)
        impatient.engine = self.engine.execution_options(lock_timeout=LOCK_TIMEOUT)
        impatient._writing = self._writing.execution_options(lock_timeout=LOCK_TIMEOUT)
        return impatient

    @contextmanager
    def pinned(self) -> Iterator["PinnedConnection"]:
        """Keep one connection for several sessions, so that temporary tables last between them."""
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                # For joins of all readers: with its default of 4 MB PostgreSQL writes them to disk.
                connection.exec_driver_sql("SET work_mem = '64MB'")
                connection.commit()
            try:
                yield PinnedConnection(connection, self._write_lock)
            finally:
                # Nobody else may find what is left on it.
                connection.invalidate()

    def writer(self) -> "Writer":
        """Return a writer for a thread that writes all the time: it keeps its connections."""
        return Writer(self._writing, self._write_lock)

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._heartbeats.dispose()


class PinnedConnection:
    """Read and write sessions on one connection, one at a time, see `Database.pinned`.

    Args:
        write_lock: held while a session writes.
    """

    def __init__(self, connection: Connection, write_lock: WriteLock) -> None:
        self._connection = connection
        self._write_lock = write_lock
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._driver: Any = connection.connection.driver_connection
        self._driver_error: type[Exception] = connection.dialect.loaded_dbapi.Error

    def interrupt(self) -> None:
        """Make the statement that is running fail, from any thread. If none is, nothing happens."""
        # The connection may have been closed just now, or its server may be gone.
        with suppress(self._driver_error):
            if self._is_sqlite:
                self._driver.interrupt()
            else:
                self._driver.cancel_safe(timeout=CANCEL_TIMEOUT_SECONDS)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session as `Database.read` does, in which temporary tables may be written, and last."""
        connection = self._connection.execution_options(sqlite_begin="BEGIN")
        with _transaction(connection, nullcontext()) as session:
            if not self._is_sqlite:
                session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            yield session

    def write(self) -> AbstractContextManager[Session]:
        """Open a session as `Database.write` does."""
        connection = self._connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        return _transaction(connection, self._write_lock)


class Writer:
    """The connections on which one thread writes. They are kept from one transaction to the next.

    Statements that are executed often stay prepared on them, and they are not tested before each use. A
    connection on which something failed is closed, and the next transaction opens another one.

    Args:
        write_lock: held during each transaction.
    """

    def __init__(self, engine: Engine, write_lock: WriteLock) -> None:
        self._engine = engine
        self._write_lock = write_lock
        self._connection: Connection | None = None
        self._nonblocking: dict[bool, NonblockingConnection] = {}

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session as `Database.write` does."""
        with self._write_lock, self._closing_on_error():
            if self._connection is None:
                self._connection = self._connect(self._engine)
            with _transaction(self._connection, nullcontext()) as session:
                yield session

    def execute(self, queries: Queries[T]) -> T:
        """Execute `queries` as one transaction of SQLite, in a tenth of the time that a session takes."""
        with self._write_lock, self._closing_on_error():
            if self._connection is None:
                self._connection = self._connect(self._engine)
            return execute(_in_one_transaction(queries), self._connection)

    def nonblocking(self, *, durable: bool = True) -> "NonblockingConnection":
        """Return a connection to PostgreSQL on which nothing waits for the server. `close` closes it too.

        Args:
            durable: otherwise it is another connection, whose answers do not wait for the disk: if the server
                crashes, what was answered last may never have happened.
        """
        # Its driver is not installed everywhere.
        from mailer.db.nonblocking import NonblockingConnection

        if durable not in self._nonblocking:
            with self._closing_on_error():
                engine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
                connection = self._connect(engine)
                connection.exec_driver_sql("SET client_encoding = 'UTF8'")
                if not durable:
                    connection.exec_driver_sql("SET synchronous_commit = off")
                self._nonblocking[durable] = NonblockingConnection(connection)
        return self._nonblocking[durable]

    def _connect(self, engine: Engine) -> Connection:
        """Open a connection on which PostgreSQL plans each statement once, whatever its values are.

        Planning one of ours takes it longer than executing it.
        """
        connection = engine.connect()
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
            connection.exec_driver_sql(f"SET {ABORT_IF_FROZEN}")
            connection.commit()
        return connection

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections, if there are any."""
        for nonblocking in self._nonblocking.values():
            nonblocking.close()
        self._nonblocking.clear()
        if self._connection is not None:
            # It may be broken, and it must not be reused with our settings for plans.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


@contextmanager
def _transaction(bind: Engine | Connection, lock: WriteLock) -> Iterator[Session]:
    with lock, Session(bind, expire_on_commit=False) as session, session.begin():
        yield session


_BEGIN, _COMMIT = Prepared(text("BEGIN IMMEDIATE")), Prepared(text("COMMIT"))


def _in_one_transaction(queries: Queries[T]) -> Queries[T]:
    yield Query(_BEGIN, {})
    result = yield from queries
    yield Query(_COMMIT, {})
    return result
