"""Adds subscribers and subscriptions: one that confirms, or a chunk of an import.

Never checks permission, and writes no consent event.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from mailer.db import insert_missing
from mailer.models import Article, Subscriber, Subscription


def new_public_id(random: Callable[[int], bytes]) -> int:
    """Return a random 63-bit number for a row that links will name."""
    return int.from_bytes(random(8)) >> 1


def newest_article(session: Session) -> int:
    """Return the newest article of the whole installation: a new reader gets only later ones."""
    return session.scalar(select(func.coalesce(func.max(Article.id), 0))) or 0


def add_subscribers(
    session: Session,
    people: Sequence[Mapping[str, object]],
    *,
    random: Callable[[int], bytes],
    now: datetime,
) -> list[int]:
    """Add the people who are no subscribers yet, and return the ids of all of them.

    Args:
        people: for each `address`, `address_key`, `key_hash` and `name`.
    """
    rows = [{"public_id": new_public_id(random), **person, "created_at": now} for person in people]
    insert_missing(session, Subscriber, rows)
    keys = [person["address_key"] for person in people]
    ids = select(Subscriber.id).where(Subscriber.address_key.in_(keys)).order_by(Subscriber.id)
    return list(session.scalars(ids))


def add_subscriptions(
    session: Session,
    subscriber_ids: Sequence[int],
    *,
    newsletter_id: int,
    schedule_id: int,
    random: Callable[[int], bytes],
    now: datetime,
) -> None:
    """Subscribe these people, who have never subscribed to this newsletter."""
    start_article = newest_article(session)
    rows = [
        {
            "public_id": new_public_id(random),
            "subscriber_id": subscriber_id,
            "newsletter_id": newsletter_id,
            "schedule_id": schedule_id,
            "start_article": start_article,
            "confirmed_at": now,
        }
        for subscriber_id in subscriber_ids
    ]
    session.execute(insert(Subscription), rows)
