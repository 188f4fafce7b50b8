"""Holds the items of a site that seems to have moved until staff decide, and carries out the decision.

A site that gets a new address and new guids changes those of all its articles at once, and none of them is
news. Works in the caller's transaction, and never fetches.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, insert_missing, take_lock
from mailer.errors import Refused
from mailer.feeds import fetch_state, lookup
from mailer.feeds.canonical import path_of
from mailer.feeds.identity import (
    FeedItem,
    IdentifiedItem,
    KnownArticle,
    feed_items,
    is_same_by_guid,
)
from mailer.feeds.newsletter_feeds import hand_out
from mailer.feeds.reading.entry import Entry
from mailer.feeds.store_items import Arrived, store
from mailer.models import Feed, HeldItem
from mailer.text.english import command

_FEWEST_MOVED: Final = 5
"""So many items must look moved before a fetch is held: a few may be alike by chance."""

_COMPARED: Final = 2000
"""How many of a feed's latest articles a document is compared with if it looks all new."""


def store_unless_moved(
    session: Session, feed: Feed, entries: Iterable[Entry], *, now: datetime
) -> Arrived:
    """Store a feed's entries as `store` does; if its site seems to have moved, hold all of them instead.

    The caller's transaction holds `AdvisoryLock.ADD_ARTICLES`.
    """
    items = _not_discarded(session, feed, feed_items(entries))
    matches, by_guid = lookup.find_articles(session, feed, items)
    if feed.first_fetched_at is not None:
        known = sum(article is not None for _, article in matches)
        if feed.held_at is not None and (not items or 2 * known < len(items)):
            # Until staff decide, new items of such a document wait as well.
            return _hold(session, feed, items, now)
        if feed.held_at is not None:
            # The site is back at its old address.
            _release(session, feed)
        elif _looks_moved(session, feed, matches):
            return _hold(session, feed, items, now)
    return store(session, feed, matches, by_guid, now=now)


def may_have_older(session: Session, feed: Feed, entries: Iterable[Entry]) -> bool:
    """Tell whether older pages may have entries that are new: no entry is known, and the site has not moved.

    Older pages of a site that has moved would look as new as the first one.
    """
    items = _not_discarded(session, feed, feed_items(entries))
    return lookup.is_all_new(session, feed, items) and not _looks_moved(
        session, feed, [(item, None) for item in items]
    )


def accept(session: Session, feed: Feed, *, now: datetime) -> Arrived:
    """Store what is held, and fetch the feed at its new address if it has moved to another host.

    Known articles get their new addresses and guids; the others are new.

    Raises:
        Refused: nothing is held and the feed has not moved, or another feed is at that address.
    """
    moved_url = feed.moved_url
    if moved_url is None:
        _check_held(feed)
    elif fetch_state.is_taken(session, moved_url):
        raise Refused(
            f"{moved_url} is already a feed here; `{command('feed', 'remove', feed.url)}` "
            "once that one has the same newsletters"
        )
    else:
        fetch_state.move(session, feed, moved_url)
    if feed.held_at is None:
        return Arrived()
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    matches, by_guid = lookup.find_articles(session, feed, _held(session, feed))
    same = _alike(session, feed, matches)
    matches = [(item, article or same.get(item.canonical_url)) for item, article in matches]
    _release(session, feed)
    arrived = store(session, feed, matches, by_guid, now=now)
    hand_out(session, feed.id, backlog=False, now=now)
    return arrived


def discard(session: Session, feed: Feed, *, now: datetime) -> int:
    """Ignore for good what is held, and return the number of items.

    Raises:
        Refused: nothing is held.
    """
    _check_held(feed)
    feed.held_at = None
    statement = update(HeldItem).where(_is_held(feed)).values(discarded_at=now)
    return len(session.execute(statement.returning(HeldItem.canonical_url)).all())


def _alike(
    session: Session, feed: Feed, matches: Sequence[IdentifiedItem]
) -> Mapping[str, KnownArticle]:
    """Return the articles that items look like which seem to be new, each once, by the item's address.

    Title and date must be the same, or the path of the address. An article that the document has under its
    known address does not count.
    """
    if sum(article is None for _, article in matches) < _FEWEST_MOVED:
        return {}
    seen = {known.article_id for _, known in matches if known is not None}
    by_text: dict[tuple[str, datetime], KnownArticle] = {}
    by_path: dict[str, KnownArticle] = {}
    for known in lookup.latest(session, feed, _COMPARED):
        if known.article_id not in seen:
            by_text.setdefault((known.title, known.published_at), known)
            by_path.setdefault(path_of(known.canonical_url), known)
    alike: dict[str, KnownArticle] = {}
    for item, article in matches:
        if article is not None:
            continue
        path, title, date = path_of(item.canonical_url), item.entry.title, item.entry.published
        same = by_text.get((title, date)) if title and date else None
        same = same or (by_path.get(path) if path else None)
        if same is not None and same.article_id not in seen:
            seen.add(same.article_id)
            alike[item.canonical_url] = same
    return alike


def _looks_moved(session: Session, feed: Feed, matches: Sequence[IdentifiedItem]) -> bool:
    """Tell whether so many items look like known articles that the site must have moved."""
    alike = len(_alike(session, feed, matches))
    return alike >= _FEWEST_MOVED and 2 * alike > len(matches)


def _check_held(feed: Feed) -> None:
    if feed.held_at is None:
        raise Refused(f"{feed.url} is not held; `mailer feed list` shows which feeds are")


def _is_held(feed: Feed) -> ColumnElement[bool]:
    return (HeldItem.feed_id == feed.id) & HeldItem.discarded_at.is_(None)


def _hold(session: Session, feed: Feed, items: Sequence[FeedItem], now: datetime) -> Arrived:
    """Keep items until staff decide; what is held already stays as it is."""
    feed.held_at = feed.held_at or now
    rows = [
        {
            "feed_id": feed.id,
            "canonical_url": item.canonical_url,
            "guids": json.dumps(item.guids),
            "content": _as_json(item),
            "held_at": now,
        }
        for item in items
    ]
    insert_missing(session, HeldItem, rows)
    return Arrived(held=len(items))


def _held(session: Session, feed: Feed) -> list[FeedItem]:
    """Return what is held of a feed, the newest first, as feeds have it."""
    rows = session.scalars(
        select(HeldItem.content).where(_is_held(feed)).order_by(HeldItem.held_at.desc())
    )
    return sorted(map(_from_json, rows), key=_age_key)


def _release(session: Session, feed: Feed) -> None:
    feed.held_at = None
    session.execute(delete(HeldItem).where(_is_held(feed)))


def _not_discarded(session: Session, feed: Feed, items: Sequence[FeedItem]) -> list[FeedItem]:
    """Leave out the items that staff discarded, under this address or another one.

    With another address the rule is that of known articles: the guid is the same, and the title, the path
    or the date.
    """
    rows = session.execute(
        select(HeldItem.canonical_url, HeldItem.guids, HeldItem.content, HeldItem.held_at).where(
            HeldItem.feed_id == feed.id, HeldItem.discarded_at.is_not(None)
        )
    ).all()
    urls = {row.canonical_url for row in rows}
    guids = {guid for item in items for guid in item.guids}
    discarded: dict[str, list[KnownArticle]] = defaultdict(list)
    for row in rows:
        if not guids.isdisjoint(row_guids := json.loads(row.guids)):
            entry = _from_json(row.content).entry
            known = KnownArticle(0, row.canonical_url, entry.title, entry.published or row.held_at)
            for guid in row_guids:
                discarded[guid].append(known)
    times = Counter(item.entry.published for item in items)
    return [
        item
        for item in items
        if item.canonical_url not in urls
        and not any(
            is_same_by_guid(item, known, is_only=times[item.entry.published] == 1)
            for guid in item.guids
            for known in discarded.get(guid, ())
        )
    ]


def _age_key(item: FeedItem) -> float:
    """Return the key that sorts items from the newest to the oldest."""
    # An item without a date counts as the newest.
    return -item.entry.published.timestamp() if item.entry.published else float("-inf")


def _as_json(item: FeedItem) -> str:
    return json.dumps(asdict(item), ensure_ascii=False, default=datetime.isoformat)


def _from_json(content: str) -> FeedItem:
    held: dict[str, Any] = json.loads(content)
    raw = held.pop("entry")
    published = raw["published"] and datetime.fromisoformat(raw["published"])
    entry = Entry(**raw | {"categories": tuple(raw["categories"]), "published": published})
    item = FeedItem(**held, entry=entry)
    return replace(item, guids=tuple(item.guids), categories=tuple(item.categories))
