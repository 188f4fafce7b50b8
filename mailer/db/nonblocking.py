"""Sends prepared statements to PostgreSQL, and reads the answers when they have come.

In between, the caller's selector waits for the socket. Each statement is a transaction of its own. Never
waits for an answer; only closing waits a moment, until what is under way is cancelled. Never used with
SQLite, whose answers are there at once.
"""

from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn, PGresult
from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from mailer.db.prepared_statements import Compiled, Converter, Prepared, Queries, Query, Row, T

CANCEL_TIMEOUT_SECONDS: Final = 1.0

_NUMBERED: Final[Dialect] = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
"""libpq knows parameters only as $1, $2 and so on."""

_Load = Callable[[Any], Any]
_Waiting = Generator[None, None, T]
"""Stops wherever it must wait for the server."""


class _OnServer(NamedTuple):
    """A statement that the server has prepared for this connection, and how its columns are read."""

    name: bytes
    compiled: Compiled
    loads: list[_Load]


class NonblockingConnection:
    """Executes one `Queries` at a time by the functions of libpq.

    Args:
        connection: one in autocommit mode that nobody else uses.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        self._libpq: PGconn = self._driver.pgconn
        self._on_server: dict[Prepared, _OnServer] = {}
        self._under_way: _Waiting[Any] | None = None
        self._fileno = self._libpq.socket

    def fileno(self) -> int | None:
        """Return the socket whose answer to wait for; None if nothing is under way."""
        return None if self._under_way is None else self._fileno

    def begin(self, queries: Queries[T]) -> T | None:
        """Send the first of `queries`. Return what comes of them all if that is known at once.

        Raises:
            SQLAlchemyError: as `poll` does.
        """
        self._under_way = self._drive(queries)
        result: T | None = self.poll()
        return result

    def poll(self) -> Any:
        """Read what has come, and send what is next, or the rest of what the socket could not take at once.

        Returns:
            What comes of all queries, when it is known: until then None.

        Raises:
            SQLAlchemyError: a query failed, or the connection is lost: nothing is under way any more.
        """
        under_way, self._under_way = self._under_way, None
        if under_way is None:
            return None
        try:
            next(under_way)
        except StopIteration as end:
            return end.value
        self._under_way = under_way
        return None

    def close(self) -> None:
        """Close the connection. Whether what is under way takes effect is not known."""
        if self._under_way is not None:
            self._under_way = None
            # It may wait for a lock, and hold others for which our own next statement would wait.
            with suppress(psycopg.Error):
                self._driver.cancel_safe(timeout=CANCEL_TIMEOUT_SECONDS)
        self._connection.invalidate()
        self._connection.close()

    def _drive(self, queries: Queries[T]) -> _Waiting[T]:
        try:
            query = next(queries)
            while True:
                try:
                    rows = yield from self._answer(query)
                except Exception as error:
                    query = queries.throw(error)
                else:
                    query = queries.send(rows)
        except StopIteration as end:
            result: T = end.value
            return result

    def _answer(self, query: Query) -> _Waiting[list[Row]]:
        if isinstance(query.values, list):
            raise TypeError("many executions of a statement cannot be sent at once")
        try:
            statement = self._on_server.get(query.statement)
            if statement is None:
                statement = yield from self._prepare(query.statement)
            values = [_written(value) for value in statement.compiled.values(query.values)]
            self._libpq.send_query_prepared(statement.name, values, result_format=pq.Format.BINARY)
            result = yield from self._result()
            return self._rows(result, statement)
        except psycopg.Error as error:
            raise DBAPIError.instance(
                None,
                None,
                error,
                psycopg.Error,
                hide_parameters=True,
                connection_invalidated=self._libpq.status != pq.ConnStatus.OK,
                dialect=self._connection.dialect,
            ) from error

    def _prepare(self, statement: Prepared) -> _Waiting[_OnServer]:
        name = b"mailer_%d" % len(self._on_server)
        compiled = statement.compiled_for(_NUMBERED)
        self._libpq.send_prepare(name, compiled.sql.encode())
        yield from self._result()
        self._on_server[statement] = _OnServer(name, compiled, [])
        return self._on_server[statement]

    def _result(self) -> _Waiting[PGresult]:
        libpq = self._libpq
        while libpq.flush():
            yield
            libpq.consume_input()
        found: PGresult | None = None
        while True:
            while libpq.is_busy():
                yield
                libpq.consume_input()
            result = libpq.get_result()
            if result is None:
                break
            # The first one says why: after it libpq may add that the connection is lost.
            found = found or result
        if found is None or found.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise _error(found or libpq)
        return found

    def _rows(self, result: PGresult, statement: _OnServer) -> list[Row]:
        converters, loads = statement.compiled.columns, statement.loads
        if not loads:
            loads += [
                self._load(result.ftype(number), convert)
                for number, convert in enumerate(converters)
            ]
        get = result.get_value
        columns = list(enumerate(loads))
        return (
            [
                tuple(
                    None if (value := get(row, number)) is None else load(value)
                    for number, load in columns
                )
                for row in range(result.ntuples)
            ]
            if loads
            else []
        )

    def _load(self, oid: int, convert: Converter) -> _Load:
        loader = self._driver.adapters.get_loader(oid, pq.Format.BINARY)
        if loader is None:
            raise TypeError(f"psycopg cannot read PostgreSQL's type {oid}")
        load = loader(oid, self._driver).load
        return load if convert is None else lambda value: convert(load(value))


def _written(value: object) -> bytes | None:
    """Write a parameter in PostgreSQL's text format.

    Raises:
        DataError: no text on PostgreSQL may hold what this one does.
        TypeError: values of this type are not known here.
    """
    if value is None:
        return None
    text = f"{{{','.join(map(_element, value))}}}" if isinstance(value, list) else _text(value)
    if "\0" in text:
        # libpq would end the value there.
        raise psycopg.DataError("PostgreSQL text cannot contain NUL")
    return text.encode()


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if type(value) is int:
        return str(value)
    escaped = _text(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(value: object) -> str:
    if not isinstance(value, str | int | datetime):
        raise TypeError(f"a {type(value).__name__} cannot be sent to PostgreSQL")
    return str(value)


def _error(source: PGresult | PGconn) -> psycopg.Error:
    state = None
    if isinstance(source, pq.PGresult):
        state = source.error_field(pq.DiagnosticField.SQLSTATE)
    message = source.get_error_message() or "the server sent no answer"
    if state is None:
        return psycopg.OperationalError(message)
    try:
        error = psycopg.errors.lookup(state.decode())(message)
    except KeyError:
        error = psycopg.DatabaseError(message)
        error.sqlstate = state.decode()
    return error
