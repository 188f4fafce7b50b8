"""Puts journal entries into a restored database, and sorts out which of them count: for each person the last.

Never acts on them: that is done in `mailer.database_copies.replay`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Index,
    MetaData,
    Select,
    String,
    Table,
    and_,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Session

from mailer.db import BigId, UTCDateTime
from mailer.journal.entries import RecordedEntry
from mailer.models import JournalEntry, JournalKind, SuppressionReason

_CHUNK: Final = 1000
_K = JournalKind

STANDING: Final = Table(
    "replayed",
    MetaData(),
    Column("id", BigId, primary_key=True),
    Column("at", UTCDateTime(), nullable=False),
    Column("kind", String, nullable=False),
    Column("key_hash", String),
    Column("newsletter", String),
    Column("reason", String),
    Column("is_last", Boolean, nullable=False),
    Index("ix_replayed_key_hash", "key_hash"),
    prefixes=["TEMPORARY"],
)
"""The entries about people that no later one makes void. `is_last` marks the last about a subscription, and
the last suppression, of a person and a newsletter."""


def add_entries(session: Session, entries: Iterable[RecordedEntry], *, now: datetime) -> int:
    """Write the entries that this database does not have, and return how many these are.

    They keep their numbers. Where the database has given one to something else since it was restored, the
    entry gets another.
    """
    added = 0
    rest = iter(entries)
    while chunk := list(islice(rest, _CHUNK)):
        rows = [{**vars(entry), "replayed_at": now} for entry in _unknown(session, chunk)]
        taken = _taken(session, rows)
        for row in rows:
            if row["id"] in taken:
                del row["id"]
        for some in (
            [row for row in rows if "id" in row],
            [row for row in rows if "id" not in row],
        ):
            if some:
                session.execute(insert(JournalEntry), some)
        added += len(rows)
        if session.get_bind().dialect.name != "sqlite":
            _go_on_behind_the_last(session)
    return added


def _unknown(session: Session, entries: Sequence[RecordedEntry]) -> Iterator[RecordedEntry]:
    ids = [entry.id for entry in entries]
    rows = list(session.scalars(select(JournalEntry).where(JournalEntry.id.in_(ids))))
    taken = {row.id for row in rows}
    known = {_content(RecordedEntry.of(row)) for row in rows}
    # Few, if any: those whose numbers something else has, and which have got others.
    renumbered = [
        entry.at for entry in entries if entry.id in taken and _content(entry) not in known
    ]
    if renumbered:
        others = session.scalars(select(JournalEntry).where(JournalEntry.at.in_(renumbered)))
        known |= {_content(RecordedEntry.of(row)) for row in others}
    return (entry for entry in entries if _content(entry) not in known)


def _content(entry: RecordedEntry) -> tuple[object, ...]:
    """Return what an entry says, without its number."""
    return (
        entry.kind,
        entry.at,
        entry.key_hash,
        entry.newsletter,
        entry.reason,
        entry.detail,
    )


def _taken(session: Session, rows: Sequence[Mapping[str, object]]) -> set[int]:
    ids = [row["id"] for row in rows]
    return set(session.scalars(select(JournalEntry.id).where(JournalEntry.id.in_(ids))))


def _go_on_behind_the_last(session: Session) -> None:
    """Let PostgreSQL number the next entry behind the last one, as SQLite does by itself."""
    session.execute(
        text(
            "SELECT setval(pg_get_serial_sequence('journal_entry', 'id'),"
            " (SELECT max(id) FROM journal_entry))"
        )
    )


def sort_out(session: Session, *, now: datetime) -> None:
    """Fill `STANDING` from the entries that were replayed at `now`. The caller drops it.

    What was done before a person was erased is void, and so is a suppression that was lifted later.
    """
    STANDING.create(session.connection(), checkfirst=False)
    names = [column.name for column in STANDING.columns]
    rows = standing(JournalEntry.replayed_at == now)
    session.execute(insert(STANDING).from_select(names, rows))


def standing(which: ColumnElement[bool]) -> Select[Any]:
    """Select those of the replayed entries about people that no later one makes void."""
    j = JournalEntry
    family = case(
        (j.kind.in_([_K.LEFT, _K.RETURNED]), 1),
        (j.kind == _K.SUPPRESSED, 2),
        (j.kind == _K.MOVED, 4),
        else_=3,
    )
    everything = j.reason.is_(None)
    numbered = (
        select(
            j.id,
            j.at,
            j.kind,
            j.key_hash,
            j.newsletter,
            j.reason,
            func.row_number()
            .over(partition_by=[j.key_hash, j.newsletter, family], order_by=j.id.desc())
            .label("from_last"),
            _last_id(j.kind == _K.ERASED, j.key_hash).label("erased_id"),
            _last_id(and_(j.kind == _K.LIFTED, everything), j.key_hash).label("lifted_id"),
            _last_id(j.kind == _K.LIFTED, j.key_hash, j.reason).label("lifted_reason_id"),
        )
        .where(which, j.key_hash.is_not(None))
        .subquery()
    )
    n = numbered.c
    is_lifted = and_(
        n.kind == _K.SUPPRESSED,
        or_(
            n.lifted_reason_id > n.id,
            and_(n.lifted_id > n.id, n.reason != SuppressionReason.ERASED.value),
        ),
    )
    return select(
        n.id, n.at, n.kind, n.key_hash, n.newsletter, n.reason, (n.from_last == 1).label("is_last")
    ).where(n.id >= n.erased_id, ~is_lifted)


def _last_id(which: ColumnElement[bool], *same: Any) -> ColumnElement[int]:
    """Return the number of the last such entry that is the same in these columns; 0 if there is none."""
    number = case((which, JournalEntry.id), else_=literal_column("0"))
    return func.max(number).over(partition_by=list(same))
