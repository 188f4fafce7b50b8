"""Deliveries in doubt of which staff must say what happens: sent again, or left as they are.

What a sender does by itself with a mail in doubt is the ledger's; nobody but staff comes here, and
nothing here commits.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, literal_column, select, update
from sqlalchemy.orm import Session

from mailer.ledger.digest_state import reopen_digest
from mailer.ledger.transitions import RESEND, changing
from mailer.models import Delivery


def is_in_doubt() -> ColumnElement[bool]:
    """True for a delivery in doubt that nobody will send again, and of which staff have not decided."""
    # The words of the partial index: with a bound value neither database would see that it fits.
    return and_(Delivery.status == literal_column("'unknown'"), Delivery.dropped_at.is_(None))


def in_doubt(session: Session) -> dict[int, int]:
    """How many deliveries in doubt wait for staff, by the digest's id, the latest digest first."""
    rows = session.execute(
        select(Delivery.digest_id, func.count())
        .where(is_in_doubt())
        .group_by(Delivery.digest_id)
        .order_by(Delivery.digest_id.desc())
    )
    return {digest_id: number for digest_id, number in rows}  # noqa: C416


def in_doubt_of(session: Session, digest_id: int) -> int:
    """How many deliveries of this digest are in doubt and wait for staff."""
    found = session.scalar(
        select(func.count())
        .select_from(Delivery)
        .where(Delivery.digest_id == digest_id, is_in_doubt())
    )
    return found or 0


def resend(session: Session, digest_id: int, now: datetime) -> int | None:
    """Queue the rows in doubt of a digest once more, however often they were in doubt.

    They are the same mails, with the same Message-ID. A digest that was closed as sent is being sent
    again; one that is paused stays so, and they wait.

    Returns:
        How many; None where the digest was cancelled or never sent.
    """
    if not in_doubt_of(session, digest_id):
        return 0
    # First, because whoever closes a digest waits for this row, and then looks at its mails again.
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
    """Leave the rows in doubt of a digest as they are: they count as had, and need nobody any more.

    Returns:
        How many.
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
