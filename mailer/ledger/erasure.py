"""Takes a person out of the ledger: ends the notices to them, and keeps of every row only what sums need.

Never deletes a row. A digest that is queued for them is stopped by the permission rule.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from mailer.ledger.transitions import CANCEL, ending
from mailer.models import Delivery, Digest, Notice


def forget_notices(session: Session, which: ColumnElement[bool], *, now: datetime) -> int:
    """End those of these notices that are not sent yet, and delete from all of them to whom they go.

    One that is on its way to the relay right now may still arrive; its row gets an outcome, and no address.
    A notice without an address is never mailed (`mailer.permission.rule`).

    Returns:
        How many had an address.
    """
    had_address = and_(which, Notice.address != "")
    for statement in ending(CANCEL, Notice):
        session.execute(statement.where(had_address).values(worker_id=None, outcome_at=now))
    return len(
        session.scalars(
            update(Notice)
            .where(had_address)
            .values(address="", rate_key=None, reply=None)
            .returning(Notice.id)
            .execution_options(synchronize_session=False)
        ).all()
    )


def forget_replies(session: Session, subscriber_id: int) -> None:
    """Delete what the relay said about the digests to this subscriber."""
    session.execute(
        update(Delivery)
        .where(
            # By digest first: that is how the ledger's index finds a reader's row.
            Delivery.digest_id.in_(select(Digest.id)),
            Delivery.subscriber_id == subscriber_id,
            Delivery.reply.is_not(None),
        )
        .values(reply=None)
        .execution_options(synchronize_session=False)
    )
