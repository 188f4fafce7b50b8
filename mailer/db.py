"""The database: base class of the models, engines, and the two kinds of session.

A read session never changes anything. A write session is one transaction, committed when its block
ends well. Which statements run in them is not decided here.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Enum,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Text,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from mailer.errors import DatabaseUnavailable, MailerError, SchemaError, SettingsError

BUSY_TIMEOUT_SECONDS = 30
CONNECT_TIMEOUT_SECONDS = 10
FROZEN_SECONDS = 10


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC instant: `timestamptz` on PostgreSQL, a naive UTC text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime was given where an aware one is needed")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Seconds(TypeDecorator[timedelta]):
    """A duration, kept as whole seconds so that both databases can reckon with it."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value.total_seconds())

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:
        return None if value is None else timedelta(seconds=value)


BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the key's type is exactly INTEGER."""

PrimaryKey = Annotated[int, mapped_column(BigId, primary_key=True)]
LongText = Annotated[str, mapped_column(Text)]


class Base(DeclarativeBase):
    """Base of all models: names every constraint and index, so that migrations can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigId,
        datetime: UTCDateTime(),
        timedelta: Seconds(),
        str: String(),
        # No CHECK and no native type: a new status needs no table rewritten.
        StrEnum: Enum(
            StrEnum,
            native_enum=False,
            create_constraint=False,
            length=32,
            values_callable=lambda kind: [member.value for member in kind],
        ),
    }


SQLITE_ONLY = "sqlite_only"
"""In the `info` of a foreign key that PostgreSQL does not have, see `checked_on_sqlite`."""


def checked_on_sqlite(column: str, target: str) -> ForeignKeyConstraint:
    """A foreign key of a column that a build fills for each reader; only SQLite has it.

    PostgreSQL calls a trigger for each row and key, which takes longer than to write the row. What a build
    writes there it has read in the same transaction, and nothing deletes what is referred to;
    `mailer.operations.schema.loose_ends` looks for what refers to nothing all the same.
    """
    key = ForeignKeyConstraint([column], [target], info={SQLITE_ONLY: True})
    return key.ddl_if(dialect="sqlite")


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
                connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS},
            )
            event.listen(engine, "connect", _prepare_postgresql)
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
        if not self.is_sqlite:
            with Session(self._writer, expire_on_commit=False) as session, session.begin():
                yield session
            return
        with (
            self._turn,
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def kept(self) -> Iterator["Kept"]:
        """Sessions that have one connection, on which temporary tables last from one to the next."""
        with self.engine.connect() as connection:
            try:
                yield Kept(connection, self._turn if self.is_sqlite else nullcontext())
            finally:
                # Whoever would get it next is not to find what is left on it.
                connection.invalidate()

    def writer(self) -> "Writer":
        """For a thread that writes all the time: it keeps its connection."""
        return Writer(self._writer, self._turn if self.is_sqlite else nullcontext())

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


class Kept:
    """The two kinds of session on one connection, see `Database.kept`; one at a time.

    Args:
        turn: held while a session writes.
    """

    def __init__(self, connection: Connection, turn: AbstractContextManager[None]) -> None:
        self._connection = connection
        self._turn = turn

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
            connection.exec_driver_sql(f"SET {_LET_GO}")
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


_LET_GO = f"idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'"


def let_go_when_frozen(session: Session) -> None:
    """Have PostgreSQL undo this transaction when its process says nothing more for ten seconds.

    One that was frozen in it, as with its machine, would hold up whoever takes over its rows. SQLite has
    nothing of the kind: there all processes are on one machine.
    """
    if session.get_bind().dialect.name != "sqlite":
        session.execute(text(f"SET LOCAL {_LET_GO}"))


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


def _begin_sqlite(connection: Any) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    # A deferred transaction that reads and then writes fails at once when another wrote meanwhile,
    # without waiting: writers take the lock first.
    connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN"))


def insert_missing(
    session: Session, model: type[Base], rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert `rows`; one that a unique constraint forbids is there already and is left as it is.

    Unlike asking first and inserting then, this holds against others who insert the same row now.
    """
    if not rows:
        return
    if session.get_bind().dialect.name == "sqlite":
        session.execute(sqlite.insert(model).on_conflict_do_nothing(), rows)
    else:
        session.execute(postgresql.insert(model).on_conflict_do_nothing(), rows)


def take_turns(session: Session, lock: int) -> None:
    """Wait until no other transaction holds `lock`, and hold it until this one ends.

    On SQLite writers follow one another anyway.
    """
    if session.get_bind().dialect.name != "sqlite":
        session.execute(select(func.pg_advisory_xact_lock(lock)))


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
