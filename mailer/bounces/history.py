"""Reads for staff what came back: of one reader's mails, and which digests to look at. Only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from mailer.models import (
    BounceEvent,
    Digest,
    EvidenceKind,
    Newsletter,
    Notice,
    NoticeKind,
    Schedule,
)


@dataclass(frozen=True)
class CameBack:
    """One thing that came back of a mail to one reader.

    Attributes:
        at: when it was reported.
        digest: None if the mail was a notice, of the kind `notice`.
        reason: a word of `mailer.bounces.reasons`.
        status, diagnostic: what the receiving server said.
        source: how it was learned.
    """

    at: datetime
    kind: EvidenceKind
    reason: str
    digest: int | None
    notice: NoticeKind | None
    status: str | None
    diagnostic: str | None
    source: str


@dataclass(frozen=True)
class AlarmingDigest:
    """A digest of which so much came back that staff should look at it.

    Attributes:
        withheld: whether so many of its mails bounced that they suppress nobody.
        complaints_warned_at: when its complaints reached the rate of which staff are warned.
    """

    digest: int
    newsletter: str
    schedule: str
    hard: int
    complaints: int
    withheld: bool
    complaints_warned_at: datetime | None


def came_back_of(session: Session, key_hash: str) -> list[CameBack]:
    """List what came back of the mails to one address, the oldest first."""
    rows = session.execute(
        select(
            BounceEvent.reported_at,
            BounceEvent.kind,
            BounceEvent.reason,
            BounceEvent.digest_id,
            Notice.kind,
            BounceEvent.status,
            BounceEvent.diagnostic,
            BounceEvent.source,
        )
        .outerjoin(Notice, Notice.id == BounceEvent.notice_id)
        .where(BounceEvent.key_hash == key_hash)
        .order_by(BounceEvent.reported_at, BounceEvent.id)
    )
    return [CameBack(*row) for row in rows]


def alarming_digests(session: Session, since: datetime) -> Sequence[AlarmingDigest]:
    """List the digests of which too much was found to come back after `since`, the oldest first."""
    rows = session.execute(
        select(Digest, Newsletter.slug, Schedule.name)
        .join(Schedule, Schedule.id == Digest.schedule_id)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .where(or_(Digest.complaints_warned_at > since, Digest.bounces_withheld_at > since))
        .order_by(Digest.id)
    ).all()
    numbers: dict[tuple[int | None, EvidenceKind], int] = {
        (digest_id, kind): number
        for digest_id, kind, number in session.execute(
            select(BounceEvent.digest_id, BounceEvent.kind, func.count())
            .where(BounceEvent.digest_id.in_([digest.id for digest, _, _ in rows]))
            .group_by(BounceEvent.digest_id, BounceEvent.kind)
        )
    }
    return [
        AlarmingDigest(
            digest=digest.id,
            newsletter=slug,
            schedule=name,
            hard=numbers.get((digest.id, EvidenceKind.HARD), 0),
            complaints=numbers.get((digest.id, EvidenceKind.COMPLAINT), 0),
            withheld=digest.bounces_withheld_at is not None,
            complaints_warned_at=digest.complaints_warned_at,
        )
        for digest, slug, name in rows
    ]
