"""Finds the articles that the pieces of a document may be: by guid, by address, and by likeness.

Reads only; which of them a piece is, is decided in `identity`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.feeds import held_items
from mailer.feeds.canonical import canonical_url
from mailer.feeds.identity import (
    FEWEST_MOVED,
    FeedItem,
    KnownArticle,
    feed_items,
    looks_moved,
    moved,
)
from mailer.feeds.reading.entry import Entry
from mailer.models import Article, Feed, FeedEntry

_AT_ONCE: Final = 500
"""How many values one statement may name: SQLite has a limit."""

_COMPARED: Final = 2000
"""How many of a feed's latest articles a document is compared with that looks all new."""

_Value = TypeVar("_Value", int, str)


def by_guid(session: Session, feed: Feed, guids: Sequence[str]) -> dict[str, KnownArticle]:
    """The articles that these guids stand for in the feed."""
    known = {}
    for some in portions(guids):
        rows = session.execute(
            select(
                Article.id,
                Article.canonical_url,
                Article.title,
                Article.published_at,
                FeedEntry.guid,
            )
            .join(Article, Article.id == FeedEntry.article_id)
            .where(FeedEntry.feed_id == feed.id, FeedEntry.guid.in_(some))
        )
        known.update({row[4]: KnownArticle(*row[:4]) for row in rows})
    return known


def by_url(session: Session, urls: Sequence[str]) -> dict[str, KnownArticle]:
    """The articles at these canonical addresses, from whichever feed."""
    known = {}
    for some in portions(urls):
        rows = session.execute(
            select(Article.id, Article.canonical_url, Article.title, Article.published_at).where(
                Article.canonical_url.in_(some)
            )
        )
        known.update({row.canonical_url: KnownArticle(*row) for row in rows})
    return known


def alike(
    session: Session, feed: Feed, identified: Sequence[tuple[FeedItem, KnownArticle | None]]
) -> dict[str, KnownArticle]:
    """The pieces that look new and are like an article of the feed, by their canonical address."""
    new = sum(article is None for _, article in identified)
    if new < FEWEST_MOVED:
        return {}
    rows = session.execute(
        select(Article.id, Article.canonical_url, Article.title, Article.published_at)
        .where(Article.id.in_(select(FeedEntry.article_id).where(FeedEntry.feed_id == feed.id)))
        .order_by(Article.id.desc())
        .limit(_COMPARED)
    )
    return moved(identified, [KnownArticle(*row) for row in rows])


def is_all_new(session: Session, feed: Feed, entries: Sequence[Entry]) -> bool:
    """Whether a feed that had entries tells of none of them, so that some may stand on older pages.

    False where the site only seems to have moved: older pages of it would be as new.
    """
    found = held_items.wanted(session, feed, feed_items(entries))
    had = session.scalar(select(FeedEntry.article_id).where(FeedEntry.feed_id == feed.id).limit(1))
    if not found or had is None:
        return False
    guids = [guid for piece in found for guid in piece.guids]
    if by_guid(session, feed, guids) or by_url(session, [one.canonical_url for one in found]):
        return False
    return not looks_moved(found, alike(session, feed, [(piece, None) for piece in found]))


def seen(session: Session, feed: Feed, entries: Sequence[Entry]) -> set[int]:
    """Which of these entries the feed, or another one, has told of before, counted from 0."""
    urls = [canonical_url(entry.url) if entry.url else "" for entry in entries]
    guids_known = by_guid(session, feed, [entry.guid for entry in entries])
    urls_known = by_url(session, urls)
    return {
        number
        for number, (entry, url) in enumerate(zip(entries, urls, strict=True))
        if entry.guid in guids_known or url in urls_known
    }


def portions(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    """`values` in lists that one statement can name."""
    every = list(values)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]
