"""Builds statements that SQLite and PostgreSQL write differently."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from sqlalchemy import Boolean, ColumnElement, bindparam, insert, literal, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from mailer.db.model_base import Base
from mailer.db.prepared_statements import Prepared

FROZEN_SECONDS: Final = 10
ABORT_IF_FROZEN: Final = f"idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'"


def abort_if_frozen(session: Session) -> None:
    """Let PostgreSQL roll this transaction back if its process is silent for ten seconds.

    A process that froze in it, for example with its machine, would block those that take over its rows. On
    SQLite nothing is done: there all processes run on one machine.
    """
    if session.get_bind().dialect.name != "sqlite":
        session.execute(text(f"SET LOCAL {ABORT_IF_FROZEN}"))


def dialect_insert(session: Session, model: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Begin an INSERT that may say what to do with rows that exist already (ON CONFLICT)."""
    return _insert(session.get_bind().dialect.name, model)


def _insert(dialect: str, model: type[Base]) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(model) if dialect == "sqlite" else postgresql.insert(model)


def insert_missing(
    session: Session, model: type[Base], rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert `rows`, except those that a unique constraint forbids because they exist already.

    Unlike a query before the insert, this is safe if others insert the same row at the same time.

    Args:
        rows: all with the same columns.
    """
    if rows:
        dialect = session.get_bind().dialect.name
        _insert_missing(dialect, model, tuple(rows[0])).execute_many(session, rows)


def insert_if(
    session: Session, model: type[Base], values: Mapping[str, object], *, wanted: bool
) -> int | None:
    """Insert one row if it is `wanted`; otherwise run the same statement, which then inserts nothing.

    For requests that must take the same time whatever is known about the address in them.

    Returns:
        The first column of the row's primary key, None if nothing was inserted.
    """
    parameters = {f"value_{name}": value for name, value in values.items()}
    statement = _insert_if(model, tuple(values))
    rows = statement.execute(session, {**parameters, "wanted": wanted})
    return rows[0][0] if rows else None


@cache
def _insert_missing(dialect: str, model: type[Base], names: tuple[str, ...]) -> Prepared:
    into = _insert(dialect, model).values(_row(model, names, ""))
    return Prepared(into.on_conflict_do_nothing())


@cache
def _insert_if(model: type[Base], names: tuple[str, ...]) -> Prepared:
    # A parameter of a SELECT may not be called like a column of the INSERT around it.
    row = _row(model, names, "value_")
    chosen = select(*row.values()).where(bindparam("wanted", type_=Boolean))
    row_id = next(iter(model.metadata.tables[model.__tablename__].primary_key))
    return Prepared(insert(model).from_select([*row], chosen).returning(row_id), row_id.type)


def _row(
    model: type[Base], names: tuple[str, ...], prefix: str
) -> dict[str, ColumnElement[object]]:
    """Return a parameter for each of these columns, and the default of each other one that has it."""
    columns = model.metadata.tables[model.__tablename__].c
    row: dict[str, ColumnElement[object]] = {
        name: bindparam(f"{prefix}{name}", type_=columns[name].type) for name in names
    }
    for column in columns:
        if isinstance(column.default, ScalarElementColumnDefault):
            row.setdefault(column.name, literal(column.default.arg, column.type))
    return row
