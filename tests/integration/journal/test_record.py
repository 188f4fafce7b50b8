"""Recording in the journal: in the transaction of the act, one by one and by a statement."""

from sqlalchemy import literal, null, select
from sqlalchemy.orm import Session

from mailer.db import Database
from mailer.journal.record import COLUMNS, NewEntry, record, record_selected
from mailer.models import JournalEntry, JournalKind, Subscriber
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW


def entries(session: Session) -> list[tuple[JournalKind, str | None, str | None]]:
    rows = session.scalars(select(JournalEntry).order_by(JournalEntry.id))
    return [(row.kind, row.key_hash, row.newsletter) for row in rows]


def test_entries_are_written_in_their_order(database: Database) -> None:
    with database.write() as session:
        record(session, [])
        record(
            session,
            [
                NewEntry(JournalKind.LEFT, NOW, key_hash="b", newsletter="daily", reason="reader"),
                NewEntry(JournalKind.ERASED, NOW, key_hash="a"),
            ],
        )
    with database.read() as session:
        assert entries(session) == [
            (JournalKind.LEFT, "b", "daily"),
            (JournalKind.ERASED, "a", None),
        ]


def test_a_statement_writes_an_entry_for_each_of_its_rows(database: Database, keys: Keys) -> None:
    with database.write() as session:
        first = factories.subscriber(session, keys, "ann@example.com")
        second = factories.subscriber(session, keys, "bob@example.com")
        columns = JournalEntry.__table__.c
        values = {
            "at": literal(NOW, columns["at"].type),
            "kind": literal(JournalKind.SUPPRESSED, columns["kind"].type),
            "key_hash": Subscriber.key_hash,
            "newsletter": null(),
            "reason": literal("staff"),
            "detail": null(),
        }
        rows = select(*(values[name] for name in COLUMNS)).order_by(Subscriber.id)
        record_selected(session, rows)
    with database.read() as session:
        assert entries(session) == [
            (JournalKind.SUPPRESSED, first.key_hash, None),
            (JournalKind.SUPPRESSED, second.key_hash, None),
        ]


def test_what_is_rolled_back_is_not_recorded(database: Database) -> None:
    with database.engine.connect() as connection, Session(connection) as session:
        record(session, [NewEntry(JournalKind.ERASED, NOW, key_hash="a")])
        session.rollback()
    with database.read() as session:
        assert entries(session) == []
