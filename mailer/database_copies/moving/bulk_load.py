"""Prepares an empty PostgreSQL database for many rows at once, and finishes it afterwards.

Indexes and foreign keys are taken away before the rows come and made again after them, in the same
transaction, because looking after them row by row takes several times as long. Never reads rows.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Table, func, select, text

from mailer.db import Base

_FOREIGN_KEYS: Final = text(
    """SELECT k.conrelid::regclass::text, quote_ident(k.conname), pg_get_constraintdef(k.oid)
    FROM pg_constraint k
    WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace
    ORDER BY 1, 2"""
)
_SEQUENCE: Final = text("SELECT pg_get_serial_sequence(:table, 'id')")
_LAST_NUMBER: Final = text(
    "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:table, 'id') AS regclass))"
)
_ONE_ROW: Final = frozenset({"installation", "pace"})
"""Tables with one row, whose id is always 1."""


@contextmanager
def without_indexes(connection: Connection) -> Iterator[None]:
    """Take away foreign keys, and indexes that are no constraints, until the block ends without an error."""
    keys = connection.execute(_FOREIGN_KEYS).all()
    # Not by the server's own words for them: read again, a condition becomes another one that means the same.
    indexes = [index for table in Base.metadata.sorted_tables for index in table.indexes]
    for table, name, _ in keys:
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for index in indexes:
        index.drop(connection)
    yield
    connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '256MB'")
    connection.exec_driver_sql("SET LOCAL work_mem = '64MB'")
    for index in indexes:
        index.create(connection)
    for table, name, definition in keys:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    # The first plans are made before the server would count by itself.
    connection.exec_driver_sql("ANALYZE")


def numbered_tables() -> list[Table]:
    """Return the tables whose rows the database numbers."""
    return [
        table
        for table in Base.metadata.sorted_tables
        if [column.name for column in table.primary_key] == ["id"] and table.name not in _ONE_ROW
    ]


def last_numbers(connection: Connection) -> dict[str, int]:
    """Return the largest id that each table has ever had, as far as the database remembers it."""
    is_sqlite = connection.dialect.name == "sqlite"
    remembered = _by_sqlite(connection) if is_sqlite else last_of_sequences(connection)
    return {
        table.name: max(
            connection.scalar(select(func.max(table.c.id))) or 0, remembered.get(table.name, 0)
        )
        for table in numbered_tables()
    }


def continue_numbers(connection: Connection, last: Mapping[str, int]) -> None:
    """Let each table of PostgreSQL number its next row after these."""
    for table, number in last.items():
        sequence = connection.scalar(_SEQUENCE, {"table": table})
        connection.execute(select(func.setval(sequence, max(number, 1), number > 0)))


def _by_sqlite(connection: Connection) -> dict[str, int]:
    # SQLite makes this table with the first one that is AUTOINCREMENT.
    return dict(connection.execute(text("SELECT name, seq FROM sqlite_sequence")).all())


def last_of_sequences(connection: Connection) -> dict[str, int]:
    """Return the number after which PostgreSQL numbers the next row of each table."""
    # The function's answer is NULL before the first number.
    return {
        table.name: connection.scalar(_LAST_NUMBER, {"table": table.name}) or 0
        for table in numbered_tables()
    }
