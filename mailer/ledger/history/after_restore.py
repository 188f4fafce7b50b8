"""Settles the ledger of a restored database: what readers have had since the backup, and what was under way.

What was sent after the backup is not known mail by mail. So each such delivery is `unknown` and left as it
is: it counts as had, and is never sent. Never decides which digests these are.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, insert, literal, select
from sqlalchemy.orm import Session

from mailer.ledger.transitions import (
    CANCEL,
    DOUBT,
    DOUBT_AGAIN,
    HELD,
    WAITING,
    changing,
    ending,
    is_in,
)
from mailer.models import Delivery, DeliveryStatus, Notice, Subscriber, Subscription


def count_as_had(
    session: Session,
    digest_id: int,
    edition_id: int,
    readers: ColumnElement[bool],
    *,
    sent_at: datetime,
    now: datetime,
) -> int:
    """Write a delivery of this edition for each of these readers who had not left when it was sent.

    Args:
        readers: a condition on `Subscription`: who had confirmed, and was to get it.

    Returns:
        How many readers these are.
    """
    columns: dict[str, Any] = {
        "digest_id": literal(digest_id),
        "edition_id": literal(edition_id),
        "subscriber_id": Subscription.subscriber_id,
        "subscription_id": Subscription.id,
        "status": literal(DeliveryStatus.UNKNOWN, Delivery.status.type),
        "attempts": literal(0),
        "in_doubt": literal(0),
        "next_attempt_at": literal(now, Delivery.next_attempt_at.type),
        "created_at": literal(sent_at, Delivery.created_at.type),
        "outcome_at": literal(now, Delivery.outcome_at.type),
        "dropped_at": literal(now, Delivery.dropped_at.type),
    }
    stayed = Subscription.left_at.is_(None) | (Subscription.left_at > sent_at)
    rows = (
        select(*columns.values())
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(readers, stayed, Subscriber.erased_at.is_(None))
        .order_by(Subscription.subscriber_id)
    )
    return _changed(session, insert(Delivery).from_select(list(columns), rows))


def drop_pending(session: Session, digest_id: int, *, now: datetime) -> int:
    """Leave as unknown what was waiting or under way in this digest when the backup was made."""
    dropped = 0
    for statuses in (WAITING, HELD):
        is_here = and_(Delivery.digest_id == digest_id, is_in(Delivery, statuses))
        for transition in (DOUBT, DOUBT_AGAIN):
            statement = changing(transition, Delivery).where(is_here)
            dropped += _changed(
                session, statement.values(worker_id=None, outcome_at=now, dropped_at=now)
            )
    return dropped


def end_old_notices(session: Session, before: datetime, *, now: datetime) -> None:
    """End the notices that were waiting or under way when the backup was made: they were sent after it.

    Also those of the future: the clock was wrong when the backup was restored, or when they were written.
    """
    old = (Notice.created_at < before) | (Notice.created_at > now)
    for statuses in (WAITING, HELD):
        which = and_(old, is_in(Notice, statuses))
        statements = (*ending(CANCEL, Notice), changing(DOUBT, Notice))
        for statement in statements:
            session.execute(statement.where(which).values(worker_id=None, outcome_at=now))


def _changed(session: Session, statement: Any) -> int:
    options = {"synchronize_session": False, "preserve_rowcount": True}
    result = session.execute(statement, execution_options=options)
    return cast(CursorResult[Any], result).rowcount
