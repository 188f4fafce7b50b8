"""Pauses, resumes, cancels, closes and counts a digest as a whole.

Changes the status of digests, and of deliveries only when their digest ends.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session

from mailer.ledger.history.kept_counts import IN_DOUBT, kept_counts
from mailer.ledger.predicates import has_left_overs, is_finished
from mailer.ledger.transitions import CANCEL, HELD, WAITING, ending, is_in
from mailer.models import PENDING, Delivery, DeliveryStatus, Digest, DigestStatus


class Pause(NamedTuple):
    """What must be paused, and why: one digest, or all sending if `digest_id` is None.

    Attributes:
        refused: set if all sending is to be paused because the relay refuses the only senders in use: their
            From addresses. While a newsletter has another address, only this digest is paused.
    """

    digest_id: int | None
    reason: str
    refused: frozenset[str] | None = None


@dataclass(frozen=True)
class Counts:
    """How many deliveries of a digest have which status; `in_doubt` counts how often rows ended in doubt."""

    total: int
    pending: int
    sent: int
    failed: int
    skipped: int
    unknown: int
    cancelled: int
    in_doubt: int


def pause_digest(session: Session, digest_id: int, reason: str) -> bool:
    """Begin no more mails of a digest. Return False if it is not being sent."""
    before = (DigestStatus.SENDING,)
    return _move(session, digest_id, before, status=DigestStatus.PAUSED, reason=reason)


def resume_digest(session: Session, digest_id: int, now: datetime) -> bool:
    """Continue a paused digest. Return False if it is not paused.

    What comes back of mails that were tried before does not pause it again.
    """
    before = (DigestStatus.PAUSED,)
    return _move(
        session, digest_id, before, status=DigestStatus.SENDING, reason=None, resumed_at=now
    )


def reopen_digest(session: Session, digest_id: int) -> bool:
    """Make sure that what is queued in this digest now is sent, even if it was closed as sent.

    A paused one stays paused. Return False if it was cancelled, never sent, or is purged.
    """
    sent = (DigestStatus.SENDING, DigestStatus.SENT)
    if _move(session, digest_id, sent, status=DigestStatus.SENDING, finished_at=None):
        return True
    return _move(session, digest_id, (DigestStatus.PAUSED,), status=DigestStatus.PAUSED)


def cancel_digest(session: Session, digest_id: int, now: datetime) -> bool:
    """Stop a digest for good. Mails that are on their way to the relay right now still arrive.

    Return False if it was sent, skipped or cancelled before.
    """
    before = set(DigestStatus) - {DigestStatus.SENT, DigestStatus.SKIPPED, DigestStatus.CANCELLED}
    if not _move(session, digest_id, before, status=DigestStatus.CANCELLED, finished_at=now):
        return False
    _cancel_deliveries(session, digest_id, now)
    return True


def finish_digests(session: Session, now: datetime) -> list[int]:
    """Close every digest of which nothing will be sent any more, and return their ids.

    A mail that the relay rejected for now while its digest was being cancelled is cancelled with it.
    """
    for digest_id in session.scalars(select(Digest.id).where(has_left_overs())).all():
        _cancel_deliveries(session, digest_id, now)
    # Locked first, then looked at again: staff may be queueing mails in doubt once more. PostgreSQL would
    # judge by what this statement saw when it began.
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
    """Count the deliveries of this digest by status. `total` is the sum of all but `in_doubt`.

    Of a purged digest these are the numbers that were kept, however many rows are left.
    """
    kept = kept_counts(session, digest_id)
    numbers = count_rows(session, digest_id) if kept is None else kept

    def number(*statuses: DeliveryStatus) -> int:
        return sum(numbers.get(status.value, 0) for status in statuses)

    return Counts(
        total=number(*DeliveryStatus),
        pending=number(*PENDING),
        sent=number(DeliveryStatus.SENT),
        failed=number(DeliveryStatus.FAILED),
        skipped=number(DeliveryStatus.SKIPPED),
        unknown=number(DeliveryStatus.UNKNOWN),
        cancelled=number(DeliveryStatus.CANCELLED),
        in_doubt=numbers.get(IN_DOUBT, 0),
    )


def count_rows(session: Session, digest_id: int) -> dict[str, int]:
    """Count the rows of a digest by the words of their statuses, and how often they ended in doubt."""
    rows = session.execute(
        select(Delivery.status, func.count(), func.sum(Delivery.in_doubt))
        .where(Delivery.digest_id == digest_id)
        .group_by(Delivery.status)
    ).all()
    numbers = {status.value: count for status, count, _ in rows}
    return {**numbers, IN_DOUBT: sum(int(doubts) for _, _, doubts in rows)}


def _move(
    session: Session, digest_id: int, before: Collection[DigestStatus], **values: object
) -> bool:
    moved = session.scalar(
        update(Digest)
        .where(Digest.id == digest_id, Digest.status.in_(before), Digest.purged_at.is_(None))
        .values(values)
        .returning(Digest.id)
    )
    return moved is not None


def _cancel_deliveries(session: Session, digest_id: int, now: datetime) -> None:
    # Each of the two has an index of its own.
    for statuses in (WAITING, HELD):
        is_here = and_(Delivery.digest_id == digest_id, is_in(Delivery, statuses))
        for statement in ending(CANCEL, Delivery):
            session.execute(statement.where(is_here).values(worker_id=None, outcome_at=now))
