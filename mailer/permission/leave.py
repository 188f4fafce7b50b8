"""Unsubscribes a reader from a newsletter. Never touches the ledger.

This also stops a mail that is queued already, because the ledger asks for permission before each mail.
"""

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailer.models import ConsentKind, Subscription
from mailer.permission.consent import Origin, record_change


def leave(session: Session, subscription: Subscription, origin: Origin, *, reason: str) -> bool:
    """Unsubscribe a reader from a newsletter, and write it into the consent log.

    Args:
        reason: who wanted it, a word for staff: "reader" or "staff".

    Returns:
        Whether anything changed: not if the reader had left before.
    """
    left = session.scalar(
        update(Subscription)
        .where(Subscription.id == subscription.id, Subscription.left_at.is_(None))
        .values(left_at=origin.at, left_reason=reason)
        .returning(Subscription.id)
    )
    if left is None:
        return False
    record_change(session, ConsentKind.UNSUBSCRIBED, subscription, origin)
    return True
