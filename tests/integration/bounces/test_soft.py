"""Soft bounces in the database: which of a reader's mails count, and what sets the count back."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.bounces import refused_mails
from mailer.bounces.reasons import Reason
from mailer.db import Database
from mailer.models import (
    BounceEvent,
    Delivery,
    DeliveryStatus,
    EvidenceKind,
    Schedule,
    Subscriber,
    Suppression,
)
from mailer.permission.suppress import lift
from mailer.tokens import Keys
from tests.support import factories
from tests.support.bounces import report, sent_digest, suppressed
from tests.support.factories import NOW

SOFT, HARD = EvidenceKind.SOFT, EvidenceKind.HARD
DAY = timedelta(days=1)
FULL = {"reader1@example.com": "bounced"}


class Reader:
    """One of two readers, whose mails come back as a test says; the other one's arrive."""

    def __init__(self, session: Session, keys: Keys) -> None:
        self.session, self.keys = session, keys
        self.schedule = factories.schedule(session, factories.newsletter(session))
        factories.readers(session, keys, self.schedule, 2)
        self.mails: dict[float, Delivery] = {}

    def send(self, day: float, schedule: Schedule | None = None) -> Delivery:
        """Have a digest go out on that day."""
        mail = sent_digest(self.session, schedule or self.schedule, at=NOW + day * DAY).mails[0]
        self.mails[day] = mail
        return mail

    def bounce(self, day: float, kind: EvidenceKind = SOFT, **values: object) -> None:
        """Have the mail of that day come back, an hour later."""
        report(self.session, self.keys, [self.mails.get(day) or self.send(day)], kind, **values)

    def suppressed(self) -> dict[str, str]:
        return suppressed(self.session)


def full_on(reader: Reader, days: Sequence[float]) -> None:
    for day in days:
        reader.bounce(day)


@pytest.mark.parametrize(
    ("days", "is_suppressed"),
    [
        ([0, 4, 8, 11], False),
        ([0, 4, 8, 11, 13], False),
        ([0, 4, 8, 11, 14], True),
        ([0, 0.1, 0.2, 0.3, 14], False),
    ],
)
def test_five_digests_over_two_weeks(
    database: Database, keys: Keys, days: list[float], is_suppressed: bool
) -> None:
    with database.write() as session:
        reader = Reader(session, keys)
        full_on(reader, days)
        assert reader.suppressed() == (FULL if is_suppressed else {})
        if is_suppressed:
            event = session.scalars(
                select(BounceEvent).join(Suppression, Suppression.event_id == BounceEvent.id)
            ).one()
            assert (event.delivery_id, event.reason) == (reader.mails[14].id, "mailbox_full")


def test_a_mail_that_arrived_in_between_begins_it_anew(database: Database, keys: Keys) -> None:
    with database.write() as session:
        reader = Reader(session, keys)
        full_on(reader, [0, 4])
        reader.send(6)
        full_on(reader, [8, 11, 14])
        assert reader.suppressed() == {}
        # The one that seemed to have arrived comes back after all.
        reader.bounce(6, now=NOW + 15 * DAY)
        assert reader.suppressed() == FULL


def test_a_mail_of_another_newsletter_that_arrived_counts_too(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        reader = Reader(session, keys)
        weekly = factories.schedule(session, factories.newsletter(session, "weekly"))
        one = session.scalars(select(Subscriber).order_by(Subscriber.id)).first()
        assert one is not None
        factories.subscription(session, one, weekly)
        full_on(reader, [0, 4])
        reader.send(6, weekly)
        full_on(reader, [8, 11, 14])
        assert reader.suppressed() == {}


@pytest.mark.parametrize(
    "status",
    [DeliveryStatus.UNKNOWN, DeliveryStatus.FAILED, DeliveryStatus.SKIPPED, DeliveryStatus.QUEUED],
)
def test_a_mail_that_did_not_surely_arrive_sets_nothing_back(
    database: Database, keys: Keys, status: DeliveryStatus
) -> None:
    with database.write() as session:
        reader = Reader(session, keys)
        full_on(reader, [0, 4])
        session.get_one(Delivery, reader.send(6).id).status = status
        full_on(reader, [8, 11, 14])
        assert reader.suppressed() == FULL


def test_a_refusal_of_the_mail_neither_counts_nor_sets_back(database: Database, keys: Keys) -> None:
    with database.write() as session:
        reader = Reader(session, keys)
        full_on(reader, [0, 4])
        reader.bounce(6, reason=Reason.SPAM)
        full_on(reader, [8, 11])
        reader.bounce(14, reason=Reason.POLICY)
        assert reader.suppressed() == {}
        reader.bounce(15)
        assert reader.suppressed() == FULL


def test_a_mail_after_the_last_bounce_counts_when_nothing_has_come_back_for_long(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        reader = Reader(session, keys)
        full_on(reader, [0, 4, 8, 11])
        mail = reader.send(14)
        reader.send(15)
        # The report of the fifth comes late: by then the sixth has surely arrived.
        report(session, keys, [mail], SOFT, now=NOW + 21 * DAY)
        assert reader.suppressed() == {}


def test_who_confirmed_or_was_lifted_since_begins_anew(database: Database, keys: Keys) -> None:
    with database.write() as session:
        reader = Reader(session, keys)
        full_on(reader, [0, 4, 8])
        lift(session, keys.key_hash("reader1@example.com"), now=NOW + 9 * DAY)
        full_on(reader, [11, 14])
        assert reader.suppressed() == {}
        full_on(reader, [18, 22, 25])
        assert reader.suppressed() == FULL


def test_two_readers_are_judged_apart(database: Database, keys: Keys) -> None:
    with database.write() as session:
        reader = Reader(session, keys)
        for day in (0, 4, 8, 11, 14):
            digest = sent_digest(session, reader.schedule, at=NOW + day * DAY)
            # The other one's mailbox has room on one day.
            report(session, keys, digest.mails if day != 8 else digest.mails[:1], SOFT)
        assert reader.suppressed() == FULL


def test_a_digest_that_bounced_everywhere_counts_against_nobody(
    database: Database, keys: Keys
) -> None:
    """As when the relay, or a large provider, is down for days."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.readers(session, keys, schedule, 1)
        factories.many_readers(session, keys, schedule, 219, "example.org")
        for day in (0, 4, 8, 11, 14):
            digest = sent_digest(session, schedule, at=NOW + day * DAY)
            report(session, keys, digest.mails[: 12 if day == 8 else 11], SOFT)
        assert suppressed(session) == {}
        # Up to one in twenty it is the readers.
        digest = sent_digest(session, schedule, at=NOW + 15 * DAY)
        report(session, keys, digest.mails[:1], SOFT)
        assert suppressed(session) == FULL


def test_a_relay_that_takes_nothing_for_weeks_counts_against_nobody(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.readers(session, keys, schedule, 4)
        for day in (0, 4, 8, 11, 14, 18):
            at = NOW + day * DAY
            digest = factories.digest(session, schedule, due_at=at)
            factories.deliveries(
                session,
                factories.edition(session, digest),
                schedule,
                status=DeliveryStatus.FAILED,
                first_attempt_at=at,
                outcome_at=at + 2 * DAY,
                step="rcpt",
                code=450,
                reply="4.2.0 Not now",
            )
            assert refused_mails.read_failed_deliveries(session, digest.id, now=at + 2 * DAY) == 4
        assert suppressed(session) == {}
        assert set(session.scalars(select(BounceEvent.reason))) == {"expired"}
