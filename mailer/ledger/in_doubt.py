"""Lets staff decide about deliveries in doubt: send them again, or leave them as they are.

Only staff's commands call this. What a sender does by itself with a mail in doubt is in `outcomes`.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, literal_column, select, update
from sqlalchemy.orm import Session

from mailer.ledger.digest_state import reopen_digest
from mailer.ledger.transitions import RESEND, changing
from mailer.models import Delivery


def is_in_doubt() -> ColumnElement[bool]:
    """Match a delivery in doubt about which staff have not decided yet."""
    # The words of the partial index: with a bound value neither database would see that it fits.
    return and_(Delivery.status == literal_column("'unknown'"), Delivery.dropped_at.is_(None))


def by_digest(session: Session) -> dict[int, int]:
    """Count the deliveries in doubt that wait for staff, by the digest's id, the latest digest first."""
    rows = session.execute(
        select(Delivery.digest_id, func.count())
        .where(is_in_doubt())
        .group_by(Delivery.digest_id)
        .order_by(Delivery.digest_id.desc())
    )
    return dict(rows.all())


def count_of(session: Session, digest_id: int) -> int:
    """Count the deliveries of this digest that are in doubt and wait for staff."""
    statement = select(func.count()).where(Delivery.digest_id == digest_id, is_in_doubt())
    return session.scalar(statement) or 0


def resend(session: Session, digest_id: int, now: datetime) -> int | None:
    """Queue the rows in doubt of a digest once more, however often they were in doubt.

    They are the same mails, with the same Message-ID. A digest that was closed as sent is reopened; one
    that is paused stays paused, and they wait.

    Returns:
        How many; None if the digest was cancelled or never sent.
    """
    if not count_of(session, digest_id):
        return 0
    # First, because a process that closes a digest waits for this row, and then looks at its mails again.
    if not reopen_digest(session, digest_id):
        return None
    return len(
        session.scalars(
            changing(RESEND, Delivery)
            .where(Delivery.digest_id == digest_id, is_in_doubt())
            .values(worker_id=None, next_attempt_at=now)
            .returning(Delivery.id)
        ).all()
    )


def drop(session: Session, digest_id: int, now: datetime) -> int:
    """Leave the rows in doubt of a digest as they are, and return how many.

    Their readers count as having the mail, and nobody needs to decide about them any more.
    """
    return len(
        session.scalars(
            update(Delivery)
            .where(Delivery.digest_id == digest_id, is_in_doubt())
            .values(dropped_at=now)
            .returning(Delivery.id)
            .execution_options(synchronize_session=False)
        ).all()
    )
