"""Moves a database of a test, and compares all that two databases hold."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select, text

from mailer.database_copies.moving.move import MoveResult, move
from mailer.db import Base, Database
from mailer.tokens import Keys
from tests.support.factories import NOW

LEASE = timedelta(seconds=60)
_MARKS = {"moved_at", "moved_to"}
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
_CONSTRAINTS = """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"""


def url_of(database: Database) -> str:
    """The URL of a database, with its password."""
    return database.url.render_as_string(hide_password=False)


def move_to(old: Database, new: Database, keys: Keys) -> MoveResult:
    """Move everything; the new database may not have an open connection."""
    new.dispose()
    return move(
        old,
        url_of(new),
        fingerprint=keys.fingerprint(),
        lease=LEASE,
        now=NOW,
        show=lambda _what, _rows: None,
    )


def everything(database: Database) -> dict[str, list[Any]]:
    """All values of all tables, as Python sees them."""
    with database.read() as session:
        return {
            table.name: sorted(
                session.execute(select(*(c for c in table.c if c.name not in _MARKS))).all(),
                key=repr,
            )
            for table in Base.metadata.sorted_tables
        }


def structure(database: Database) -> list[Any]:
    """The indexes and constraints of a database of PostgreSQL."""
    with database.read() as session:
        return [session.execute(text(statement)).all() for statement in (_INDEXES, _CONSTRAINTS)]
