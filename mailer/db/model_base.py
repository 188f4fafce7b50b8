"""Defines what all tables share: the base class of the models, its naming rules and its column types.

Never opens a database.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeDecorator


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC instant: `timestamptz` on PostgreSQL, a naive UTC text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("this datetime is naive; the database stores aware ones only")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Seconds(TypeDecorator[timedelta]):
    """A duration, stored in whole seconds so that both databases can calculate with it."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value.total_seconds())

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:
        return None if value is None else timedelta(seconds=value)


BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only if the key's type is exactly INTEGER."""

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
        # No CHECK and no native type, so that a new status needs no migration of a table.
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


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Define an index of the rows that fulfil the SQL condition `where`, on both databases."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def checked_on_sqlite(column: str, target: str) -> ForeignKeyConstraint:
    """Define a foreign key that only SQLite has, for a column that is filled for each reader.

    PostgreSQL calls a trigger for each row and key, which takes longer than writing the row. A build writes
    only ids that it has read in the same transaction, a claim only its own worker's, and nothing deletes the
    rows they refer to.
    `mailer.schema.dangling_references` looks for broken references all the same.
    """
    key = ForeignKeyConstraint([column], [target], info={SQLITE_ONLY: True})
    return key.ddl_if(dialect="sqlite")
