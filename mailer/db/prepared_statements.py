"""Executes statements that run all the time on the driver's own cursor.

SQLAlchemy takes longer to execute a small statement than the database does. Here a statement is compiled
once for each kind of database, and its values are converted by SQLAlchemy's types. It is for statements of
sending and of signing up, and `tests/unit/db/test_prepared_statements.py` compares it with SQLAlchemy
itself. Never begins or ends a transaction, and never decides what a statement says.

A function whose statements may also be sent without waiting for them is a generator of `Queries`: it yields
each `Query`, and gets its rows back, or the error.
"""

import json
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    Text,
    bindparam,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Boolean, TypeDecorator, TypeEngine

from mailer.db.model_base import UTCDateTime

Values = Mapping[str, Any]
Row = tuple[Any, ...]
Converter = Callable[[Any], Any] | None
T = TypeVar("T")


class Query(NamedTuple):
    """A statement to execute once with `values`; or, if they are a list, for each of them without rows."""

    statement: "Prepared"
    values: Values | list[Values]


Queries = Generator[Query, list[Row], T]
"""Queries that depend on the rows of those before them, and what comes of them all."""


class Ids(TypeDecorator[Collection[int]]):
    """Any number of ids as one value: an array on PostgreSQL, JSON on SQLite.

    A list with a placeholder for each id would be another statement for each length.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(BigInteger))

    def process_bind_param(self, value: Collection[int] | None, dialect: Dialect) -> Any:
        ids = list(value or ())
        return json.dumps(ids) if dialect.name == "sqlite" else ids


class Among(ColumnElement[bool]):
    """A condition: `column` is one of the ids that the parameter `name` holds."""

    inherit_cache = False
    type = Boolean()
    # Otherwise SQLite, which has no booleans, compares it with 1, and then reads the whole table.
    _is_implicitly_boolean = True

    def __init__(self, column: Any, name: str) -> None:
        self.column = column
        self.ids: BindParameter[Any] = bindparam(name, type_=Ids())

    @property
    def _from_objects(self) -> list[Any]:
        tables: list[Any] = self.column._from_objects
        return tables


@compiles(Among, "sqlite")
def _among_on_sqlite(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    ids = compiler.process(element.ids, **options)
    column = compiler.process(element.column, **options)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - both are compiled here


@compiles(Among, "postgresql")
def _among_on_postgresql(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    ids = compiler.process(element.ids, **options)
    return f"{compiler.process(element.column, **options)} = ANY ({ids})"


class AmongFirst(ColumnElement[bool]):
    """A condition: `column` is among those that `rows`, which is ordered and limited, selects.

    PostgreSQL finds them first. For an IN it may walk the whole table, with a limit that it does not know.
    """

    inherit_cache = False
    type = Boolean()
    _is_implicitly_boolean = True

    def __init__(self, column: Any, rows: Select[Any]) -> None:
        self.column = column
        self.rows = rows.correlate(None).scalar_subquery()

    @property
    def _from_objects(self) -> list[Any]:
        tables: list[Any] = self.column._from_objects
        return tables


@compiles(AmongFirst, "sqlite")
def _among_first_on_sqlite(element: AmongFirst, compiler: SQLCompiler, **options: Any) -> str:
    rows = compiler.process(element.rows, **options)
    return f"{compiler.process(element.column, **options)} IN {rows}"


@compiles(AmongFirst, "postgresql")
def _among_first_on_postgresql(element: AmongFirst, compiler: SQLCompiler, **options: Any) -> str:
    rows = compiler.process(element.rows, **options)
    return f"{compiler.process(element.column, **options)} = ANY (ARRAY {rows})"


class Compiled(NamedTuple):
    """A statement in one database's SQL, with the converters of its parameters and of its columns."""

    sql: str
    positional: bool
    parameters: tuple[tuple[str, str, Converter], ...]
    columns: tuple[Converter, ...]

    def values(self, values: Values) -> Any:
        if self.positional:
            return [
                values[name] if convert is None else convert(values[name])
                for _, name, convert in self.parameters
            ]
        return {
            place: values[name] if convert is None else convert(values[name])
            for place, name, convert in self.parameters
        }

    def rows(self, rows: list[Row]) -> list[Row]:
        if not any(self.columns):
            return rows
        return [
            tuple(
                value if convert is None else convert(value)
                for convert, value in zip(self.columns, row, strict=True)
            )
            for row in rows
        ]


class Prepared:
    """One statement, compiled when a kind of database first needs it.

    Args:
        statement: its `bindparam`s get a value at each execution, everything else is fixed.
        returns: the types of the columns that it returns.
    """

    def __init__(self, statement: Executable, *returns: Any) -> None:
        self._statement = statement
        self._returns = returns
        self._compiled: dict[tuple[str, str], Compiled] = {}

    def execute(self, session: Session, values: Values) -> list[Row]:
        """Execute it in the session's transaction, and return its rows. Errors are SQLAlchemy's."""
        return execute(_once(Query(self, values)), session)

    def execute_many(self, session: Session, values: Sequence[Values]) -> None:
        """Execute it once for each of `values`; what it returns is not read. Errors are SQLAlchemy's."""
        execute(_once(Query(self, list(values))), session)

    def _answer(
        self, connection: Connection, cursor: Any, values: Values | list[Values]
    ) -> list[Row]:
        compiled = self.compiled_for(connection.dialect)
        with _driver_errors_as_sqlalchemys(connection):
            if isinstance(values, list):
                cursor.executemany(compiled.sql, [compiled.values(each) for each in values])
                return []
            cursor.execute(compiled.sql, compiled.values(values))
            return compiled.rows(cursor.fetchall()) if self._returns else []

    def compiled_for(self, dialect: Dialect) -> Compiled:
        """Return it in the SQL of this kind of database."""
        kind = (dialect.name, dialect.paramstyle)
        compiled = self._compiled.get(kind)
        if compiled is None:
            compiled = self._compiled[kind] = _compile(self._statement, self._returns, dialect)
        return compiled


def _once(query: Query) -> Queries[list[Row]]:
    return (yield query)


def execute(queries: Queries[T], session: Session | Connection) -> T:
    """Execute `queries` one after the other, in the session's transaction.

    An error is raised where the query was yielded, as one of SQLAlchemy's.
    """
    connection = session.connection() if isinstance(session, Session) else session
    cursor: Any = connection.connection.cursor()
    try:
        query = next(queries)
        while True:
            try:
                rows = query.statement._answer(connection, cursor, query.values)
            except Exception as error:
                query = queries.throw(error)
            else:
                query = queries.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        cursor.close()


@contextmanager
def _driver_errors_as_sqlalchemys(connection: Connection) -> Iterator[None]:
    driver_error: type[Exception] = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except driver_error as error:
        raise DBAPIError.instance(
            None, None, error, driver_error, hide_parameters=True, dialect=connection.dialect
        ) from error


def _inlining(compiler: type[SQLCompiler]) -> type[SQLCompiler]:
    """Make a compiler that writes fixed values into the SQL text.

    SQLite compiles a statement anew each time when a parameter is compared with a column of a partial
    index's condition, and neither database sees that such an index fits a parameter.
    """

    class InliningCompiler(compiler):  # type: ignore[valid-type,misc]
        def visit_bindparam(self, bindparam: BindParameter[Any], **options: Any) -> Any:
            if not bindparam.required:
                options["literal_binds"] = True
            return super().visit_bindparam(bindparam, **options)

    return InliningCompiler


def _compile(statement: Any, returns: Iterable[Any], dialect: Dialect) -> Compiled:
    compiled: Any = _inlining(dialect.statement_compiler)(dialect, statement)
    parameters = []
    for place in compiled.positiontup or compiled.binds:
        bind = compiled.binds[place]
        convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
        if convert is not None and isinstance(bind.type, UTCDateTime):
            # All that is recorded together has the same date, and SQLite's driver wants it as text.
            convert = lru_cache(maxsize=8)(convert)
        parameters.append((place, bind.key, convert))
    columns = (kind.dialect_impl(dialect).result_processor(dialect, None) for kind in returns)
    return Compiled(str(compiled), compiled.positional, tuple(parameters), tuple(columns))
