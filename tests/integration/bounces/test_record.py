"""Recording what came back: only of mails of ours, once, and what follows from it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select

from mailer.bounces.evidence import Evidence, Recorded, record
from mailer.bounces.reasons import Reason
from mailer.db import Database
from mailer.models import (
    BounceEvent,
    ConsentEvent,
    ConsentKind,
    Delivery,
    DeliveryStatus,
    EvidenceKind,
    NoticeKind,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.permission.suppress import lift, suppress
from mailer.tokens import Keys
from tests.support import factories
from tests.support.bounces import SentDigest, evidence, reference, report, sent_digest, suppressed
from tests.support.factories import NOW

HARD, SOFT = EvidenceKind.HARD, EvidenceKind.SOFT
COMPLAINT, UNSUBSCRIBE = EvidenceKind.COMPLAINT, EvidenceKind.UNSUBSCRIBE
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def sent(database: Database, keys: Keys) -> SentDigest:
    """A digest that ten readers got: reader1@example.com and so on."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.readers(session, keys, schedule, 10)
        return sent_digest(session, schedule)


def test_a_hard_bounce_suppresses_its_reader(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    with database.write() as session:
        recorded = report(
            session, keys, sent.mails[2:3], diagnostic="550 5.1.1 <anna@b.example>\x1b"
        )
    assert recorded == Recorded(recorded=1, repeated=0, unknown=0)
    with database.read() as session:
        event = session.scalars(select(BounceEvent)).one()
        suppression = session.scalars(select(Suppression)).one()
        status = session.get_one(Delivery, sent.mails[2].id).status
        assert suppressed(session) == {"reader3@example.com": "bounced"}
    assert (event.delivery_id, event.digest_id, event.domain) == (
        sent.mails[2].id,
        sent.id,
        "example.com",
    )
    assert (event.kind, event.reason, event.status) == (HARD, "user_unknown", "5.1.1")
    assert event.diagnostic == "550 5.1.1 <***>"
    assert (event.mailed_at, event.reported_at) == (NOW, NOW + HOUR)
    assert (suppression.event_id, suppression.address) == (event.id, "reader3@example.com")
    # The ledger tells what the relay said, for ever.
    assert status is DeliveryStatus.SENT


def test_the_same_report_twice_counts_once(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    with database.write() as session:
        assert report(session, keys, [*sent.mails[:2], sent.mails[0]]) == (2, 1, 0)
    with database.write() as session:
        assert report(session, keys, sent.mails[:3], source="ses") == (1, 2, 0)
        assert report(session, keys, sent.mails[:1], SOFT) == (1, 0, 0)
        assert session.scalar(select(func.count()).select_from(BounceEvent)) == 4


def forged(keys: Keys, mail: Delivery, other: Delivery) -> list[tuple[str, ...]]:
    good = reference(keys, mail)
    number, _, tag = good.partition(".")
    return [
        (),
        ("",),
        (f"{number}.{'0' * 32}",),
        (f"d{other.id}.{tag}",),
        (f"n{mail.id}.{tag}",),
        (f"d999999.{tag}",),
        (f"d{2**70}.{tag}",),
        (number, tag, f"<{good}@news.example>", good + "0", f" {good}"),
        *[("x",) * 20 + (good,)],
    ]


def test_a_forged_report_reaches_nobody(database: Database, keys: Keys, sent: SentDigest) -> None:
    mail, other = sent.mails[:2]
    reports = [
        evidence(keys, mail, kind, references=references)
        for references in forged(keys, mail, other)
        for kind in EvidenceKind
    ]
    with database.write() as session:
        recorded = record(session, reports, keys, now=NOW + HOUR)
        assert recorded == Recorded(recorded=0, repeated=0, unknown=len(reports))
        assert session.scalar(select(func.count()).select_from(BounceEvent)) == 0
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == 0
        assert suppressed(session) == {}
        assert session.scalar(select(func.count(Subscription.left_at))) == 0


def test_the_first_reference_that_verifies_counts(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    first, second = sent.mails[:2]
    number = reference(keys, first).partition(".")[0]
    references = (f"{number}.{'0' * 32}", reference(keys, second).upper(), reference(keys, first))
    with database.write() as session:
        assert report(session, keys, [first], references=references) == (1, 0, 0)
        assert suppressed(session) == {"reader2@example.com": "bounced"}


@pytest.mark.parametrize(
    "reason", [Reason.POLICY, Reason.SPAM, Reason.BLOCKED, Reason.AUTHENTICATION, Reason.SIZE]
)
def test_a_refusal_of_the_mail_says_nothing_about_the_reader(
    database: Database, keys: Keys, reason: Reason
) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.reader(session, keys, schedule)
        for day in range(0, 60, 4):
            digest = sent_digest(session, schedule, at=NOW + day * DAY)
            assert report(session, keys, digest.mails, SOFT, reason=reason) == (1, 0, 0)
        assert suppressed(session) == {}


def test_a_complaint_stops_everything_and_is_in_the_consent_log(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    with database.write() as session:
        report(session, keys, sent.mails[:1])
        assert suppressed(session) == {"reader1@example.com": "bounced"}
        report(session, keys, sent.mails[:2], COMPLAINT, now=NOW + 2 * HOUR)
        assert suppressed(session) == {
            "reader1@example.com": "complained",
            "reader2@example.com": "complained",
        }
        # A bounce that comes later changes nothing.
        report(session, keys, sent.mails[1:2], now=NOW + 3 * HOUR)
        assert suppressed(session)["reader2@example.com"] == "complained"
    with database.read() as session:
        events = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)).all()
        newsletter_id = session.scalars(select(Subscription.newsletter_id)).first()
    assert [(event.kind, event.address) for event in events] == [
        (ConsentKind.COMPLAINED, "reader1@example.com"),
        (ConsentKind.COMPLAINED, "reader2@example.com"),
    ]
    assert {event.source for event in events} == {"reported through imap"}
    assert {event.newsletter_id for event in events} == {newsletter_id}


def test_an_unsubscription_ends_the_subscription(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    with database.write() as session:
        for _ in range(2):
            report(session, keys, sent.mails[:1], UNSUBSCRIBE)
    with database.read() as session:
        left = session.scalars(select(Subscription).where(Subscription.left_at.is_not(None))).one()
        events = session.scalars(select(ConsentEvent)).all()
        assert suppressed(session) == {}
    assert (left.id, left.left_reason) == (sent.mails[0].subscription_id, "reader")
    assert [event.kind for event in events] == [ConsentKind.UNSUBSCRIBED]


def test_who_came_back_can_leave_again_by_the_same_mail(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    with database.write() as session:
        report(session, keys, sent.mails[:1], UNSUBSCRIBE)
    with database.write() as session:
        subscription = session.get_one(Subscription, sent.mails[0].subscription_id)
        subscription.left_at = None
    with database.write() as session:
        assert report(session, keys, sent.mails[:1], UNSUBSCRIBE) == (0, 1, 0)
    with database.read() as session:
        assert session.scalar(select(func.count(Subscription.left_at))) == 1


@pytest.mark.parametrize("kind", [HARD, COMPLAINT])
def test_an_older_report_does_not_suppress_who_was_lifted_since(
    database: Database, keys: Keys, sent: SentDigest, kind: EvidenceKind
) -> None:
    address = keys.key_hash("reader1@example.com")
    with database.write() as session:
        assert lift(session, address, now=NOW + 2 * HOUR) == 0
        report(session, keys, sent.mails[:1], kind, now=NOW + 3 * HOUR)
        assert suppressed(session) == {}
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == 0
        # Of a later mail it does.
        schedule_id = session.get_one(Subscription, sent.mails[0].subscription_id).schedule_id
        later = sent_digest(session, session.get_one(factories.Schedule, schedule_id), at=NOW + DAY)
        report(session, keys, later.mails[:1], kind)
        assert set(suppressed(session)) == {"reader1@example.com"}


def test_a_complaint_about_an_old_mail_counts_if_it_is_new(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    with database.write() as session:
        lift(session, keys.key_hash("reader1@example.com"), now=NOW + HOUR)
        late = evidence(keys, sent.mails[0], COMPLAINT, at=NOW + 2 * HOUR)
        record(session, [late], keys, now=NOW + 3 * HOUR)
        assert suppressed(session) == {"reader1@example.com": "complained"}


def test_a_clock_that_is_wrong_elsewhere_changes_nothing(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    now = NOW + HOUR
    reports = [
        evidence(keys, sent.mails[0], at=NOW + 1000 * DAY),
        evidence(keys, sent.mails[1], at=NOW - 1000 * DAY),
    ]
    with database.write() as session:
        record(session, reports, keys, now=now)
        times = session.scalars(select(BounceEvent.reported_at).order_by(BounceEvent.id)).all()
    assert list(times) == [now, NOW]


def test_a_notice_that_bounces_suppresses_too_and_again_after_it_was_forgiven(
    database: Database, keys: Keys
) -> None:
    def states() -> list[tuple[str | None, str]]:
        return [(row.address, row.reason.value) for row in session.scalars(select(Suppression))]

    with database.write() as session:
        first = factories.notice(session, keys, first_attempt_at=NOW)
        assert report(session, keys, [first]) == (1, 0, 0)
        assert states() == [("newcomer@example.com", "bounced")]
        since = session.scalars(select(Suppression.created_at)).one()
        later = factories.notice(session, keys, created_at=NOW + 40 * DAY)
        report(session, keys, [later])
        assert states() == [("newcomer@example.com", "bounced")]
        row = session.execute(select(Suppression.created_at, Suppression.event_id)).one()
        assert row.created_at == since + 40 * DAY
        assert session.get_one(BounceEvent, row.event_id).notice_id == later.id
        # What comes back of an earlier one does not shorten the time.
        report(session, keys, [first], SOFT, now=NOW + 41 * DAY)
        assert session.scalars(select(Suppression.created_at)).one() == row.created_at


@pytest.mark.parametrize("kind", [NoticeKind.ALERT, NoticeKind.REVIEW, NoticeKind.TEST])
@pytest.mark.parametrize("evidence_kind", [HARD, COMPLAINT])
def test_mails_to_staff_do_not_stop(
    database: Database, keys: Keys, kind: NoticeKind, evidence_kind: EvidenceKind
) -> None:
    with database.write() as session:
        notice = factories.notice(session, keys, "desk@news.example", kind=kind)
        assert report(session, keys, [notice], evidence_kind) == (1, 0, 0)
        assert session.scalar(select(func.count()).select_from(Suppression)) == 0


def test_a_decision_of_people_stays(database: Database, keys: Keys, sent: SentDigest) -> None:
    with database.write() as session:
        for mail in sent.mails[:2]:
            suppress(
                session,
                key_hash=session.get_one(factories.Subscriber, mail.subscriber_id).key_hash,
                address=None,
                reason=SuppressionReason.STAFF,
                detail="by phone",
                now=NOW,
            )
        report(session, keys, sent.mails[:1])
        report(session, keys, sent.mails[1:2], COMPLAINT)
        rows = session.execute(select(Suppression.reason, Suppression.detail)).all()
    assert {tuple(row) for row in rows} == {(SuppressionReason.STAFF, "by phone")}


def test_nothing_personal_is_kept_of_an_erased_reader(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    with database.write() as session:
        reader = session.get_one(factories.Subscriber, sent.mails[0].subscriber_id)
        reader.erased_at = NOW
        session.flush()
        report(session, keys, sent.mails[:1], COMPLAINT)
        assert session.scalars(select(BounceEvent.domain)).one() is None
        # Their hash is not known any more, and a tombstone consented to nothing.
        assert session.scalars(select(ConsentEvent.id)).all() == []
        assert session.scalars(select(Suppression.id)).all() == []


def test_two_processes_record_the_same_reports_once(
    database: Database, keys: Keys, sent: SentDigest
) -> None:
    both = Barrier(2)

    def record_in_turn(mails: Sequence[Delivery]) -> int:
        recorded = 0
        for kind in (HARD, COMPLAINT, SOFT):
            both.wait(timeout=30)
            with database.write() as session:
                recorded += report(session, keys, mails, kind).recorded
        return recorded

    with ThreadPoolExecutor(2) as pool:
        parts = [pool.submit(record_in_turn, mails) for mails in (sent.mails, sent.mails[::-1])]
        assert sum(part.result() for part in parts) == 3 * len(sent.mails)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(BounceEvent)) == 30
        assert len(suppressed(session)) == 10


@pytest.mark.parametrize("kind", [HARD, COMPLAINT, UNSUBSCRIBE])
def test_two_processes_never_wait_for_each_other(
    database: Database, keys: Keys, kind: EvidenceKind
) -> None:
    """Each records what came back of another digest to the same readers, in another order."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.readers(session, keys, schedule, 60)
        digests = [sent_digest(session, schedule, at=NOW + hours * HOUR) for hours in (0, 1)]
    both = Barrier(2)

    def record_all(mails: Sequence[Delivery]) -> int:
        both.wait(timeout=30)
        with database.write() as session:
            return report(session, keys, mails, kind).recorded

    with ThreadPoolExecutor(2) as pool:
        first, second = (digest.mails for digest in digests)
        parts = [pool.submit(record_all, mails) for mails in (first, second[::-1])]
        assert sum(part.result() for part in parts) == 120


def test_nothing_is_recorded_of_nothing(database: Database, keys: Keys) -> None:
    with database.write() as session:
        assert record(session, [], keys, now=NOW) == (0, 0, 0)


def test_a_batch_of_every_kind(database: Database, keys: Keys, sent: SentDigest) -> None:
    kinds = (HARD, SOFT, COMPLAINT, UNSUBSCRIBE)
    reports: list[Evidence] = [
        evidence(keys, mail, kinds[number % 4]) for number, mail in enumerate(sent.mails)
    ]
    reports.append(replace(reports[0], references=("d1.0",)))
    with database.write() as session:
        assert record(session, reports, keys, now=NOW + HOUR) == (10, 0, 1)
        assert record(session, reports, keys, now=NOW + HOUR) == (0, 10, 1)
        assert suppressed(session) == {
            "reader1@example.com": "bounced",
            "reader3@example.com": "complained",
            "reader5@example.com": "bounced",
            "reader7@example.com": "complained",
            "reader9@example.com": "bounced",
        }
        assert session.scalar(select(func.count(Subscription.left_at))) == 2
