"""Statements that are executed for every few mails, on the driver's own cursor.

SQLAlchemy takes longer to execute a small statement than the database does. Here one is compiled once
for each kind of database; values are converted by its own types. What a statement says, and the
transaction that it belongs to, are not decided here.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, BindParameter, ColumnElement, Dialect, Text, bindparam
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Boolean, TypeDecorator, TypeEngine

Values = Mapping[str, Any]
Row = tuple[Any, ...]


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
    """True where `column` is one of the ids that the parameter `name` holds."""

    inherit_cache = False
    type = Boolean()
    # Else SQLite, which has no booleans, is asked for `= 1`, and then reads the whole table.
    _is_implicitly_boolean = True

    def __init__(self, column: Any, name: str) -> None:
        self.column = column
        self.ids: BindParameter[Any] = bindparam(name, type_=Ids())

    @property
    def _from_objects(self) -> list[Any]:
        found: list[Any] = self.column._from_objects
        return found


@compiles(Among, "sqlite")
def _among_on_sqlite(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    ids = compiler.process(element.ids, **options)
    column = compiler.process(element.column, **options)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - both are compiled here


@compiles(Among, "postgresql")
def _among_on_postgresql(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    ids = compiler.process(element.ids, **options)
    return f"{compiler.process(element.column, **options)} = ANY ({ids})"


class _Compiled(NamedTuple):
    """A statement in one database's words: how the values that it is given are named and converted."""

    sql: str
    positional: bool
    given: tuple[tuple[str, str, Callable[[Any], Any] | None], ...]
    converters: tuple[Callable[[Any], Any] | None, ...]

    def values(self, given: Values) -> Any:
        if self.positional:
            return [
                given[name] if convert is None else convert(given[name])
                for _, name, convert in self.given
            ]
        return {
            place: given[name] if convert is None else convert(given[name])
            for place, name, convert in self.given
        }

    def rows(self, found: list[Row]) -> list[Row]:
        if not any(self.converters):
            return found
        return [
            tuple(
                value if convert is None else convert(value)
                for convert, value in zip(self.converters, row, strict=True)
            )
            for row in found
        ]


class Prepared:
    """One statement, compiled when a kind of database first needs it.

    Args:
        statement: its `bindparam`s are given a value at each execution, everything else is fixed.
        returns: the types of the columns that it returns.
    """

    def __init__(self, statement: Executable, *returns: Any) -> None:
        self._statement = statement
        self._returns = returns
        self._compiled: dict[str, _Compiled] = {}

    def execute(self, session: Session, values: Values) -> list[Row]:
        """Execute it in the session's transaction; what it returns.

        Raises:
            DBAPIError: as from SQLAlchemy.
        """
        connection = session.connection()
        compiled = self._for(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(compiled.sql, compiled.values(values))
            return compiled.rows(list(cursor.fetchall())) if self._returns else []
        except connection.dialect.loaded_dbapi.Error as error:
            raise _wrapped(error, connection.dialect) from error
        finally:
            cursor.close()

    def execute_many(self, session: Session, values: Sequence[Values]) -> None:
        """Execute it once for each of `values`; what it returns is not read."""
        connection = session.connection()
        compiled = self._for(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(compiled.sql, [compiled.values(each) for each in values])
        except connection.dialect.loaded_dbapi.Error as error:
            raise _wrapped(error, connection.dialect) from error
        finally:
            cursor.close()

    def _for(self, dialect: Dialect) -> _Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _compile(self._statement, self._returns, dialect)
        return found


def _writing_out(kind: type[SQLCompiler]) -> type[SQLCompiler]:
    """A compiler that writes into the text what is not given at each execution.

    SQLite compiles a statement anew each time when a given value is compared with a column that a
    partial index is about, and neither database sees by a given value that such an index fits.
    """

    class WritingOut(kind):  # type: ignore[valid-type,misc]
        def visit_bindparam(self, bindparam: BindParameter[Any], **options: Any) -> Any:
            if not bindparam.required:
                options["literal_binds"] = True
            return super().visit_bindparam(bindparam, **options)

    return WritingOut


def _compile(statement: Any, returns: Iterable[Any], dialect: Dialect) -> _Compiled:
    compiled: Any = _writing_out(dialect.statement_compiler)(dialect, statement)
    given = []
    for place in compiled.positiontup or compiled.binds:
        bind = compiled.binds[place]
        given.append((place, bind.key, bind.type.dialect_impl(dialect).bind_processor(dialect)))
    converters = (kind.dialect_impl(dialect).result_processor(dialect, None) for kind in returns)
    return _Compiled(str(compiled), compiled.positional, tuple(given), tuple(converters))


def _wrapped(error: Exception, dialect: Dialect) -> BaseException:
    return DBAPIError.instance(
        None,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        dialect=dialect,
    )
