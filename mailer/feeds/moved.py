"""Carries out what staff decide about a site that has moved: its new address, and the items that are held.

Works in the caller's transaction, and never fetches. `decide` says which sites look moved.
"""

from datetime import datetime
from itertools import accumulate

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.errors import NotFound, Refused
from mailer.feeds import fetch_state, lookup
from mailer.feeds.decide import decide_accepted
from mailer.feeds.store import MOST_HELD, Refreshed, store
from mailer.models import Feed, HeldItem
from mailer.text.english import command


def accept(session: Session, feed: Feed, *, now: datetime) -> Refreshed:
    """Store what is held, and fetch the feed at its new address if it has moved to another host.

    Known articles get their new addresses and guids; the others are new.

    Raises:
        NotFound: the feed was removed meanwhile.
        Refused: nothing is held and the feed has not moved, or another feed is at that address.
    """
    _lock(session, feed)
    moved_url = feed.moved_url
    if moved_url is None:
        _check_held(feed)
    elif lookup.is_taken(session, moved_url):
        raise Refused(
            f"{moved_url} is already a feed here; `{command('feed', 'remove', feed.url)}` "
            "once that one has the same newsletters"
        )
    else:
        fetch_state.move(feed, moved_url)
    if feed.held_at is None:
        return Refreshed(feed.id, feed.url)
    items = lookup.kept_items(session, feed, HeldItem.discarded_at.is_(None))
    decision = decide_accepted(feed, items, lookup.look_up(session, feed, items), now)
    return store(session, feed, decision, is_backlog=False, now=now)


def discard(session: Session, feed: Feed, *, now: datetime) -> tuple[int, int]:
    """Ignore for good what is held, and return the number of items and how many earlier ones are forgotten.

    Of what was ever discarded of a feed the latest is remembered, up to `MOST_HELD` characters.

    Raises:
        NotFound: the feed was removed meanwhile.
        Refused: nothing is held.
    """
    _lock(session, feed)
    _check_held(feed)
    feed.held_at = None
    statement = (
        update(HeldItem)
        .where(HeldItem.feed_id == feed.id, HeldItem.discarded_at.is_(None))
        .values(discarded_at=now)
    )
    discarded = session.execute(statement.returning(HeldItem.canonical_url)).all()
    return len(discarded), _forget_oldest(session, feed)


def _forget_oldest(session: Session, feed: Feed) -> int:
    rows = session.execute(
        select(HeldItem.canonical_url, func.length(HeldItem.content))
        .where(HeldItem.feed_id == feed.id, HeldItem.discarded_at.is_not(None))
        .order_by(HeldItem.discarded_at.desc(), HeldItem.held_at.desc(), HeldItem.canonical_url)
    ).all()
    totals = accumulate(length for _, length in rows)
    forgotten = [url for (url, _), total in zip(rows, totals, strict=True) if total > MOST_HELD]
    for portion in lookup.portions(forgotten):
        of_feed = HeldItem.feed_id == feed.id
        session.execute(delete(HeldItem).where(of_feed, HeldItem.canonical_url.in_(portion)))
    return len(forgotten)


def _lock(session: Session, feed: Feed) -> None:
    """Keep refreshes from deciding, and read again what the last one may have changed.

    Raises:
        NotFound: the feed was removed meanwhile.
    """
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    if session.get(Feed, feed.id, populate_existing=True) is None:
        raise NotFound("the feed was removed just now; `mailer feed list` shows the others")


def _check_held(feed: Feed) -> None:
    if feed.held_at is None:
        raise Refused(f"{feed.url} is not held; `mailer feed list` shows which feeds are")
