"""What too much that comes back does to a digest: it suppresses nobody, is paused, and staff are told."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from mailer.bounces import refused_mails, watch
from mailer.bounces.rates import StopLimits
from mailer.db import Database
from mailer.ledger import digest_state
from mailer.models import (
    BounceEvent,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    EvidenceKind,
    Notice,
    NoticeKind,
    Schedule,
    Suppression,
)
from mailer.permission.suppress import lift
from mailer.tokens import Keys
from tests.support import factories
from tests.support.bounces import report, suppressed
from tests.support.factories import NOW
from tests.support.sending import alerts as make_alerts
from tests.support.statements import statements

LIMITS = StopLimits()
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
READERS = 400
COMPLAINT = EvidenceKind.COMPLAINT


class Running:
    """A digest to 400 readers that is being sent; `sent` of them have it."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self.database, self.keys = database, keys
        self.alerts = make_alerts(keys)
        with database.write() as session:
            schedule = factories.schedule(session, factories.newsletter(session))
            factories.many_readers(session, keys, schedule, READERS)
            digest = factories.digest(session, schedule)
            edition = factories.edition(session, digest)
            factories.deliveries(
                session, edition, schedule, status=DeliveryStatus.QUEUED, attempts=0
            )
            self.id, self.schedule_id = digest.id, schedule.id
            self.mails: Sequence[Delivery] = session.scalars(
                select(Delivery).order_by(Delivery.subscriber_id)
            ).all()

    def send(
        self, first: int, last: int, status: DeliveryStatus = DeliveryStatus.SENT, **values: object
    ) -> Sequence[Delivery]:
        """Have the mails from the first to before the last end in this way."""
        mails = self.mails[first:last]
        at = values.pop("first_attempt_at", NOW)
        with self.database.write() as session:
            session.execute(
                update(Delivery)
                .where(Delivery.id.in_([mail.id for mail in mails]))
                .values(status=status, first_attempt_at=at, outcome_at=at, attempts=1, **values)
            )
        return mails

    def report(
        self, mails: Sequence[Delivery], kind: EvidenceKind = EvidenceKind.HARD, **values: object
    ) -> None:
        with self.database.write() as session:
            report(session, self.keys, mails, kind, now=NOW + HOUR, **values)

    def watch(self, limits: StopLimits = LIMITS) -> Digest:
        while True:
            with self.database.write() as session:
                if not watch.watch_digest(session, self.alerts, self.id, limits, now=NOW + HOUR):
                    break
        with self.database.write() as session:
            watch.warn_of_complaints(session, self.alerts, now=NOW + HOUR)
            watch.tell_of_bounces(session, self.alerts, now=NOW + HOUR)
        return self.digest()

    def digest(self) -> Digest:
        with self.database.read() as session:
            return session.get_one(Digest, self.id)

    def resume(self) -> None:
        with self.database.write() as session:
            assert digest_state.resume_digest(session, self.id, NOW + MINUTE)

    def suppressed(self) -> int:
        with self.database.read() as session:
            return len(suppressed(session))

    def told(self) -> Sequence[str]:
        with self.database.read() as session:
            return session.scalars(
                select(Notice.text).where(Notice.kind == NoticeKind.ALERT).order_by(Notice.id)
            ).all()


@pytest.fixture
def running(database: Database, keys: Keys) -> Running:
    return Running(database, keys)


def test_too_many_hard_bounces_suppress_nobody_and_pause(running: Running) -> None:
    running.send(0, 200)
    running.report(running.mails[:10])
    # Up to one in twenty they are the readers'.
    assert running.suppressed() == 10
    running.report(running.mails[10:11])
    # Those that it has suppressed before are lifted again.
    assert running.suppressed() == 0
    digest = running.watch()
    assert digest.status is DigestStatus.PAUSED
    assert digest.reason is not None
    assert digest.reason.startswith(
        "11 of 200 mails bounced for good (5.5%; `stop_at_hard_bounces`"
    )
    [told] = running.told()
    assert "11 of 200 mails" in told
    assert f"mailer digest resume {running.id}" in told
    # Another one changes nothing, and staff are not told again.
    running.report(running.mails[11:30])
    assert running.watch().status is DigestStatus.PAUSED
    assert (running.suppressed(), len(running.told())) == (0, 1)


def test_few_mails_say_nothing_about_a_digest(running: Running) -> None:
    running.send(0, 199)
    running.report(running.mails[:150])
    running.report(running.mails[150:160], COMPLAINT)
    assert running.watch().status is DigestStatus.SENDING
    assert running.suppressed() == 160
    assert running.told() == []


def test_mails_that_arrive_later_show_that_it_was_the_readers(running: Running) -> None:
    """The first of a list may be its oldest addresses."""
    running.send(0, 200)
    running.report(running.mails[:15])
    assert running.suppressed() == 0
    assert running.watch().status is DigestStatus.PAUSED
    running.resume()
    assert running.watch().status is DigestStatus.SENDING
    running.send(200, 299, first_attempt_at=NOW + 2 * MINUTE)
    assert running.watch().bounces_withheld_at is not None
    assert running.suppressed() == 0
    running.send(299, 300, first_attempt_at=NOW + 2 * MINUTE)
    # Nothing new has come back, but now it is one in twenty.
    digest = running.watch()
    assert (digest.status, digest.bounces_withheld_at) == (DigestStatus.SENDING, None)
    assert running.suppressed() == 15


def test_who_was_lifted_stays_so_when_a_digest_is_judged_again(running: Running) -> None:
    running.send(0, 200)
    running.report(running.mails[:15])
    with running.database.write() as session:
        reader = session.get_one(factories.Subscriber, running.mails[0].subscriber_id)
        lift(session, reader.key_hash, now=NOW + MINUTE)
    running.send(200, 400)
    running.watch()
    assert running.suppressed() == 14


def test_a_suppression_for_another_reason_is_not_lifted_with_a_digest(running: Running) -> None:
    running.send(0, 200)
    running.report(running.mails[:2])
    running.report(running.mails[:1], COMPLAINT)
    running.report(running.mails[2:20])
    with running.database.read() as session:
        assert set(suppressed(session).values()) == {"complained"}


def test_after_a_resume_only_later_mails_stop_it_again(running: Running) -> None:
    later = NOW + 2 * MINUTE
    running.send(0, 200)
    running.report(running.mails[:20])
    assert running.watch().status is DigestStatus.PAUSED
    running.resume()
    # What comes back late of the earlier mails has been accepted with them.
    running.report(running.mails[20:60])
    running.send(200, 399, first_attempt_at=later)
    running.report(running.send(199, 200), COMPLAINT)
    assert running.watch().status is DigestStatus.SENDING
    running.report(running.mails[200:210])
    assert running.watch().status is DigestStatus.SENDING
    running.send(399, 400, first_attempt_at=later)
    digest = running.watch()
    assert digest.status is DigestStatus.PAUSED
    assert (digest.reason or "").startswith("10 of 200 mails bounced for good (5%;")
    assert len(running.told()) == 2


@pytest.mark.parametrize(
    ("complaints", "limits", "status"),
    [
        (2, LIMITS, DigestStatus.SENDING),
        (3, LIMITS, DigestStatus.PAUSED),
        (3, StopLimits(complaints=0.01), DigestStatus.SENDING),
        (4, StopLimits(complaints=0.01), DigestStatus.PAUSED),
    ],
)
def test_complaints_stop_a_digest(
    running: Running, complaints: int, limits: StopLimits, status: DigestStatus
) -> None:
    running.send(0, 400)
    running.report(running.mails[:complaints], COMPLAINT)
    digest = running.watch(limits)
    assert digest.status is status
    assert running.suppressed() == complaints
    if status is DigestStatus.PAUSED:
        assert f"{complaints} readers of 400 reported it as spam" in (digest.reason or "")
        assert len(running.told()) == 1


def test_staff_are_warned_once_of_complaints_about_a_digest_that_is_sent(running: Running) -> None:
    running.send(0, 400)
    with running.database.write() as session:
        assert digest_state.finish_digests(session, NOW) == [running.id]
    running.report(running.mails[:2], COMPLAINT)
    assert running.watch().complaints_warned_at is None
    running.report(running.mails[2:3], COMPLAINT)
    for _ in range(2):
        digest = running.watch()
        assert (digest.status, digest.complaints_warned_at) == (DigestStatus.SENT, NOW + HOUR)
        [told] = running.told()
        assert "3 of 400 readers (0.75%)" in told
        assert f"mailer digest report {running.id}" in told
        running.report(running.mails[3:9], COMPLAINT)


def test_staff_are_told_of_complaints_about_a_digest_that_was_paused_for_another_reason(
    running: Running,
) -> None:
    running.send(0, 399)
    with running.database.write() as session:
        assert digest_state.pause_digest(session, running.id, "by staff")
    running.report(running.mails[:3], COMPLAINT)
    assert running.watch().complaints_warned_at == NOW + HOUR
    [told] = running.told()
    assert "3 of 399 readers (0.75%)" in told


def test_staff_are_told_of_bounces_of_a_digest_that_was_paused_for_complaints(
    running: Running,
) -> None:
    running.send(0, 399)
    running.report(running.mails[:3], COMPLAINT)
    digest = running.watch()
    assert (digest.status, digest.complaints_warned_at) == (DigestStatus.PAUSED, NOW + HOUR)
    running.resume()
    running.send(399, 400, first_attempt_at=NOW + 2 * MINUTE)
    with running.database.write() as session:
        digest_state.finish_digests(session, NOW + HOUR)
    running.report(running.mails[10:40])
    running.watch()
    assert len(running.told()) == 2
    assert "30 of 400 mails bounced for good (7.5%)" in running.told()[1]


def test_staff_are_told_once_of_bounces_of_a_digest_that_is_sent(running: Running) -> None:
    running.send(0, 400)
    with running.database.write() as session:
        digest_state.finish_digests(session, NOW)
    running.report(running.mails[:20])
    running.watch()
    assert (running.told(), running.suppressed()) == ([], 20)
    for last in (21, 30):
        running.report(running.mails[20:last])
        assert running.watch().status is DigestStatus.SENT
        [told] = running.told()
        assert "21 of 400 mails bounced for good (5.25%)" in told
        assert f"mailer digest report {running.id}" in told
        assert running.suppressed() == 0


def test_who_was_told_of_a_pause_is_not_told_again_when_the_digest_is_sent(
    running: Running,
) -> None:
    running.send(0, 400)
    running.report(running.mails[:30])
    assert running.watch().status is DigestStatus.PAUSED
    running.resume()
    with running.database.write() as session:
        assert digest_state.finish_digests(session, NOW + 2 * MINUTE) == [running.id]
    assert running.watch().bounces_withheld_at is not None
    assert len(running.told()) == 1


def test_without_a_staff_address_the_status_still_knows(running: Running) -> None:
    running.alerts = replace(running.alerts, staff_address=())
    running.send(0, 400)
    running.report(running.mails[:3], COMPLAINT)
    assert running.watch().complaints_warned_at == NOW + HOUR
    assert running.told() == []


def test_what_the_relay_refused_is_read_as_bounces(running: Running) -> None:
    running.send(0, 390)
    failed = DeliveryStatus.FAILED
    running.send(390, 393, failed, step="rcpt", code=550, reply="5.1.1 No such user")
    running.send(393, 395, failed, step="rcpt", code=552, reply="5.2.2 Full")
    running.send(395, 397, failed, step="dot", code=554, reply="5.7.1 We do not like this")
    running.send(397, 398, failed, step=None, code=None, reply="the mail cannot be composed")
    with running.database.write() as session:
        assert watch.watched(session) == [running.id]
    running.watch()
    assert running.suppressed() == 3
    with running.database.read() as session:
        rows = session.execute(
            select(BounceEvent.kind, BounceEvent.reason, func.count())
            .where(BounceEvent.source == "smtp")
            .group_by(BounceEvent.kind, BounceEvent.reason)
            .order_by(BounceEvent.kind, BounceEvent.reason)
        ).all()
        one = session.scalars(
            select(BounceEvent).where(BounceEvent.delivery_id == running.mails[390].id)
        ).one()
    assert [tuple(row) for row in rows] == [
        ("hard", "user_unknown", 3),
        ("soft", "mailbox_full", 2),
        ("soft", "policy", 2),
    ]
    assert (one.status, one.diagnostic) == ("5.1.1", "550 5.1.1 No such user")
    # Nothing is read twice, nor counted again when it comes back by mail as well.
    running.report(running.mails[390:393])
    running.watch()
    with running.database.read() as session:
        assert session.scalar(select(func.count()).select_from(BounceEvent)) == 7


REFUSED = {"step": "rcpt", "code": 550, "reply": "5.1.1 No such user"}


def test_a_relay_that_refuses_all_mails_suppresses_nobody(running: Running) -> None:
    failed = DeliveryStatus.FAILED
    running.send(0, 8, failed, **REFUSED)
    running.watch()
    assert running.suppressed() == 0
    # It takes another one: so it was those readers.
    running.send(8, 9)
    running.watch()
    assert running.suppressed() == 8


def test_two_refusals_are_the_readers_even_if_there_is_nothing_else(running: Running) -> None:
    running.send(0, 2, DeliveryStatus.FAILED, **REFUSED)
    running.watch()
    assert running.suppressed() == 2


def test_refusals_in_a_row_that_paused_a_digest_never_count(running: Running) -> None:
    failed = DeliveryStatus.FAILED
    running.send(0, 100)
    running.send(100, 101, failed, **REFUSED)
    running.report(running.mails[:1])
    running.watch()
    assert running.suppressed() == 2
    running.send(101, 121, failed, **REFUSED)
    reason = "the relay refused 20 mails in a row, the last one with: 550 5.1.1 No such user"
    with running.database.write() as session:
        assert digest_state.pause_digest(session, running.id, reason)
    digest = running.watch()
    assert digest.refusals_void_until == NOW + HOUR
    # What came back by itself still counts; of the refusals it is not known which are true.
    with running.database.read() as session:
        [address] = suppressed(session)
        mine = session.get_one(factories.Subscriber, running.mails[0].subscriber_id).address
        assert address == mine
    with running.database.write() as session:
        assert digest_state.resume_digest(session, running.id, NOW + 2 * HOUR)
    running.send(121, 399, first_attempt_at=NOW + 3 * HOUR)
    running.watch()
    assert running.suppressed() == 1
    # A later refusal is as good as any.
    running.send(399, 400, failed, **REFUSED, first_attempt_at=NOW + 3 * HOUR)
    running.watch()
    assert running.suppressed() == 2


def test_a_digest_may_be_resumed_before_anybody_has_looked(running: Running) -> None:
    failed = DeliveryStatus.FAILED
    running.send(0, 300)
    running.send(300, 302, failed, **REFUSED)
    running.watch()
    assert running.suppressed() == 2
    running.send(302, 320, failed, **REFUSED)
    reason = "the relay refused 20 mails in a row, the last one with: 550 5.1.1 No such user"
    with running.database.write() as session:
        assert not watch.resume_digest(session, running.id, now=NOW + MINUTE)
        assert digest_state.pause_digest(session, running.id, reason)
        assert watch.resume_digest(session, running.id, now=NOW + MINUTE)
    running.watch()
    assert running.suppressed() == 0
    # The next time it is the same.
    running.send(320, 325, failed, **REFUSED, first_attempt_at=NOW + 2 * MINUTE)
    with running.database.write() as session:
        assert digest_state.pause_digest(session, running.id, reason)
    running.watch()
    assert running.suppressed() == 0


def test_a_relay_that_fails_again_is_not_believed_again(running: Running) -> None:
    failed = DeliveryStatus.FAILED
    reason = "the relay refused 20 of the last 100 mails"
    running.send(0, 300)
    for hour in (0, 2):
        with running.database.write() as session:
            first = NOW + hour * HOUR
            assert digest_state.pause_digest(session, running.id, reason)
        running.send(300, 310, failed, **REFUSED, first_attempt_at=first)
        with running.database.write() as session:
            watch.watch_digest(session, running.alerts, running.id, LIMITS, now=first + MINUTE)
            assert digest_state.resume_digest(session, running.id, first + HOUR)
        assert running.suppressed() == 0
        with running.database.write() as session:
            session.execute(BounceEvent.__table__.delete())


def test_a_digest_is_watched_until_its_failures_have_been_read(running: Running) -> None:
    running.send(0, 399)
    running.send(399, 400, DeliveryStatus.FAILED, step="rcpt", code=550, reply="5.1.1 No")
    with running.database.write() as session:
        digest_state.finish_digests(session, NOW)
        assert watch.watched(session) == [running.id]
    running.watch()
    assert running.suppressed() == 1
    with running.database.write() as session:
        assert watch.watched(session) == []
        assert digest_state.reopen_digest(session, running.id)
        assert watch.watched(session) == [running.id]
        digest_state.finish_digests(session, NOW + MINUTE)
        assert watch.watched(session) == [running.id]


def test_many_failures_are_read_some_at_a_time(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_mails, "AT_ONCE", 7)
    running.send(0, 380)
    running.send(380, 400, DeliveryStatus.FAILED, step="rcpt", code=550, reply="5.1.1 No")
    running.watch()
    # Exactly one in twenty.
    assert running.suppressed() == 20
    assert running.digest().status is DigestStatus.PAUSED


def test_notices_that_were_refused_are_read_too(running: Running) -> None:
    failed = {"status": DeliveryStatus.FAILED, "step": "rcpt", "code": 550, "outcome_at": NOW}
    with running.database.write() as session:
        factories.notice(session, running.keys, "gone@example.com", reply="5.1.1 No", **failed)
        factories.notice(session, running.keys, "full@example.com", reply="5.2.2 Full", **failed)
        old = failed | {"outcome_at": NOW - timedelta(days=30)}
        factories.notice(session, running.keys, "old@example.com", reply="5.1.1 No", **old)
    for expected in (2, 0):
        with running.database.write() as session:
            assert refused_mails.read_failed_notices(session, now=NOW + HOUR) == expected
    with running.database.read() as session:
        assert session.scalars(select(Suppression.address)).all() == ["gone@example.com"]


def test_a_running_digest_counts_no_more_of_its_mails_than_it_must(running: Running) -> None:
    running.send(0, 400)
    running.report(running.mails[:2])
    with running.database.write() as session, statements(running.database) as seen:
        watch.watch_digest(session, running.alerts, running.id, LIMITS, now=NOW)
    counts = [asked for asked in seen if "delivery" in asked and "count" in asked.lower()]
    # Two events say nothing about any number of mails.
    assert counts == []


def test_readers_of_another_newsletter_are_not_judged_by_it(
    running: Running, database: Database, keys: Keys
) -> None:
    with database.write() as session:
        other = factories.schedule(session, factories.newsletter(session, "weekly"))
        reader = factories.reader(session, keys, other, "other@example.org")
        edition = factories.edition(session, factories.digest(session, other))
        mail = factories.delivery(session, edition, reader, status=DeliveryStatus.SENT)
    running.send(0, 200)
    running.report([mail])
    running.report(running.mails[:50])
    with database.read() as session:
        assert suppressed(session) == {"other@example.org": "bounced"}
        assert session.scalar(select(func.count()).select_from(Schedule)) == 2
