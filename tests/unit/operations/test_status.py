"""What staff are told about the state of things, and the switch that stops all mail."""

from datetime import timedelta

import pytest

from mailer.db import Database
from mailer.models import DeliveryStatus, DigestStatus, WorkerRole
from mailer.operations.pause import pause, resume
from mailer.operations.status import Status, read_status, warnings
from mailer.tokens import Keys
from tests import factories
from tests.factories import NOW

LEASE = timedelta(minutes=1)


def status(database: Database) -> Status:
    with database.read() as session:
        return read_status(session, lease=LEASE, now=NOW)


def test_nothing_at_all(database: Database) -> None:
    found = status(database)
    assert (found.paused_at, found.processes, found.digests) == (None, (), ())
    assert warnings(found) == []


def test_a_process_is_alive_while_it_is_heard_of(database: Database) -> None:
    with database.write() as session:
        factories.worker(session, pid=1, heartbeat_at=NOW - LEASE)
        factories.worker(session, pid=2, heartbeat_at=NOW - LEASE - timedelta(seconds=1))
        factories.worker(session, pid=3, stopped_at=NOW)
    assert [(one.pid, one.alive) for one in status(database).processes] == [(1, True), (2, False)]


@pytest.mark.parametrize(
    ("role", "seconds", "sends"),
    [(WorkerRole.SENDER, 0, True), (WorkerRole.SENDER, 61, False), (WorkerRole.BUILDER, 0, False)],
)
def test_mails_that_nobody_sends_are_told(
    database: Database, keys: Keys, role: WorkerRole, seconds: int, sends: bool
) -> None:
    with database.write() as session:
        factories.worker(session, role, heartbeat_at=NOW - timedelta(seconds=seconds))
        factories.notice(session, keys)
    found = status(database)
    assert found.sends is sends
    assert found.notices_waiting == 1
    assert bool(warnings(found)) is not sends


def test_open_digests_and_what_waits_in_them(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        subscriptions = factories.readers(session, keys, schedule, 3)
        digest = factories.digest(session, schedule)
        factories.digest(
            session, schedule, due_at=NOW - timedelta(days=1), status=DigestStatus.SENT
        )
        edition = factories.edition(session, digest)
        kinds = (DeliveryStatus.DEFERRED, DeliveryStatus.SENT, DeliveryStatus.UNKNOWN)
        for subscription, kind in zip(subscriptions, kinds, strict=True):
            factories.delivery(session, edition, subscription, status=kind)
    found = status(database)
    (digest_view,) = found.digests
    assert (digest_view.schedule, digest_view.status, digest_view.pending) == (
        "morning", "sending", 1,
    )  # fmt: skip
    assert (found.deliveries_waiting, found.in_doubt) == (1, 1)
    assert any("in doubt" in warning for warning in warnings(found))


def test_a_failing_feed_and_a_newsletter_without_schedule(database: Database) -> None:
    with database.write() as session:
        factories.newsletter(session, "weekly")
        daily = factories.newsletter(session, "daily")
        factories.schedule(session, daily)
        factories.feed(session, daily, url="https://a.example/", failing_since=NOW, error="404")
        factories.feed(session, daily)
    told = warnings(status(database))
    assert len(told) == 2
    assert "https://a.example/ fails since 2026-11-24 06:00 UTC: 404" in told[0]
    assert "weekly" in told[1]


def test_pause_and_resume(database: Database, keys: Keys) -> None:
    with database.write() as session:
        factories.notice(session, keys)
        pause(session, "the relay moves", now=NOW)
    with database.write() as session:
        pause(session, "it moves far", now=NOW + LEASE)
    found = status(database)
    assert (found.paused_at, found.paused_reason) == (NOW, "it moves far")
    assert warnings(found) == ["sending is paused; `mailer resume` starts it again"]
    with database.write() as session:
        assert resume(session)
    with database.write() as session:
        assert not resume(session)
    found = status(database)
    assert (found.paused_at, found.paused_reason) == (None, None)
