"""What staff are told about the state of things, and the switch that stops all mail."""

from datetime import timedelta

import pytest

from mailer.db import Database
from mailer.ledger import fence, in_doubt
from mailer.ledger.pause import pause_sending, resume_sending
from mailer.models import DeliveryStatus, Digest, DigestStatus, EvidenceKind, WorkerRole
from mailer.monitoring.status import Status, read_status
from mailer.monitoring.warnings import status_warnings
from mailer.tokens import Keys
from tests.support import factories
from tests.support.bounces import report, sent_digest
from tests.support.factories import NOW

LEASE = timedelta(minutes=1)


def status(database: Database) -> Status:
    with database.read() as session:
        return read_status(session, lease=LEASE, now=NOW)


def test_nothing_at_all(database: Database) -> None:
    found = status(database)
    assert (found.paused_at, found.processes, found.digests) == (None, (), ())
    assert status_warnings(found) == []


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
    assert found.runs(WorkerRole.SENDER) is sends
    assert found.notices_waiting == 1
    told = ["1 mail waits and nothing sends it; start `mailer run`"]
    assert status_warnings(found) == ([] if sends else told)


def test_open_digests_and_what_waits_in_them(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        subscriptions = factories.readers(session, keys, schedule, 3)
        digest = factories.digest(session, schedule)
        factories.digest(
            session, schedule, due_at=NOW - timedelta(days=1), status=DigestStatus.SENT
        )
        kinds = (DeliveryStatus.DEFERRED, DeliveryStatus.SENT, DeliveryStatus.UNKNOWN)
        factories.delivered(session, digest, subscriptions, kinds)
    found = status(database)
    (digest_view,) = found.digests
    assert (digest_view.schedule, digest_view.status) == ("morning", "sending")
    assert digest_view.pending == 1
    assert (found.deliveries_waiting, found.in_doubt) == (1, 1)
    assert any("in doubt" in warning for warning in status_warnings(found))


def test_a_failing_feed_and_a_newsletter_without_schedule(database: Database) -> None:
    with database.write() as session:
        factories.newsletter(session, "weekly")
        daily = factories.newsletter(session, "daily")
        factories.schedule(session, daily)
        factories.feed(session, daily, url="https://a.example/", failing_since=NOW, error="404")
        factories.feed(session, daily)
    told = status_warnings(status(database))
    assert len(told) == 2
    assert "https://a.example/ has been failing since 2026-11-24 06:00 UTC: 404" in told[0]
    assert "weekly" in told[1]


def test_pause_and_resume(database: Database, keys: Keys) -> None:
    with database.write() as session:
        factories.notice(session, keys)
        pause_sending(session, "the relay moves", NOW, replace_reason=True)
    with database.write() as session:
        pause_sending(session, "it moves far", NOW + LEASE, replace_reason=True)
        # Typed in a hurry, it must not wipe out what the relay said.
        pause_sending(session, None, NOW + LEASE, replace_reason=True)
    found = status(database)
    assert (found.paused_at, found.paused_reason) == (NOW, "it moves far")
    assert status_warnings(found) == [
        "sending is paused (it moves far); `mailer resume` starts it again"
    ]
    with database.write() as session:
        assert resume_sending(session)
    with database.write() as session:
        assert not resume_sending(session)
    found = status(database)
    assert (found.paused_at, found.paused_reason) == (None, None)


def test_a_paused_digest_says_why_and_is_no_work_for_workers(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        digest = factories.digest(
            session, schedule, status=DigestStatus.PAUSED, reason="by staff: a wrong name"
        )
        edition = factories.edition(session, digest)
        factories.delivery(session, edition, factories.reader(session, keys, schedule))
    found = status(database)
    [view] = found.digests
    assert (view.status, view.reason, view.pending) == ("paused", "by staff: a wrong name", 1)
    [told] = status_warnings(found)
    assert "is paused (by staff: a wrong name), 1 mail waits" in told
    assert f"`mailer digest resume {digest.id}`" in told
    assert f"`mailer digest cancel {digest.id}`" in told


def test_what_waits_for_later_and_since_when(database: Database, keys: Keys) -> None:
    minute = timedelta(minutes=1)
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        edition = factories.edition(session, factories.digest(session, schedule))
        rows: list[tuple[DeliveryStatus, timedelta]] = [
            (DeliveryStatus.QUEUED, -2 * minute),
            (DeliveryStatus.QUEUED, -3 * minute),
            (DeliveryStatus.DEFERRED, 7 * minute),
            (DeliveryStatus.DEFERRED, 6 * minute),
            (DeliveryStatus.CLAIMED, -9 * minute),
            (DeliveryStatus.SENDING, -9 * minute),
            (DeliveryStatus.SENT, -9 * minute),
            (DeliveryStatus.FAILED, 2 * minute),
        ]
        subscriptions = factories.readers(session, keys, schedule, len(rows))
        for subscription, (kind, wait) in zip(subscriptions, rows, strict=True):
            factories.delivery(
                session, edition, subscription, status=kind, next_attempt_at=NOW + wait
            )
        factories.notice(session, keys, next_attempt_at=NOW + 5 * minute)
        factories.notice(session, keys, next_attempt_at=NOW - 4 * minute)
    found = status(database)
    [view] = found.digests
    assert (view.pending, view.waiting_later) == (6, 2)
    assert (view.next_try_at, view.waiting_since) == (NOW + 6 * minute, NOW - 3 * minute)
    assert (found.deliveries_waiting, found.notices_waiting, found.waiting_later) == (6, 2, 3)
    assert (found.next_try_at, found.waiting_since) == (NOW + 5 * minute, NOW - 4 * minute)


def test_a_worker_that_sends_nothing_says_why(database: Database) -> None:
    why = "the relay failed: 421 busy; next try in 40 s"
    with database.write() as session:
        factories.worker(session, pid=1, connections=3)
        factories.worker(session, pid=2, note=why)
        factories.worker(session, pid=3, note="dead since", heartbeat_at=NOW - 2 * LEASE)
    found = status(database)
    assert [(one.connections, one.note) for one in found.processes[:2]] == [(3, None), (0, why)]
    assert status_warnings(found) == [f"the sender 2 on host.example sends nothing now: {why}"]


WHY = "the relay failed: Connection refused; next try in 40 s"


@pytest.mark.parametrize(
    ("workers", "fails"),
    [
        ([(0, WHY)], WHY),
        ([(0, WHY), (0, WHY)], WHY),
        ([(0, WHY), (0, None)], None),
        ([(0, WHY), (2, WHY)], None),
        ([], None),
    ],
)
def test_a_relay_that_nobody_reaches_is_told(
    database: Database, workers: list[tuple[int, str | None]], fails: str | None
) -> None:
    with database.write() as session:
        factories.worker(session, WorkerRole.BUILDER, pid=8)
        factories.worker(session, pid=9, heartbeat_at=NOW - 2 * LEASE)
        for pid, (connections, note) in enumerate(workers):
            factories.worker(session, pid=pid, connections=connections, note=note)
    assert status(database).relay_fails == fails


def test_what_is_in_doubt_is_told_until_staff_have_decided(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        subscriptions = factories.readers(session, keys, schedule, 2)
        for number in range(7):
            digest = factories.digest(
                session, schedule, due_at=NOW - timedelta(days=number), status=DigestStatus.SENT
            )
            factories.delivered(session, digest, subscriptions, [DeliveryStatus.UNKNOWN] * 2)
        dropped = digest.id
        in_doubt.drop(session, dropped, NOW)
    found = status(database)
    assert (found.in_doubt, len(found.doubtful)) == (12, 6)
    assert dropped not in {one.digest for one in found.doubtful}
    [told] = status_warnings(found)
    latest = found.doubtful[0].digest
    assert told.startswith(f"12 mails are in doubt (2 of digest {latest}, 2 of digest ")
    assert told.count("of digest") == 5
    assert "…" in told
    assert "`mailer delivery resolve --digest ID`" in told


@pytest.mark.parametrize(
    ("state", "hours", "told"),
    [(DeliveryStatus.UNKNOWN, 23, 1), (DeliveryStatus.UNKNOWN, 25, 0), (DeliveryStatus.SENT, 1, 0)],
)
def test_a_notice_that_stays_in_doubt_is_told_for_a_day(
    database: Database, keys: Keys, state: DeliveryStatus, hours: int, told: int
) -> None:
    with database.write() as session:
        ago = NOW - timedelta(hours=hours)
        factories.notice(session, keys, status=state, in_doubt=1, outcome_at=ago)
    found = status(database)
    assert found.notices_in_doubt == told
    assert found.in_doubt == 0
    said = "1 confirmation or other notice of the last day stayed in doubt"
    assert [said in one for one in status_warnings(found)] == [True] * told


def test_a_digest_of_which_too_much_came_back_is_told_for_a_week(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.readers(session, keys, schedule, 5)
        sent = sent_digest(session, schedule)
        fine = sent_digest(session, schedule, at=NOW - timedelta(days=1))
        report(session, keys, [*sent.mails[:2], fine.mails[0]])
        report(session, keys, sent.mails[2:5], EvidenceKind.COMPLAINT)
        digest = session.get_one(Digest, sent.id)
        digest.complaints_warned_at = NOW
        digest.bounces_withheld_at = NOW
    with database.read() as session:
        status = read_status(session, lease=LEASE, now=NOW + timedelta(days=6))
        later = read_status(session, lease=LEASE, now=NOW + timedelta(days=7))
    [alarming] = status.alarming
    assert (alarming.digest, alarming.hard, alarming.complaints) == (sent.id, 2, 3)
    assert later.alarming == ()
    [warning] = [line for line in status_warnings(status) if "spam" in line]
    assert warning == (
        f"digest {sent.id} of daily/morning: 2 mails bounced for good, too many to suppress their "
        "readers and 3 readers reported it as spam, 0.1% or more; "
        f"`mailer digest report {sent.id}` shows where"
    )


def test_a_restored_database_says_so_first(database: Database) -> None:
    with database.write() as session:
        fence.put_up(session, backup_at=NOW - timedelta(days=3), now=NOW)
    with database.read() as session:
        status = read_status(session, lease=timedelta(minutes=1), now=NOW)
    assert (status.restored_at, status.restored_backup_at) == (NOW, NOW - timedelta(days=3))
    assert status.paused_reason == fence.REASON
    assert "mailer resume" in status_warnings(status)[0]
