"""Readers who change how often, pause and resume: what is due to them afterwards."""

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import ConsentEvent, ConsentKind, Schedule, Subscription
from mailer.newsletters.offer import Publisher
from mailer.permission.consent import Origin
from mailer.subscribers.preferences import (
    change_schedule,
    pause,
    read_subscription,
    resume,
)
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support.factories import NOW

ORIGIN = Origin("/preferences", NOW, "192.0.2.7", "Browser/1")


def _reader(database: Database, keys: Keys, **values: object) -> Subscription:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        make.schedule(session, newsletter, "weekly", days="sat")
        return make.reader(session, keys, schedule, **values)


def _act(database: Database, reader: Subscription, *acts: object) -> Subscription:
    """Run these for the reader's place, and say what the row is afterwards."""
    with database.write() as session:
        found = read_subscription(session, Publisher(), reader.public_id)
        assert found is not None
        for act in acts:
            assert callable(act)
            act(session, found, ORIGIN)
    with database.read() as session:
        return session.get_one(Subscription, reader.id)


def _article(database: Database) -> int:
    with database.write() as session:
        found: int = make.article(session).id
        return found


def _events(database: Database) -> list[tuple[ConsentKind, str]]:
    with database.read() as session:
        events = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id))
        return [(event.kind, event.source) for event in events]


def test_who_resumes_starts_with_what_comes_in_from_then_on(database: Database, keys: Keys) -> None:
    reader = _reader(database, keys)
    paused = _act(database, reader, pause)
    assert (paused.paused_at, paused.start_article) == (NOW, 0)
    newest = max(_article(database) for _ in range(3))
    resumed = _act(database, reader, resume)
    assert (resumed.paused_at, resumed.start_article) == (None, newest)
    assert _events(database) == [
        (ConsentKind.CHANGED, "/preferences: pause"),
        (ConsentKind.CHANGED, "/preferences: resume"),
    ]


def test_who_resumes_is_no_newcomer(database: Database, keys: Keys) -> None:
    reader = _reader(database, keys)
    with database.write() as session:
        row = session.get_one(Subscription, reader.id)
        digest = make.digest(session, make.schedule(session, make.newsletter(session, "other")))
        row.first_digest_id = digest.id
    assert _act(database, reader, pause, resume).first_digest_id == digest.id


def test_pausing_and_resuming_twice_is_once(database: Database, keys: Keys) -> None:
    reader = _reader(database, keys, paused_at=NOW)
    assert _act(database, reader, pause, pause).paused_at == NOW
    _article(database)
    _act(database, reader, resume)
    _article(database)
    # What came in between is still due.
    assert _act(database, reader, resume).start_article == 1
    assert len(_events(database)) == 1


def test_who_has_left_stays_away(database: Database, keys: Keys) -> None:
    reader = _reader(database, keys, left_at=NOW, paused_at=NOW)
    row = _act(database, reader, resume)
    assert (row.left_at, row.paused_at) == (NOW, NOW)
    assert _events(database) == []


@pytest.mark.parametrize("removed", [False, True])
def test_another_schedule_leaves_the_start_as_it_is_and_one_just_removed_cannot_be_chosen(
    database: Database, keys: Keys, removed: bool
) -> None:
    reader = _reader(database, keys)
    _article(database)
    with database.write() as session:
        found = read_subscription(session, Publisher(), reader.public_id)
        assert found is not None
        weekly = found.offer.option("weekly")
        assert weekly is not None
        session.get_one(Schedule, weekly.id).removed_at = NOW if removed else None
    with database.write() as session:
        changed = change_schedule(session, found, weekly, ORIGIN)
    with database.read() as session:
        row = session.get_one(Subscription, reader.id)
    stays = ("morning", reader.schedule_id, 0)
    assert (changed.schedule, row.schedule_id, row.start_article) == (
        stays if removed else ("weekly", weekly.id, 0)
    )
    assert _events(database) == ([] if removed else [(ConsentKind.CHANGED, "/preferences")])
