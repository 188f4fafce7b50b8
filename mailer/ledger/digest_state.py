"""A digest on its way, as a whole: paused and resumed, cancelled, closed, counted. And the stop of all.

Changes the status of digests, and of deliveries only where their digest ends. Nothing here commits.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailer.ledger.predicates import has_left_overs, is_finished
from mailer.ledger.transitions import CANCEL, ending
from mailer.models import PENDING, Delivery, DeliveryStatus, Digest, DigestStatus, Installation


class Pause(NamedTuple):
    """What must not go on by itself, and why: one digest, or with None all sending.

    Attributes:
        refused: where all sending is to be paused because of the only senders that are in use: the From
            addresses that are refused. While a newsletter has another one, this digest alone is paused.
    """

    digest_id: int | None
    reason: str
    refused: frozenset[str] | None = None


@dataclass(frozen=True)
class Counts:
    """Where the deliveries of a digest stand; `in_doubt` adds up how often rows ended in doubt."""

    total: int
    pending: int
    sent: int
    failed: int
    skipped: int
    unknown: int
    cancelled: int
    in_doubt: int


def pause_digest(session: Session, digest_id: int, reason: str) -> bool:
    """Begin no more mails of a digest that is being sent.

    Returns:
        False where it is not being sent.
    """
    return _move(
        session, digest_id, (DigestStatus.SENDING,), status=DigestStatus.PAUSED, reason=reason
    )


def resume_digest(session: Session, digest_id: int) -> bool:
    """Go on with a paused digest.

    Returns:
        False where it is not paused.
    """
    return _move(
        session, digest_id, (DigestStatus.PAUSED,), status=DigestStatus.SENDING, reason=None
    )


def reopen_digest(session: Session, digest_id: int) -> bool:
    """Make sure that what is queued in this digest now is sent, also where it was closed as sent.

    Returns:
        False where it was cancelled, or never sent.
    """
    sent = (DigestStatus.SENDING, DigestStatus.SENT)
    if _move(session, digest_id, sent, status=DigestStatus.SENDING, finished_at=None):
        return True
    return _move(session, digest_id, (DigestStatus.PAUSED,), status=DigestStatus.PAUSED)


def pause_sending(session: Session, reason: str, now: datetime) -> bool:
    """Begin no more mails at all, until staff resume; False where that is so already."""
    found = session.scalar(
        update(Installation)
        .where(Installation.paused_at.is_(None))
        .values(paused_at=now, paused_reason=reason)
        .returning(Installation.id)
        .execution_options(synchronize_session=False)
    )
    return found is not None


def sending_is_paused(session: Session) -> bool:
    """Whether all sending is paused."""
    return session.scalar(select(Installation.paused_at)) is not None


def cancel_digest(session: Session, digest_id: int, now: datetime) -> bool:
    """Stop a digest for good. Mails that are on their way to the relay right now still arrive.

    Returns:
        False where it was sent, skipped or cancelled before.
    """
    before = (
        DigestStatus.SCHEDULED,
        DigestStatus.BUILDING,
        DigestStatus.SENDING,
        DigestStatus.PAUSED,
    )
    if not _move(session, digest_id, before, status=DigestStatus.CANCELLED, finished_at=now):
        return False
    _cancel_rows(session, digest_id, now)
    return True


def finish_digests(session: Session, now: datetime) -> list[int]:
    """Close every digest of which nothing will be sent any more; their ids.

    A mail that the relay turned away while its digest was being cancelled is cancelled with it.
    """
    for digest_id in session.scalars(select(Digest.id).where(has_left_overs())).all():
        _cancel_rows(session, digest_id, now)
    # Held first, and then looked at again: staff may be queueing mails in doubt once more (PostgreSQL
    # would judge by what this statement saw when it began).
    ended = session.scalars(select(Digest.id).where(is_finished()).with_for_update()).all()
    if not ended:
        return []
    return list(
        session.scalars(
            update(Digest)
            .where(Digest.id.in_(ended), is_finished())
            .values(status=DigestStatus.SENT, finished_at=now)
            .returning(Digest.id)
            .execution_options(synchronize_session=False)
        )
    )


def counts(session: Session, digest_id: int) -> Counts:
    """Where the deliveries of this digest stand. `total` is the sum of all but `in_doubt`."""
    found = {
        status: (number, doubts)
        for status, number, doubts in session.execute(
            select(Delivery.status, func.count(), func.sum(Delivery.in_doubt))
            .where(Delivery.digest_id == digest_id)
            .group_by(Delivery.status)
        )
    }

    def number(*statuses: DeliveryStatus) -> int:
        return sum(found[status][0] for status in statuses if status in found)

    return Counts(
        total=number(*DeliveryStatus),
        pending=number(*PENDING),
        sent=number(DeliveryStatus.SENT),
        failed=number(DeliveryStatus.FAILED),
        skipped=number(DeliveryStatus.SKIPPED),
        unknown=number(DeliveryStatus.UNKNOWN),
        cancelled=number(DeliveryStatus.CANCELLED),
        in_doubt=sum(int(doubts) for _, doubts in found.values()),
    )


def _move(
    session: Session, digest_id: int, before: Collection[DigestStatus], **values: object
) -> bool:
    found = session.scalar(
        update(Digest)
        .where(Digest.id == digest_id, Digest.status.in_(before))
        .values(values)
        .returning(Digest.id)
    )
    return found is not None


def _cancel_rows(session: Session, digest_id: int, now: datetime) -> None:
    for statement in ending(CANCEL, Delivery):
        session.execute(
            statement.where(Delivery.digest_id == digest_id).values(worker_id=None, outcome_at=now)
        )
