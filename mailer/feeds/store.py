"""Writes what was decided of a feed's items, in the caller's transaction.

Articles arrive one transaction after the other, so that a lower id is always there before a higher one:
ids decide what a reader is due. Never fetches, and never decides.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from mailer.db import insert_missing
from mailer.feeds.decide import Decision
from mailer.feeds.identity import FeedItem, item_as_json
from mailer.feeds.lookup import portions, rows_for
from mailer.feeds.newsletter_feeds import hand_out
from mailer.models import ArticleCategory, Feed, FeedGuid, HeldItem
from mailer.text.english import pluralise

log = logging.getLogger(__name__)

MOST_HELD: Final = 20_000_000
"""Characters of a feed's held items, and of its discarded ones: about 10,000 items of a feed for readers."""


@dataclass(frozen=True)
class Refreshed:
    """The result of one feed's refresh.

    `error` says why it failed. `not_modified` is True if the server said that nothing has changed. `held`
    counts the items that wait for staff to decide.
    """

    feed_id: int
    url: str
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    held: int = 0
    not_modified: bool = False
    warnings: tuple[str, ...] = ()
    error: str | None = None


def store(
    session: Session, feed: Feed, decision: Decision, *, is_backlog: bool, now: datetime
) -> Refreshed:
    """Write a decision, and give newsletters the articles that they want of it.

    The caller's transaction holds `AdvisoryLock.ADD_ARTICLES`.

    Args:
        is_backlog: the articles are older than the newsletters' wish for them.
    """
    if decision.held:
        return _hold(session, feed, decision.held, now)
    if decision.releases:
        feed.held_at = None
        is_held = (HeldItem.feed_id == feed.id) & HeldItem.discarded_at.is_(None)
        session.execute(delete(HeldItem).where(is_held))
    for article, values in decision.changed:
        for name, value in values.items():
            setattr(article, name, value)
    # A new article may take an address that another one leaves.
    session.flush()
    session.add_all(decision.new)
    session.flush()
    since = _first_seen(session, feed, decision)
    for portion in portions(decision.stale_guids):
        session.execute(
            delete(FeedGuid).where(FeedGuid.feed_id == feed.id, FeedGuid.guid.in_(portion))
        )
    if decision.guids:
        rows = [
            {
                "feed_id": feed.id,
                "guid": guid,
                "article_id": article.id,
                "first_seen_at": since.get(article.id, now),
            }
            for guid, article in decision.guids.items()
        ]
        session.execute(insert(FeedGuid), rows)
    named = [{"article_id": article.id, "category": name} for article, name in decision.categories]
    insert_missing(session, ArticleCategory, named)
    if decision.guids or decision.categories:
        hand_out(session, feed.id, backlog=is_backlog, now=now)
    new, updated = len(decision.new), len(decision.changed)
    return Refreshed(feed.id, feed.url, new, updated, decision.unchanged)


def _hold(session: Session, feed: Feed, items: Sequence[FeedItem], now: datetime) -> Refreshed:
    """Keep items for staff to decide, while there is room; what is held already stays as it is."""
    feed.held_at = feed.held_at or now
    stored = select(HeldItem.canonical_url, HeldItem.discarded_at, func.length(HeldItem.content))
    rows = session.execute(stored.where(HeldItem.feed_id == feed.id)).all()
    known = {url for url, _, _ in rows}
    room = MOST_HELD - sum(length for _, discarded_at, length in rows if discarded_at is None)
    fresh = [item for item in items if item.canonical_url not in known]
    held = []
    for item in fresh:
        content = item_as_json(item)
        room -= len(content)
        if room < 0:
            break
        row = {"feed_id": feed.id, "canonical_url": item.canonical_url, "content": content}
        held.append(row | {"guids": json.dumps(item.guids), "held_at": now})
    insert_missing(session, HeldItem, held)
    left_out = len(fresh) - len(held)
    if not left_out:
        return Refreshed(feed.id, feed.url, held=len(items))
    entries = pluralise(left_out, "entry is", "entries are")
    warning = f"too much is held: {entries} left out until you accept or discard the others"
    log.warning("feed %d: %s", feed.id, warning)
    return Refreshed(feed.id, feed.url, held=len(items) - left_out, warnings=(warning,))


def _first_seen(session: Session, feed: Feed, decision: Decision) -> dict[int, datetime]:
    """Return since when the feed has had the articles whose guids are to change, by their ids.

    What brought an article first may correct it, even if its guid is another one every time.
    """
    if not decision.stale_guids:
        return {}
    first = select(FeedGuid.article_id, func.min(FeedGuid.first_seen_at))
    first = first.where(FeedGuid.feed_id == feed.id).group_by(FeedGuid.article_id)
    ids = {article.id for article in decision.guids.values()}
    return dict(map(tuple, rows_for(session, first, FeedGuid.article_id, ids)))
