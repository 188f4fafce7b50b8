"""The figures for monitoring: what they count, and that they are cheap however much lies behind."""

from datetime import timedelta

import pytest

from mailer.db import Database
from mailer.ledger import in_doubt
from mailer.ledger.pause import pause_sending
from mailer.models import DeliveryStatus, DigestStatus, EvidenceKind, NoticeKind, WorkerRole
from mailer.monitoring.metrics import Metrics, read_metrics
from mailer.sending import counters
from mailer.tokens import Keys
from tests.support import factories
from tests.support.bounces import report, sent_digest
from tests.support.factories import NOW
from tests.support.statements import statements

LEASE = timedelta(minutes=1)
S = DeliveryStatus
NONE = {"queued": 0, "claimed": 0, "sending": 0, "deferred": 0}


def metrics(database: Database) -> Metrics:
    with database.read() as session:
        return read_metrics(session, lease=LEASE, now=NOW)


def test_nothing_at_all_is_told_as_zeros(database: Database) -> None:
    assert metrics(database) == Metrics(
        paused=False,
        deliveries_waiting=NONE,
        notices_waiting=NONE,
        oldest_delivery=timedelta(),
        oldest_notice=timedelta(),
        in_doubt=0,
        digests={"building": 0, "sending": 0, "paused": 0},
        workers={"sender": 0, "builder": 0},
        connections=0,
        failing_feeds=0,
        came_back={"hard": 0, "soft": 0, "complaint": 0, "unsubscribe": 0},
        mails={},
    )


def test_what_waits_is_counted_by_its_status(database: Database, keys: Keys) -> None:
    kinds = [S.QUEUED, S.QUEUED, S.CLAIMED, S.SENDING, S.DEFERRED, S.SENT, S.UNKNOWN, S.SKIPPED]
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        readers = factories.readers(session, keys, schedule, len(kinds))
        for days, status in enumerate(
            (DigestStatus.SENDING, DigestStatus.PAUSED, DigestStatus.SENT, DigestStatus.CANCELLED)
        ):
            digest = factories.digest(
                session, schedule, due_at=NOW - timedelta(days=days), status=status
            )
            factories.delivered(session, digest, readers, kinds)
        for kind in kinds:
            factories.notice(session, keys, status=kind)
        factories.notice(session, keys, kind=NoticeKind.ALERT)
    found = metrics(database)
    assert found.deliveries_waiting == {"queued": 4, "claimed": 2, "sending": 2, "deferred": 2}
    assert found.notices_waiting == {"queued": 3, "claimed": 1, "sending": 1, "deferred": 1}
    assert found.digests == {"building": 0, "sending": 1, "paused": 1}
    # Nobody has decided yet about what older digests left in doubt.
    assert found.in_doubt == 4
    with database.write() as session:
        in_doubt.drop(session, digest.id, NOW)
    assert metrics(database).in_doubt == 3


def test_the_oldest_is_the_one_that_has_been_due_longest(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        readers = factories.readers(session, keys, schedule, 4)
        edition = factories.edition(session, factories.digest(session, schedule))
        held_up = factories.digest(
            session, schedule, due_at=NOW - timedelta(days=1), status=DigestStatus.PAUSED
        )
        for at, status, its in (
            (timedelta(minutes=-5), S.DEFERRED, edition),
            (timedelta(minutes=-9), S.SENDING, edition),
            (timedelta(minutes=30), S.DEFERRED, edition),
            (timedelta(days=-1), S.QUEUED, factories.edition(session, held_up)),
        ):
            factories.delivery(session, its, readers.pop(), status=status, next_attempt_at=NOW + at)
        factories.notice(session, keys, next_attempt_at=NOW + timedelta(hours=1))
    found = metrics(database)
    assert (found.oldest_delivery, found.oldest_notice) == (timedelta(minutes=5), timedelta())
    with database.write() as session:
        factories.notice(session, keys, next_attempt_at=NOW - timedelta(seconds=7))
    assert metrics(database).oldest_notice == timedelta(seconds=7)


def test_only_workers_that_are_heard_of_count(database: Database) -> None:
    with database.write() as session:
        for role, seconds, connections in (
            (WorkerRole.SENDER, 0, 4),
            (WorkerRole.SENDER, 60, 3),
            (WorkerRole.SENDER, 61, 100),
            (WorkerRole.BUILDER, 10, 0),
        ):
            factories.worker(
                session,
                role,
                heartbeat_at=NOW - timedelta(seconds=seconds),
                connections=connections,
            )
        factories.worker(session, connections=1000, stopped_at=NOW)
    found = metrics(database)
    assert (found.workers, found.connections) == ({"sender": 2, "builder": 1}, 7)


def test_mails_are_added_up_over_all_workers_that_ever_were(database: Database) -> None:
    with database.write() as session:
        one = factories.worker(session, stopped_at=NOW).id
        two = factories.worker(session).id
        counters.add(session, one, {("sent", "accepted"): 5, ("failed", "policy"): 1})
        counters.add(session, two, {("sent", "accepted"): 7})
    assert metrics(database).mails == {("sent", "accepted"): 12, ("failed", "policy"): 1}


def test_what_came_back_within_a_day_is_counted(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.readers(session, keys, schedule, 5)
        mails = sent_digest(session, schedule, at=NOW - timedelta(days=3)).mails
        report(session, keys, mails[:1], now=NOW - timedelta(days=1))
        report(session, keys, mails[1:4], now=NOW - timedelta(hours=23))
        report(session, keys, mails[4:], EvidenceKind.COMPLAINT, now=NOW)
    expected = {"hard": 3, "soft": 0, "complaint": 1, "unsubscribe": 0}
    assert metrics(database).came_back == expected


def test_the_pause_and_failing_feeds(database: Database) -> None:
    with database.write() as session:
        pause_sending(session, None, NOW)
        factories.feed(session, failing_since=NOW, error="404")
        factories.feed(session)
    found = metrics(database)
    assert (found.paused, found.failing_feeds) == (True, 1)


@pytest.mark.parametrize("table", ["delivery", "notice"])
def test_what_lies_behind_is_not_read(sqlite_database: Database, table: str) -> None:
    """Each statement finds the rows it counts by an index that holds no others."""
    with statements(sqlite_database) as seen:
        metrics(sqlite_database)
    with sqlite_database.engine.connect() as connection:
        steps = [
            str(step[3])
            for statement, values in zip(seen, seen.values, strict=True)
            if table in statement
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
        ]
    found = [step for step in steps if table in step.split()]
    assert len(found) > 2
    partial = [f"INDEX ix_{table}_{name}" for name in ("waiting", "held", "in_doubt")]
    for step in found:
        assert any(index in step for index in partial), step


def test_the_same_few_statements_however_much_there_is(database: Database, keys: Keys) -> None:
    def number() -> int:
        with statements(database) as seen:
            metrics(database)
        return len(seen)

    empty = number()
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.many_readers(session, keys, schedule, 200)
        for days in range(5):
            digest = factories.digest(session, schedule, due_at=NOW - timedelta(days=days))
            factories.deliveries(
                session, factories.edition(session, digest), schedule, status=S.QUEUED
            )
    assert number() == empty
    assert metrics(database).deliveries_waiting["queued"] == 1000
