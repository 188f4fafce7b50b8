"""Leaving a newsletter. It holds at once, also for a mail that is queued already: the ledger asks again
before each mail. Never touches the ledger.
"""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.models import ConsentKind, Subscriber, Subscription
from mailer.permission.consent import Event, record


def leave(
    session: Session,
    subscription: Subscription,
    *,
    reason: str,
    source: str,
    now: datetime,
    ip: str | None = None,
    user_agent: str | None = None,
) -> bool:
    """Take a reader off a newsletter, and say so in the consent log.

    Args:
        reason: a word for staff to read: "reader" or "staff".
        source: the page or the command that was used.

    Returns:
        False where the reader had left before; then nothing changes.
    """
    left = session.scalar(
        update(Subscription)
        .where(Subscription.id == subscription.id, Subscription.left_at.is_(None))
        .values(left_at=now, left_reason=reason)
        .returning(Subscription.id)
    )
    if left is None:
        return False
    subscriber = session.scalars(
        select(Subscriber).where(Subscriber.id == subscription.subscriber_id)
    ).one()
    event = Event(
        kind=ConsentKind.UNSUBSCRIBED,
        address=subscriber.address,
        key_hash=subscriber.key_hash,
        newsletter_id=subscription.newsletter_id,
        schedule_id=subscription.schedule_id,
        source=source,
        ip=ip,
        user_agent=user_agent,
    )
    record(session, [event], now=now)
    return True
