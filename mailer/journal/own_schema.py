"""Keeps the journal's copy in a database of PostgreSQL: the table `entry` in the schema `mailer_journal`.

Backups leave that schema out, and a restore does not touch it. Never fails an act because the schema is
missing: a role that may not make one works without the copy.
"""

from collections.abc import Iterator
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Index,
    Insert,
    MetaData,
    Pool,
    String,
    Table,
    exists,
    func,
    insert,
    not_,
    select,
    text,
)
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateSchema

from mailer.journal.entries import RecordedEntry
from mailer.models import Installation, JournalEntry

SCHEMA: Final = "mailer_journal"

_OWN: Final = JournalEntry.__table__
_IDENTITY: Final = select(Installation.identity_fingerprint).scalar_subquery()
_NAMES: Final = ("id", "at", "kind", "key_hash", "newsletter", "reason", "detail")
_COPY: Final = Table(
    "entry",
    MetaData(),
    *(Column(name, _OWN.c[name].type, nullable=_OWN.c[name].nullable) for name in _NAMES),
    # Several databases, one after the other, may have the same server and schema.
    Column("identity", String, nullable=False),
    Index("ix_entry_identity_id", "identity", "id"),
    schema=SCHEMA,
)
_USABLE: Final = text(
    """SELECT has_schema_privilege(n.oid, 'USAGE')
        AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'mailer_journal' AND c.relname = 'entry'"""
)
_MAY_CREATE: Final = text("SELECT has_database_privilege(current_database(), 'CREATE')")

_found: Final[WeakKeyDictionary[Pool, bool]] = WeakKeyDictionary()
"""Whether the table was found, so that an act need not look for it again."""


def create(connection: Connection) -> bool:
    """Make the schema and its table, unless they exist. Return False if this role may not."""
    if _is_there(connection):
        return True
    if not connection.scalar(_MAY_CREATE):
        return False
    connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
    _COPY.create(connection, checkfirst=True)
    return True


def is_usable(connection: Connection) -> bool:
    """Tell whether the table exists and may be written."""
    pool = connection.engine.pool
    if not _found.get(pool):
        _found[pool] = _is_there(connection)
    return _found[pool]


def _is_there(connection: Connection) -> bool:
    return bool(connection.scalar(_USABLE))


def copying(which: ColumnElement[bool]) -> Insert:
    """Make the statement that copies these entries of the database."""
    rows = select(*(_OWN.c[name] for name in _NAMES), _IDENTITY).where(which).order_by(_OWN.c.id)
    return insert(_COPY).from_select([*_NAMES, "identity"], rows)


def inserting_twice(new: Insert) -> Insert:
    """Make of a statement that writes entries one that also writes them into the copy."""
    written = new.returning(*(_OWN.c[name] for name in _NAMES)).cte("written")
    rows = select(*(written.c[name] for name in _NAMES), _IDENTITY).order_by(written.c.id)
    return insert(_COPY).add_cte(written).from_select([*_NAMES, "identity"], rows)


def complete(session: Session) -> int:
    """Copy what is in the database only, such as what came from another one. Return how much that was."""
    if not create(session.connection()):
        return 0
    known = exists().where(_COPY.c.id == _OWN.c.id, _COPY.c.identity == _IDENTITY)
    result = session.execute(copying(not_(known)), execution_options={"preserve_rowcount": True})
    return cast(CursorResult[Any], result).rowcount


def read(session: Session, identity: str) -> Iterator[RecordedEntry]:
    """Read the copy, in the order of its entries; nothing if there is none."""
    if _is_there(session.connection()):
        rows = session.execute(
            select(_COPY).where(_COPY.c.identity == identity).order_by(_COPY.c.id),
            execution_options={"yield_per": 5000},
        )
        for row in rows:
            yield RecordedEntry.of(row)


def last_id(session: Session, identity: str) -> int | None:
    """Return the number of the last entry in the copy; None if there is no copy."""
    if not _is_there(session.connection()):
        return None
    last = session.scalar(select(func.max(_COPY.c.id)).where(_COPY.c.identity == identity))
    return last or 0
