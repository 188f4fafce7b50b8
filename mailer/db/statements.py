"""Statements for which the two databases have words of their own."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from sqlalchemy import Boolean, bindparam, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from mailer.db.base import Base

FROZEN_SECONDS: Final = 10
LET_GO: Final = f"idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'"


def let_go_when_frozen(session: Session) -> None:
    """Have PostgreSQL undo this transaction when its process says nothing more for ten seconds.

    One that was frozen in it, as with its machine, would hold up whoever takes over its rows. SQLite has
    nothing of the kind: there all processes are on one machine.
    """
    if session.get_bind().dialect.name != "sqlite":
        session.execute(text(f"SET LOCAL {LET_GO}"))


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


def insert_if(
    session: Session, model: type[Base], values: Mapping[str, object], *, wanted: bool
) -> int | None:
    """Insert one row if it is `wanted`; else run the same statement, which then inserts nothing.

    For requests that must cost the same whatever is known of whom they name.

    Returns:
        The first column of the row's primary key, None where nothing was inserted.
    """
    given = {f"given_{name}": value for name, value in values.items()}
    statement = _insert_if(model, tuple(values))
    found: int | None = session.scalar(statement, {**given, "wanted": wanted})
    return found


@cache
def _insert_if(model: type[Base], names: tuple[str, ...]) -> ReturningInsert[int]:
    """The statement of `insert_if`, which takes longer to put together than to run."""
    table = model.metadata.tables[model.__tablename__]
    row = select(*(bindparam(f"given_{name}", type_=table.c[name].type) for name in names))
    return (
        insert(table)
        .from_select(names, row.where(bindparam("wanted", type_=Boolean)))
        .returning(next(iter(table.primary_key)))
    )
