"""Builds statements that SQLite and PostgreSQL write differently."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from sqlalchemy import Boolean, bindparam, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from mailer.db.model_base import Base

FROZEN_SECONDS: Final = 10
ABORT_IF_FROZEN: Final = f"idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'"


def abort_if_frozen(session: Session) -> None:
    """Let PostgreSQL roll this transaction back if its process is silent for ten seconds.

    A process that froze in it, for example with its machine, would block those that take over its rows. On
    SQLite nothing is done: there all processes run on one machine.
    """
    if session.get_bind().dialect.name != "sqlite":
        session.execute(text(f"SET LOCAL {ABORT_IF_FROZEN}"))


def insert_missing(
    session: Session, model: type[Base], rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert `rows`, except those that a unique constraint forbids because they exist already.

    Unlike a query before the insert, this is safe if others insert the same row at the same time.
    """
    if rows:
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        session.execute(dialect.insert(model).on_conflict_do_nothing(), rows)


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
    row_id: int | None = session.scalar(statement, {**parameters, "wanted": wanted})
    return row_id


@cache
def _insert_if(model: type[Base], names: tuple[str, ...]) -> ReturningInsert[int]:
    """Build the statement of `insert_if`, which takes longer than executing it."""
    table = model.metadata.tables[model.__tablename__]
    row = select(*(bindparam(f"value_{name}", type_=table.c[name].type) for name in names))
    return (
        insert(table)
        .from_select(names, row.where(bindparam("wanted", type_=Boolean)))
        .returning(next(iter(table.primary_key)))
    )
