"""Reads what is known of many readers at once: who they are, their place in a newsletter, their suppressions.

Never writes.
"""

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from mailer.models import (
    ConsentEvent,
    ConsentKind,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.subscribers.entering.decide import ReaderState

# Not of every newsletter, and only of those few who are here already: it is an index look-up for each.
_CONFIRMED: Final = (
    select(func.max(ConsentEvent.at))
    .where(
        ConsentEvent.key_hash == Subscriber.key_hash,
        ConsentEvent.newsletter_id == Subscription.newsletter_id,
        ConsentEvent.kind == ConsentKind.CONFIRMED,
    )
    .scalar_subquery()
)


def load(
    session: Session, key_hashes: Iterable[str], newsletter_id: int | None
) -> dict[str, ReaderState]:
    """Return the state of each of these readers, by key hash.

    Args:
        newsletter_id: None if only suppressions count.
    """
    states = {key_hash: ReaderState() for key_hash in key_hashes}
    _load_subscribers(session, states, newsletter_id)
    _load_suppressions(session, states, newsletter_id)
    return states


def subscriber_ids(session: Session, key_hashes: Collection[str]) -> dict[str, int]:
    """Return the ids of those of them who are subscribers."""
    rows = session.execute(
        select(Subscriber.key_hash, Subscriber.id).where(Subscriber.key_hash.in_(key_hashes))
    )
    return {row.key_hash: row.id for row in rows}


def _load_subscribers(
    session: Session, states: dict[str, ReaderState], newsletter_id: int | None
) -> None:
    place = Subscription.newsletter_id == newsletter_id
    rows = session.execute(
        select(
            Subscriber.key_hash,
            Subscriber.id,
            Subscriber.name,
            Subscriber.language,
            Subscriber.reachable_at,
            Subscription.id,
            Subscription.schedule_id,
            Subscription.left_at,
            _CONFIRMED,
        )
        .outerjoin(Subscription, (Subscription.subscriber_id == Subscriber.id) & place)
        .where(Subscriber.key_hash.in_(states))
    )
    for key_hash, row_id, name, language, reachable_at, place_id, schedule, left, confirmed in rows:
        state = states[key_hash]
        state.subscriber_id, state.name, state.language = row_id, name, language
        state.reachable_at, state.confirmed_at = reachable_at, confirmed
        state.subscription_id, state.subscribed = place_id, place_id is not None
        state.schedule_id, state.left_at = schedule, left


def _load_suppressions(
    session: Session, states: dict[str, ReaderState], newsletter_id: int | None
) -> None:
    everywhere = Suppression.newsletter_id.is_(None)
    rows = session.execute(
        select(
            Suppression.key_hash,
            Suppression.newsletter_id,
            Suppression.reason,
            Suppression.address.is_(None),
        ).where(
            Suppression.key_hash.in_(states),
            or_(everywhere, Suppression.newsletter_id == newsletter_id),
        )
    )
    for key_hash, here, reason, is_nameless in rows:
        if here is None:
            # Somebody who complained and was erased later keeps the first reason, but not the address.
            states[key_hash].suppression = SuppressionReason.ERASED if is_nameless else reason
        else:
            states[key_hash].suppression_here = reason
