"""Unsubscribes a reader from a newsletter, and records it in the journal. Never touches the ledger.

This also stops a mail that is queued already, because the ledger asks for permission before each mail.
"""

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailer.journal import record as journal
from mailer.journal.record import NewEntry
from mailer.models import ConsentKind, JournalKind, Newsletter, Subscriber, Subscription
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
    person = session.get_one(Subscriber, subscription.subscriber_id)
    slug = session.get_one(Newsletter, subscription.newsletter_id).slug
    journal.record(
        session, [NewEntry(JournalKind.LEFT, origin.at, person.key_hash, slug, reason=reason)]
    )
    return True
