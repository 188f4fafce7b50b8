"""A replay: what happened after the backup is so again, and nothing else has changed."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from mailer.database_copies.catch_up import catch_up
from mailer.database_copies.replay import ReplayCounts, replay
from mailer.db import Database
from mailer.errors import MailerError
from mailer.journal import copies
from mailer.journal.entries import RecordedEntry
from mailer.ledger import fence
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    Installation,
    JournalEntry,
    JournalKind,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW

K = JournalKind
LATER = NOW + timedelta(days=30)


class Backup:
    """A database as it was at the backup: one newsletter, its readers ann and bob, and carl who had left."""

    def __init__(self, session: Session, keys: Keys) -> None:
        self.keys = keys
        self.newsletter = factories.newsletter(session)
        self.schedule = factories.schedule(session, self.newsletter)
        for name in ("ann", "bob", "carl"):
            reader = factories.subscriber(session, keys, f"{name}@example.com")
            left_at = NOW if name == "carl" else None
            factories.subscription(session, reader, self.schedule, left_at=left_at)
        self._ids = iter(range(1, 100))

    def hash(self, name: str) -> str:
        return self.keys.key_hash(f"{name}@example.com")

    def entry(
        self, kind: JournalKind, name: str, reason: str | None = None, everywhere: bool = False
    ) -> RecordedEntry:
        number = next(self._ids)
        at = NOW + timedelta(hours=number)
        slug = None if everywhere else self.newsletter.slug
        return RecordedEntry(kind, at, self.hash(name), slug, reason, id=number)


@pytest.fixture
def backup(database: Database, keys: Keys) -> Backup:
    with database.write() as session:
        return Backup(session, keys)


def told(database: Database, *entries: RecordedEntry) -> ReplayCounts:
    with database.write() as session:
        return replay(session, entries, now=LATER)


def left(database: Database) -> dict[str, datetime | None]:
    with database.read() as session:
        rows = session.execute(select(Subscriber.address, Subscription.left_at).join(Subscription))
        return {address.partition("@")[0]: at for address, at in rows}


def suppressions(database: Database) -> set[tuple[str, SuppressionReason, bool]]:
    with database.read() as session:
        rows = session.execute(
            select(Suppression.key_hash, Suppression.reason, Suppression.newsletter_id)
        )
        return {(key_hash, reason, newsletter is None) for key_hash, reason, newsletter in rows}


def test_who_left_stays_away_and_who_came_back_is_a_reader_again(
    database: Database, backup: Backup
) -> None:
    entries = (
        backup.entry(K.LEFT, "ann", "reader"),
        backup.entry(K.LEFT, "bob", "reader"),
        backup.entry(K.RETURNED, "bob"),
        backup.entry(K.RETURNED, "carl"),
        backup.entry(K.RETURNED, "dora"),
    )
    assert told(database, *entries) == ReplayCounts(entries=5, left=1, returned=1, lost_readers=1)
    assert left(database) == {"ann": NOW + timedelta(hours=1), "bob": None, "carl": None}
    with database.read() as session:
        events = session.execute(
            select(ConsentEvent.kind, ConsentEvent.key_hash, ConsentEvent.source).order_by(
                ConsentEvent.id
            )
        ).all()
        carl = session.scalars(
            select(Subscription).join(Subscriber).where(Subscriber.address == "carl@example.com")
        ).one()
    assert events == [
        (ConsentKind.UNSUBSCRIBED, backup.hash("ann"), "restored from the journal"),
        (ConsentKind.CONFIRMED, backup.hash("carl"), "restored from the journal"),
    ]
    assert carl.confirmed_at == NOW + timedelta(hours=4)


def test_doing_it_again_changes_nothing(database: Database, backup: Backup) -> None:
    entries = (
        backup.entry(K.LEFT, "ann", "reader"),
        backup.entry(K.SUPPRESSED, "bob", "complained", everywhere=True),
        backup.entry(K.ERASED, "carl", everywhere=True),
    )
    assert told(database, *entries).entries == 3
    before = suppressions(database), left(database)
    assert told(database, *entries) == ReplayCounts()
    assert (suppressions(database), left(database)) == before


def test_the_last_suppression_counts_unless_it_was_lifted(
    database: Database, backup: Backup
) -> None:
    suppressed, lifted = K.SUPPRESSED, K.LIFTED
    told(
        database,
        backup.entry(suppressed, "ann", "bounced", everywhere=True),
        backup.entry(suppressed, "ann", "complained", everywhere=True),
        backup.entry(suppressed, "bob", "bounced", everywhere=True),
        backup.entry(suppressed, "bob", "not_me"),
        backup.entry(lifted, "bob", "bounced", everywhere=True),
        backup.entry(suppressed, "carl", "staff", everywhere=True),
        backup.entry(lifted, "carl", everywhere=True),
        backup.entry(suppressed, "dora", "complained", everywhere=True),
    )
    assert suppressions(database) == {
        (backup.hash("ann"), SuppressionReason.COMPLAINED, True),
        (backup.hash("bob"), SuppressionReason.NOT_ME, False),
        (backup.hash("dora"), SuppressionReason.COMPLAINED, True),
    }


def test_a_suppression_in_the_backup_is_lifted_or_gives_way_as_it_did(
    database: Database, backup: Backup
) -> None:
    with database.write() as session:
        for name, reason in (("ann", "bounced"), ("bob", "staff"), ("carl", "staff")):
            session.add(
                Suppression(
                    key_hash=backup.hash(name),
                    reason=SuppressionReason(reason),
                    created_at=NOW,
                )
            )
    told(
        database,
        backup.entry(K.SUPPRESSED, "ann", "complained", everywhere=True),
        backup.entry(K.LIFTED, "bob", everywhere=True),
        backup.entry(K.LIFTED, "carl", "bounced", everywhere=True),
    )
    assert suppressions(database) == {
        (backup.hash("ann"), SuppressionReason.COMPLAINED, True),
        (backup.hash("carl"), SuppressionReason.STAFF, True),
    }


def test_who_was_erased_is_erased_again(database: Database, backup: Backup) -> None:
    counts = told(
        database,
        backup.entry(K.RETURNED, "carl"),
        backup.entry(K.ERASED, "carl", everywhere=True),
        backup.entry(K.ERASED, "dora", everywhere=True),
    )
    assert (counts.erased, counts.lost_readers) == (1, 0)
    assert set(left(database)) == {"ann", "bob", ""}
    erased = SuppressionReason.ERASED
    assert suppressions(database) == {
        (backup.hash("carl"), erased, True),
        (backup.hash("dora"), erased, True),
    }


def test_who_came_back_after_being_erased_is_a_lost_reader_and_not_kept_away(
    database: Database, backup: Backup
) -> None:
    counts = told(
        database,
        backup.entry(K.ERASED, "ann", everywhere=True),
        backup.entry(K.LIFTED, "ann", "erased", everywhere=True),
        backup.entry(K.RETURNED, "ann"),
    )
    assert (counts.erased, counts.lost_readers) == (1, 1)
    assert suppressions(database) == set()


def test_who_left_and_is_not_in_the_backup_is_kept_away_by_the_hash(
    database: Database, backup: Backup
) -> None:
    counts = told(database, backup.entry(K.LEFT, "dora", "import"))
    assert counts.left == 0
    assert suppressions(database) == {(backup.hash("dora"), SuppressionReason.ERASED, False)}


def test_a_newsletter_that_the_backup_does_not_know_is_skipped(
    database: Database, backup: Backup
) -> None:
    entry = RecordedEntry(K.LEFT, NOW, backup.hash("ann"), "unknown", id=1)
    assert told(database, entry) == ReplayCounts(entries=1, unknown_newsletters=1)
    assert left(database)["ann"] is None


def test_entries_keep_their_numbers_and_the_next_one_is_behind_them(
    database: Database, backup: Backup
) -> None:
    ann = backup.entry(K.LEFT, "ann", "reader")
    far = RecordedEntry(K.LEFT, NOW, backup.hash("bob"), backup.newsletter.slug, id=50)
    told(database, ann, far)
    with database.write() as session:
        session.add(JournalEntry(kind=K.LIFTED, at=NOW, key_hash="x"))
        session.flush()
        assert list(session.scalars(select(JournalEntry.id).order_by(JournalEntry.id))) == [
            1,
            50,
            51,
        ]


def test_an_entry_whose_number_is_taken_gets_another(database: Database, backup: Backup) -> None:
    with database.write() as session:
        session.add(JournalEntry(kind=K.LIFTED, at=NOW, key_hash="x"))
    ann = backup.entry(K.LEFT, "ann", "reader")
    assert told(database, ann).left == 1
    assert told(database, ann) == ReplayCounts()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(JournalEntry)) == 2


def ann_leaves(database: Database) -> None:
    with database.write() as session:
        subscription = session.scalars(
            select(Subscription).join(Subscriber).where(Subscriber.address == "ann@example.com")
        ).one()
        leave(session, subscription, Origin("/unsubscribe", NOW), reason="reader")


def older(database: Database) -> None:
    """Undo in the database what ann did, as if it were an older one, and leave the copy beside it."""
    with database.write() as session:
        session.execute(delete(JournalEntry))
        session.execute(delete(ConsentEvent))
        session.execute(
            update(Subscription).where(Subscription.left_reason == "reader").values(left_at=None)
        )


def test_a_database_that_is_as_new_as_its_copy_starts_as_it_is(
    database: Database, backup: Backup
) -> None:
    assert catch_up(database, now=LATER) is None
    ann_leaves(database)
    assert catch_up(database, now=LATER) is None
    with database.read() as session:
        assert fence.current(session) is None


def test_an_older_database_is_told_and_put_behind_the_fence(
    database: Database, backup: Backup
) -> None:
    ann_leaves(database)
    older(database)
    counts = catch_up(database, now=LATER)
    assert counts is not None
    assert counts.left == 1
    assert left(database)["ann"] == NOW
    with database.read() as session:
        assert fence.current(session) == (LATER, None, False)
        installation = session.get_one(Installation, 1)
        assert installation.paused_at == LATER
    # What was told came from the copy, and is not in it twice.
    assert [entry.key_hash for entry in copies.read(database)] == [backup.hash("ann")]
    assert catch_up(database, now=LATER) is None


def test_a_database_without_its_copy_starts_as_it_is(sqlite_database: Database, keys: Keys) -> None:
    with sqlite_database.write() as session:
        Backup(session, keys)
    ann_leaves(sqlite_database)
    Path(str(sqlite_database.url.database)).with_name("mailer-journal.jsonl").unlink()
    assert catch_up(sqlite_database, now=LATER) is None
    assert len(list(copies.read(sqlite_database))) == 1


def test_what_another_process_records_meanwhile_puts_up_no_fence(
    database: Database, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann_leaves(database)
    # As if the copy had been read a moment later than the database.
    monkeypatch.setattr(copies, "last_ids", lambda _: (0, 1))
    assert catch_up(database, now=LATER) == ReplayCounts()
    with database.read() as session:
        assert fence.current(session) is None


def test_a_journal_that_cannot_be_read_is_not_taken_for_none(
    sqlite_database: Database, keys: Keys
) -> None:
    with sqlite_database.write() as session:
        Backup(session, keys)
    place = Path(str(sqlite_database.url.database)).with_name("mailer-journal.jsonl")
    place.mkdir()
    with pytest.raises(MailerError, match="cannot be read"):
        catch_up(sqlite_database, now=LATER)
