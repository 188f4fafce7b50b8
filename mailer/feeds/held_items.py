"""What a fetch brought that waits for staff: kept as it was read, so that nothing is lost meanwhile.

Keeps, gives back and forgets pieces; it decides neither when a fetch is held nor what becomes of it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from mailer.db import insert_missing
from mailer.feeds.identity import FeedItem, KnownArticle, is_same_by_guid
from mailer.feeds.reading.entry import Entry
from mailer.models import Feed, HeldItem


def keep(session: Session, feed: Feed, found: Sequence[FeedItem], *, now: datetime) -> None:
    """Keep these pieces of a feed until staff decides; what is kept already stays as it is."""
    feed.held_at = feed.held_at or now
    insert_missing(
        session,
        HeldItem,
        [
            {
                "feed_id": feed.id,
                "canonical_url": piece.canonical_url,
                "guids": json.dumps(piece.guids),
                "content": _as_json(piece),
                "held_at": now,
            }
            for piece in found
        ],
    )


def kept(session: Session, feed: Feed) -> list[FeedItem]:
    """What is kept of a feed, in the order in which its entries stood."""
    rows = session.scalars(
        select(HeldItem)
        .where(HeldItem.feed_id == feed.id, HeldItem.discarded_at.is_(None))
        .order_by(HeldItem.held_at.desc())
    ).all()
    return sorted((_from_json(row.content) for row in rows), key=_newest_first)


def numbers_kept(session: Session) -> dict[int, int]:
    """How many pieces wait, by the id of their feed."""
    rows = session.execute(
        select(HeldItem.feed_id, func.count())
        .where(HeldItem.discarded_at.is_(None))
        .group_by(HeldItem.feed_id)
    )
    return {row[0]: row[1] for row in rows}


def release(session: Session, feed: Feed) -> None:
    """Forget what is kept, as when a site is back at its old address."""
    feed.held_at = None
    session.execute(
        delete(HeldItem).where(HeldItem.feed_id == feed.id, HeldItem.discarded_at.is_(None))
    )


def discard(session: Session, feed: Feed, *, now: datetime) -> int:
    """Want none of what is kept, for good; the number of pieces."""
    feed.held_at = None
    number = numbers_kept(session).get(feed.id, 0)
    session.execute(
        update(HeldItem)
        .where(HeldItem.feed_id == feed.id, HeldItem.discarded_at.is_(None))
        .values(discarded_at=now)
    )
    return number


def wanted(session: Session, feed: Feed, found: Sequence[FeedItem]) -> list[FeedItem]:
    """Those of these pieces that staff did not discard, under this address or another one.

    Under another address a piece is the discarded one by the same rule as it is a known article: the guid
    is the same, and the title, the path or the date.
    """
    rows = session.execute(
        select(HeldItem.canonical_url, HeldItem.guids, HeldItem.content, HeldItem.held_at).where(
            HeldItem.feed_id == feed.id, HeldItem.discarded_at.is_not(None)
        )
    ).all()
    urls = {row.canonical_url for row in rows}
    guids = {guid for piece in found for guid in piece.guids}
    discarded: dict[str, list[KnownArticle]] = defaultdict(list)
    for row in rows:
        if not guids.isdisjoint(known_by := json.loads(row.guids)):
            entry = _from_json(row.content).entry
            known = KnownArticle(0, row.canonical_url, entry.title, entry.published or row.held_at)
            for guid in known_by:
                discarded[guid].append(known)
    times = Counter(piece.entry.published for piece in found)
    return [
        piece
        for piece in found
        if piece.canonical_url not in urls
        and not any(
            is_same_by_guid(piece, known, is_only=times[piece.entry.published] == 1)
            for guid in piece.guids
            for known in discarded.get(guid, ())
        )
    ]


def _newest_first(piece: FeedItem) -> float:
    # What has no date arrived last, as far as anybody can tell.
    return -piece.entry.published.timestamp() if piece.entry.published else float("-inf")


def _as_json(piece: FeedItem) -> str:
    content = asdict(piece)
    published = piece.entry.published
    content["entry"]["published"] = published.isoformat() if published else None
    return json.dumps(content, ensure_ascii=False)


def _from_json(content: str) -> FeedItem:
    held = json.loads(content)
    raw = held.pop("entry")
    published = raw.pop("published")
    entry = Entry(
        **(raw | {"categories": tuple(raw["categories"])}),
        published=datetime.fromisoformat(published) if published else None,
    )
    piece = FeedItem(**held, entry=entry)
    return replace(piece, guids=tuple(piece.guids), categories=tuple(piece.categories))
