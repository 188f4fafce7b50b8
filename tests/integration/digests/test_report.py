"""Reports: the sums of a digest, told to staff exactly once, and nobody's address."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.db import Database
from mailer.digests.staff_mail.report import (
    queue_report,
    read_report,
    report_content,
    report_once,
    unreported,
)
from mailer.errors import NotFound
from mailer.ledger import digest_state
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Notice,
    NoticeKind,
    Subscription,
)
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support.factories import NOW
from tests.support.sending import alerts

S = DeliveryStatus

FAILURES = [
    ("a@one.example", 550, "5.1.1 no such user anna"),
    ("b@one.example", 550, "5.1.1 no such user boris"),
    ("c@two.example", 550, "no such user"),
    ("d@two.example", 554, "5.7.1 we do not like this"),
    ("e@two.example", None, "unsupported_eai: the relay does not offer SMTPUTF8"),
    ("f@three.example", 552, "5.2.2 full"),
]


@pytest.fixture
def digest(database: Database, keys: Keys) -> Digest:
    """A digest of which all is done with, in every way."""
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        found = make.digest(session, schedule)
        edition = make.edition(session, found)
        for address, code, reply in FAILURES:
            make.delivery(
                session, edition, make.reader(session, keys, schedule, address),
                status=DeliveryStatus.FAILED, code=code, reply=reply,
            )  # fmt: skip
        for number, status in enumerate(("sent", "sent", "sent", "unknown", "skipped")):
            reader = make.reader(session, keys, schedule, f"reader{number}@four.example")
            make.delivery(session, edition, reader, status=DeliveryStatus(status))
        return found


def test_it_adds_up_and_names_nobody(database: Database, keys: Keys, digest: Digest) -> None:
    with database.write() as session:
        rows = session.scalars(select(Subscription).order_by(Subscription.id.desc())).all()
        rows[0].left_at = NOW - timedelta(hours=1)
        rows[1].left_at = NOW + timedelta(hours=1)
    with database.read() as session:
        found = read_report(session, digest.id)
        content = report_content(session, alerts(keys), found)
    assert (found.deliveries.sent, found.deliveries.unknown, found.deliveries.skipped) == (3, 1, 1)
    assert found.failures == [
        ("bad_mailbox", 3), ("mailbox_full", 1), ("policy", 1), ("unsendable", 1)
    ]  # fmt: skip
    assert found.domains == [("two.example", 3), ("one.example", 2), ("three.example", 1)]
    assert found.left == 1
    assert content.subject == "Report: News of the day"
    for words in ("Sent: 3", "Failed: 6", "In doubt: 1", "Unsubscribed since: 1"):
        assert words in content.text
    assert "3 mailbox does not exist" in content.text
    assert "3 two.example" in content.text
    for part in (content.html, content.text):
        assert "@" not in part
        assert "anna" not in part


def test_each_address_gets_the_report_once(database: Database, keys: Keys, digest: Digest) -> None:
    staff = alerts(keys, "desk@news.example", "chief@news.example")
    with database.write() as session:
        assert digest_state.finish_digests(session, NOW) == [digest.id]
    assert [report_once(database, staff, digest.id, lambda: NOW) for _ in range(2)] == [True, False]
    with database.read() as session:
        told = session.execute(select(Notice.kind, Notice.address).order_by(Notice.id)).all()
    assert [tuple(row) for row in told] == [
        (NoticeKind.REPORT, "desk@news.example"),
        (NoticeKind.REPORT, "chief@news.example"),
    ]


def test_staff_are_told_once(database: Database, keys: Keys, digest: Digest) -> None:
    def told() -> bool:
        with database.read() as session:
            content = report_content(session, alerts(keys), read_report(session, digest.id))
        with database.write() as session:
            return queue_report(session, alerts(keys), digest.id, content, now=NOW)

    assert not told()
    with database.write() as session:
        assert unreported(session) == []
        assert digest_state.finish_digests(session, NOW) == [digest.id]
        assert unreported(session) == [digest.id]
    assert told()
    assert not told()
    # It is sent once more, to those in doubt: the report stays the one.
    with database.write() as session:
        assert unreported(session) == []
        assert digest_state.reopen_digest(session, digest.id)
        assert digest_state.finish_digests(session, NOW) == [digest.id]
        assert unreported(session) == []
    assert not told()
    with database.read() as session:
        notice = session.scalars(select(Notice)).one()
        assert (notice.kind, notice.address) == (NoticeKind.REPORT, "desk@news.example")


def test_when_only_mails_for_later_are_left_staff_are_told_then_and_not_again(
    database: Database, keys: Keys, digest: Digest
) -> None:
    def set_rows(before: DeliveryStatus, after: DeliveryStatus) -> None:
        with database.write() as session:
            holder = make.worker(session).id if after is S.CLAIMED else None
            session.execute(
                update(Delivery)
                .where(Delivery.status == before)
                .values(status=after, worker_id=holder)
            )

    def wanted() -> bool:
        with database.read() as session:
            return unreported(session) == [digest.id]

    # Nothing is done with yet, or something is under way.
    set_rows(S.FAILED, S.DEFERRED)
    set_rows(S.SENT, S.CLAIMED)
    assert not wanted()
    set_rows(S.UNKNOWN, S.SKIPPED)
    set_rows(S.CLAIMED, S.DEFERRED)
    assert not wanted()
    with database.write() as session:
        session.execute(update(Delivery).where(Delivery.id <= 3).values(status=S.SENT))
    assert wanted()
    with database.write() as session:
        content = report_content(session, alerts(keys), read_report(session, digest.id))
        assert "Sent: 3\n" in content.text
        assert "Waiting: 6\n" in content.text
        assert queue_report(session, alerts(keys), digest.id, content, now=NOW)
        assert not queue_report(session, alerts(keys), digest.id, content, now=NOW)
    set_rows(S.DEFERRED, S.SENT)
    with database.write() as session:
        assert digest_state.finish_digests(session, NOW) == [digest.id]
    assert not wanted()


def test_what_is_not_sent_is_not_told(database: Database, keys: Keys, digest: Digest) -> None:
    with database.write() as session:
        session.get_one(Digest, digest.id).status = DigestStatus.CANCELLED
        assert unreported(session) == []
        assert not queue_report(session, alerts(keys), digest.id, None, now=NOW)
    with database.read() as session, pytest.raises(NotFound):
        read_report(session, 9999)
