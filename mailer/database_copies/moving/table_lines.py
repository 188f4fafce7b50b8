"""Reads and writes tables as canonical lines, on both engines, a chunk at a time.

Never decides which tables. See `mailer.database_copies.moving.checksums` for the lines.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

from sqlalchemy import Boolean, Column, Connection, Float, String, Table

from mailer.db import UTCDateTime
from mailer.models import Installation

_CHUNK_BYTES: Final = 256 * 1024
_ESCAPES: Final = tuple(zip("\\\b\f\n\r\t\v", "\\bfnrtv", strict=True))
"""The characters that COPY writes as a backslash and a letter; the backslash must be the first."""
_MARKS: Final = {Installation.__tablename__: frozenset({"moved_at", "moved_to"})}
"""Columns that are about one database only, and not part of what is moved."""


def columns_of(table: Table) -> list[Column[Any]]:
    """Return the columns of a line: all but computed ones and the marks of a move."""
    left_out = _MARKS.get(table.name, frozenset())
    return [one for one in table.columns if one.computed is None and one.name not in left_out]


def read_lines(connection: Connection, table: Table) -> Iterator[bytes]:
    """Read the rows in the order of the primary key, as chunks of whole lines.

    The text may be no UTF-8: SQLite stores any bytes.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    return _chunks(_from_sqlite(connection, table) if is_sqlite else _copy_out(connection, table))


def write_lines(connection: Connection, table: Table, chunks: Iterable[bytes]) -> None:
    """Add the rows of these lines to a table of PostgreSQL."""
    names = ", ".join(_quoted(one.name) for one in columns_of(table))
    driver: Any = connection.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {_quoted(table.name)} ({names}) FROM STDIN") as copy,
    ):
        for chunk in chunks:
            copy.write(chunk)


def prepare_postgresql(connection: Connection) -> None:
    """Let this transaction read and write instants and texts as the lines have them."""
    connection.exec_driver_sql("SET LOCAL timezone = 'UTC'")
    connection.exec_driver_sql("SET LOCAL datestyle = 'ISO, YMD'")
    connection.exec_driver_sql("SET LOCAL client_encoding = 'UTF8'")
    connection.exec_driver_sql("SET LOCAL extra_float_digits = 1")


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    buffer, size = [], 0
    for line in lines:
        buffer.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield b"".join(buffer)
            buffer, size = [], 0
    if buffer:
        yield b"".join(buffer)


def _from_sqlite(connection: Connection, table: Table) -> Iterator[bytes]:
    columns = columns_of(table)
    line = " || char(9) || ".join(f"coalesce({_sqlite_text(one)}, '\\N')" for one in columns)
    order = ", ".join(_quoted(one.name) for one in table.primary_key)
    driver: Any = connection.connection.driver_connection
    driver.create_function("canonical_float", 1, _canonical_float, deterministic=True)
    text_factory, driver.text_factory = driver.text_factory, bytes
    try:
        cursor = driver.cursor()
        # Only names of our own tables and columns are in it.
        rows = f"SELECT {line} || char(10) FROM {_quoted(table.name)} ORDER BY {order}"  # noqa: S608
        cursor.execute(rows)
        yield from chain.from_iterable(cursor)
    finally:
        driver.text_factory = text_factory


def _sqlite_text(column: Column[Any]) -> str:
    name = _quoted(column.name)
    if isinstance(column.type, UTCDateTime):
        # SQLAlchemy always writes six digits of the second; SQL may have written none.
        return f"CASE length({name}) WHEN 19 THEN {name} || '.000000' ELSE {name} END"
    if isinstance(column.type, Float):
        return f"canonical_float({name})"
    if isinstance(column.type, String):
        text = name
        for character, letter in _ESCAPES:
            text = f"replace({text}, char({ord(character)}), '\\{letter}')"
        return text
    return f"CAST({name} AS TEXT)"


def _copy_out(connection: Connection, table: Table) -> Iterator[bytes]:
    columns = ", ".join(_postgresql_text(one) for one in columns_of(table))
    # As SQLite does, and not as the language of the database orders words.
    order = ", ".join(
        _quoted(one.name) + (' COLLATE "C"' if isinstance(one.type, String) else "")
        for one in table.primary_key
    )
    driver: Any = connection.connection.driver_connection
    # Only names of our own tables and columns are in it.
    rows = f"SELECT {columns} FROM {_quoted(table.name)} ORDER BY {order}"  # noqa: S608
    with driver.cursor() as cursor, cursor.copy(f"COPY ({rows}) TO STDOUT") as copy:
        yield from map(bytes, copy)


def _postgresql_text(column: Column[Any]) -> str:
    name = _quoted(column.name)
    if isinstance(column.type, UTCDateTime):
        return f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    if isinstance(column.type, Boolean):
        return f"{name}::int"
    return name


def _canonical_float(value: float | None) -> str | None:
    """Write a number as PostgreSQL does: as few digits as tell it from all others."""
    return None if value is None else repr(value).removesuffix(".0")


def _quoted(name: str) -> str:
    return f'"{name}"'
