"""Taking a move back: only while nothing was sent, and what readers asked for at the new place is kept."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from mailer import schema
from mailer.database_copies.catch_up import catch_up
from mailer.database_copies.moving.take_back import take_back
from mailer.db import Database
from mailer.errors import DatabaseMoved, Refused
from mailer.journal import copies
from mailer.models import Delivery, DeliveryStatus, Installation, Notice, Review, Subscription
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.tokens import Keys
from tests.support import factories
from tests.support.every_table import fill
from tests.support.factories import NOW
from tests.support.moves import LEASE, everything, move_to, url_of

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def moved(sqlite_database: Database, new: Database, keys: Keys) -> Database:
    """The new database, after everything was moved from the one of SQLite."""
    fill(sqlite_database, keys)
    with sqlite_database.write() as session:
        session.execute(update(Delivery).values(worker_id=None))
    move_to(sqlite_database, new, keys)
    return new


def cancel(
    old: Database, new: Database, keys: Keys, confirm: Callable[[list[str]], bool] | None = None
) -> bool:
    def unasked(lost: list[str]) -> bool:
        raise AssertionError(lost)

    new.dispose()
    return take_back(
        old,
        url_of(new),
        fingerprint=keys.fingerprint(),
        lease=LEASE,
        now=LATER,
        confirm=confirm or unasked,
        show=lambda _what, _rows: None,
    )


def test_only_the_old_one_can_be_used_again(
    sqlite_database: Database, moved: Database, keys: Keys
) -> None:
    before = everything(sqlite_database)
    assert cancel(sqlite_database, moved, keys)
    schema.check(sqlite_database, keys.fingerprint())
    assert everything(sqlite_database) == before
    # The journal beside it goes on where it was.
    assert catch_up(sqlite_database, now=LATER) is None
    own, copied = copies.last_ids(sqlite_database)
    assert own == copied
    with pytest.raises(DatabaseMoved, match="moved to sqlite:///"):
        schema.check(moved, keys.fingerprint())
    with pytest.raises(Refused, match="nothing was moved"):
        cancel(sqlite_database, moved, keys)


def test_settings_that_still_name_the_new_one_are_told_so(moved: Database, keys: Keys) -> None:
    with pytest.raises(Refused, match="names the new database; name the old one"):
        cancel(moved, moved, keys)


@pytest.mark.parametrize("table", [Delivery, Notice])
def test_a_mail_that_was_begun_at_the_new_one_forbids_it(
    sqlite_database: Database, moved: Database, keys: Keys, table: Any
) -> None:
    with moved.write() as session:
        session.execute(update(table).values(attempts=1, status=DeliveryStatus.SENDING))
    with pytest.raises(Refused, match="begun to send"):
        cancel(sqlite_database, moved, keys)
    with pytest.raises(DatabaseMoved):
        schema.check(sqlite_database, keys.fingerprint())
    schema.check(moved, keys.fingerprint())


def test_a_purge_of_mails_from_before_the_move_does_not_forbid_it(
    sqlite_database: Database, new: Database, keys: Keys
) -> None:
    fill(sqlite_database, keys)
    with sqlite_database.write() as session:
        session.execute(update(Notice).values(attempts=1, status=DeliveryStatus.SENT))
        session.execute(update(Delivery).values(worker_id=None))
    move_to(sqlite_database, new, keys)
    with new.write() as session:
        session.execute(delete(Review))
        session.execute(delete(Notice))
    assert cancel(sqlite_database, new, keys, lambda _lost: True)
    schema.check(sqlite_database, keys.fingerprint())


def test_a_mail_that_the_new_one_ended_and_purged_forbids_it(
    sqlite_database: Database, new: Database, keys: Keys
) -> None:
    fill(sqlite_database, keys)
    with sqlite_database.write() as session:
        session.execute(update(Notice).values(attempts=0, status=DeliveryStatus.QUEUED))
    move_to(sqlite_database, new, keys)
    with new.write() as session:
        session.execute(delete(Review))
        session.execute(delete(Notice))
    with pytest.raises(Refused, match="begun to send"):
        cancel(sqlite_database, new, keys)


def test_what_would_be_lost_is_asked_about(
    sqlite_database: Database, moved: Database, keys: Keys
) -> None:
    with moved.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session, "weekly"))
        factories.reader(session, keys, schedule, "late@example.com")
        factories.worker(session)
    asked: list[list[str]] = []

    def no(lost: list[str]) -> bool:
        asked.append(lost)
        return False

    assert not cancel(sqlite_database, moved, keys, no)
    with pytest.raises(DatabaseMoved):
        schema.check(sqlite_database, keys.fingerprint())
    schema.check(moved, keys.fingerprint())
    [lost] = asked
    assert "subscriber (1 and 2 rows)" in lost
    assert not any(name.startswith(("worker", "journal")) for name in lost)
    assert cancel(sqlite_database, moved, keys, lambda _lost: True)
    schema.check(sqlite_database, keys.fingerprint())


def test_who_left_at_the_new_one_stays_away_from_the_old_one(
    sqlite_database: Database, moved: Database, keys: Keys
) -> None:
    with moved.write() as session:
        subscription = session.scalars(select(Subscription)).one()
        leave(session, subscription, Origin("/unsubscribe", LATER), reason="reader")
    assert cancel(sqlite_database, moved, keys, lambda _lost: True)
    with sqlite_database.read() as session:
        assert session.scalars(select(Subscription.left_at)).one() == LATER


@pytest.mark.parametrize(
    "values", [{"identity_fingerprint": "another"}, {"moved_to": "postgresql://third.example/x"}]
)
def test_another_database_at_that_place_is_refused(
    sqlite_database: Database, moved: Database, keys: Keys, values: dict[str, str]
) -> None:
    with moved.write() as session:
        session.execute(update(Installation).values(**values))
    with pytest.raises(Refused, match=r"identity key|moved on"):
        cancel(sqlite_database, moved, keys)
    with pytest.raises(DatabaseMoved):
        schema.check(sqlite_database, keys.fingerprint())


def test_the_place_must_be_that_of_the_move(
    sqlite_database: Database, moved: Database, postgresql_database: Database, keys: Keys
) -> None:
    with pytest.raises(Refused, match=r"was moved to .* and not to"):
        cancel(sqlite_database, postgresql_database, keys)


def test_an_empty_database_at_that_place_proves_nothing(
    sqlite_database: Database, moved: Database, keys: Keys
) -> None:
    with moved.write() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    with pytest.raises(Refused, match="empty by now"):
        cancel(sqlite_database, moved, keys)
    with pytest.raises(DatabaseMoved):
        schema.check(sqlite_database, keys.fingerprint())
