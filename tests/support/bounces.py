"""Makes what tests of bounces share: digests that were sent, and reports about their mails."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.bounces.evidence import Evidence, Recorded, record
from mailer.bounces.reasons import Reason
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    EvidenceKind,
    Notice,
    Schedule,
    Subscriber,
    Suppression,
)
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW

HARD = EvidenceKind.HARD
REASONS = {
    EvidenceKind.HARD: Reason.USER_UNKNOWN,
    EvidenceKind.SOFT: Reason.MAILBOX_FULL,
    EvidenceKind.COMPLAINT: Reason.ABUSE,
    EvidenceKind.UNSUBSCRIBE: Reason.OPT_OUT,
}


@dataclass(frozen=True)
class SentDigest:
    """A digest and its mails, in the order of their readers."""

    id: int
    mails: Sequence[Delivery]


def sent_digest(
    session: Session, schedule: Schedule, *, at: datetime = NOW, **values: Any
) -> SentDigest:
    """A digest that the relay took for every reader of `schedule`."""
    digest = factories.digest(
        session, schedule, **{"due_at": at, "status": DigestStatus.SENT, "finished_at": at} | values
    )
    factories.deliveries(
        session,
        factories.edition(session, digest),
        schedule,
        status=DeliveryStatus.SENT,
        created_at=at,
        first_attempt_at=at,
        outcome_at=at,
    )
    return SentDigest(digest.id, mails_of(session, digest))


def mails_of(session: Session, digest: Digest) -> Sequence[Delivery]:
    return session.scalars(
        select(Delivery).where(Delivery.digest_id == digest.id).order_by(Delivery.subscriber_id)
    ).all()


def reference(keys: Keys, mail: Delivery | Notice) -> str:
    return keys.reference(mail.__tablename__, mail.id, mail.created_at)


def evidence(
    keys: Keys, mail: Delivery | Notice, kind: EvidenceKind = HARD, **values: Any
) -> Evidence:
    """A report about this mail, that came an hour after it."""
    report = Evidence(
        references=(reference(keys, mail),),
        kind=kind,
        reason=REASONS[kind],
        status="5.1.1" if kind is HARD else None,
        diagnostic="550 5.1.1 No such user",
        source="imap",
        at=mail.created_at + timedelta(hours=1),
    )
    return replace(report, **values)


def report(
    session: Session,
    keys: Keys,
    mails: Sequence[Delivery | Notice],
    kind: EvidenceKind = HARD,
    *,
    now: datetime | None = None,
    **values: Any,
) -> Recorded:
    """Record a report about each of these mails, an hour after the first unless `now` says otherwise."""
    reports = [evidence(keys, mail, kind, **values) for mail in mails]
    return record(session, reports, keys, now=now or mails[0].created_at + timedelta(hours=1))


def suppressed(session: Session) -> dict[str, str]:
    """The addresses that are suppressed everywhere, and why."""
    rows = session.execute(
        select(Subscriber.address, Suppression.reason)
        .join(Subscriber, Subscriber.key_hash == Suppression.key_hash)
        .where(Suppression.newsletter_id.is_(None))
        .order_by(Subscriber.id)
    )
    return {address: reason.value for address, reason in rows}
