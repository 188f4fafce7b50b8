"""Puts what a feed's document holds into the tables, in the caller's transaction.

Articles arrive one transaction after the other, so that a lower id is always there before a higher one:
what a reader is due is decided by ids. Nothing is fetched here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.feeds import held_items, lookup
from mailer.feeds.identity import FeedItem, KnownArticle, feed_items, identify, looks_moved
from mailer.feeds.lookup import portions
from mailer.feeds.reading.entry import Entry
from mailer.feeds.reading.sanitise import without_markup
from mailer.models import (
    Article,
    ArticleCategory,
    EditionArticle,
    Feed,
    FeedEntry,
    ImageSource,
)

_TITLE_LENGTH: Final = 80


@dataclass(frozen=True)
class Arrived:
    """What a document brought: how many articles were new, changed, and as they were.

    `held` counts what waits for staff instead.
    """

    new: int
    updated: int
    unchanged: int
    held: int = 0


def store(session: Session, feed: Feed, entries: Sequence[Entry], *, now: datetime) -> Arrived:
    """Make `entries` articles of `feed`: new ones get their ids from the oldest on.

    What changed is taken over until an edition holds the article, and only from the feed that brought it:
    the same piece may read differently in another. Which newsletters take them is not decided here.
    Where the site seems to have moved, nothing is stored and all is held for staff.

    Args:
        now: when they arrived; also the date of those that have none.
    """
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    found = held_items.wanted(session, feed, feed_items(entries))
    identified, by_guid = _identified(session, feed, found)
    if feed.first_fetched_at is not None:
        seen = sum(article is not None for _, article in identified)
        if feed.held_at is not None and (not found or 2 * seen < len(found)):
            # Until staff has decided, what is new in such a document waits as well.
            held_items.keep(session, feed, found, now=now)
            return Arrived(0, 0, 0, held=len(found))
        if feed.held_at is not None:
            held_items.release(session, feed)
        elif looks_moved(found, lookup.alike(session, feed, identified)):
            held_items.keep(session, feed, found, now=now)
            return Arrived(0, 0, 0, held=len(found))
    return _store(session, feed, identified, by_guid, now=now)


def store_held(session: Session, feed: Feed, *, now: datetime) -> Arrived:
    """Make what was held of `feed` articles: a piece like a known one is that article from now on."""
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    found = held_items.kept(session, feed)
    identified, by_guid = _identified(session, feed, found)
    same = lookup.alike(session, feed, identified)
    identified = [
        (piece, article or same.get(piece.canonical_url)) for piece, article in identified
    ]
    held_items.release(session, feed)
    return _store(session, feed, identified, by_guid, now=now)


def _identified(
    session: Session, feed: Feed, found: Sequence[FeedItem]
) -> tuple[list[tuple[FeedItem, KnownArticle | None]], dict[str, KnownArticle]]:
    """The pieces with the articles that they are, and the articles that the feed's guids stand for."""
    by_guid = lookup.by_guid(session, feed, [guid for piece in found for guid in piece.guids])
    by_url = lookup.by_url(session, [piece.canonical_url for piece in found])
    return identify(found, by_guid, by_url), by_guid


def _store(
    session: Session,
    feed: Feed,
    identified: Sequence[tuple[FeedItem, KnownArticle | None]],
    by_guid: dict[str, KnownArticle],
    *,
    now: datetime,
) -> Arrived:
    old = [(piece, article) for piece, article in identified if article is not None]
    taken = set(lookup.by_url(session, [piece.canonical_url for piece, _ in identified]))
    updated = _update(session, feed, old, taken=taken, now=now)
    new = [piece for piece, article in identified if article is None]
    # Feeds list the newest first; where dates are missing that order is all there is.
    new = [
        piece
        for _, piece in sorted(
            enumerate(new), key=lambda pair: (pair[1].entry.published or now, -pair[0])
        )
    ]
    # An article that moved may have made room for a new one only in the next fetch.
    still_taken = set(lookup.by_url(session, [piece.canonical_url for piece in new]))
    new = [piece for piece in new if piece.canonical_url not in still_taken]
    articles = [_new_article(piece, feed, now) for piece in new]
    session.add_all(articles)
    session.flush()
    placed = [(piece, article.article_id) for piece, article in old]
    placed += [(piece, article.id) for piece, article in zip(new, articles, strict=True)]
    _point(session, feed, placed, by_guid, now)
    _add_categories(session, placed)
    return Arrived(len(new), updated, len(old) - updated)


def title_of(entry: Entry) -> str:
    """The title under which an entry is shown: one without any is known by its first words."""
    if entry.title:
        return entry.title
    words = without_markup(entry.summary_html)
    if len(words) <= _TITLE_LENGTH:
        return words or entry.url or ""
    return words[:_TITLE_LENGTH].rpartition(" ")[0] + " …"


def _update(
    session: Session,
    feed: Feed,
    old: Sequence[tuple[FeedItem, KnownArticle]],
    *,
    taken: set[str],
    now: datetime,
) -> int:
    ids = [article.article_id for _, article in old]
    own = _brought_by(session, feed, ids)
    frozen = _in_editions(session, ids)
    rows = {
        article.id: article
        for some in portions(ids)
        for article in session.scalars(select(Article).where(Article.id.in_(some)))
    }
    updated = 0
    for piece, which in old:
        article = rows[which.article_id]
        if article.canonical_url != piece.canonical_url and piece.canonical_url not in taken:
            # Its address is what other feeds know it by, so it follows even where the text may not.
            article.canonical_url = piece.canonical_url
        if article.id in own and article.id not in frozen and article.edited_at is None:
            _take_over(article, feed, piece.entry)
        if session.is_modified(article):
            article.updated_at = now
            updated += 1
    session.flush()
    return updated


def _take_over(article: Article, feed: Feed, entry: Entry) -> None:
    wanted = {
        "url": entry.url,
        "title": title_of(entry),
        "summary_html": entry.summary_html,
        "author": _author(feed, entry),
        "image_url": _image(article, feed, entry),
        "published_at": entry.published or article.published_at,
    }
    for name, value in wanted.items():
        if getattr(article, name) != value:
            setattr(article, name, value)


def _author(feed: Feed, entry: Entry) -> str | None:
    """Who wrote the entry; nobody where that is the feed itself."""
    is_feed = (entry.author or "").casefold() == feed.title.casefold()
    return None if is_feed else entry.author


def _image(article: Article, feed: Feed, entry: Entry) -> str | None:
    if feed.image_source is ImageSource.NONE:
        return None
    if feed.image_source is ImageSource.PAGE and article.page_read_at is not None:
        # What the page gave is better than what the feed has.
        return article.image_url or entry.image
    return entry.image


def _new_article(piece: FeedItem, feed: Feed, now: datetime) -> Article:
    entry = piece.entry
    return Article(
        canonical_url=piece.canonical_url,
        url=entry.url,
        title=title_of(entry),
        summary_html=entry.summary_html,
        author=_author(feed, entry),
        image_url=None if feed.image_source is ImageSource.NONE else entry.image,
        published_at=entry.published or now,
        first_seen_at=now,
        updated_at=now,
    )


def _brought_by(session: Session, feed: Feed, ids: Sequence[int]) -> set[int]:
    """Those of these articles that came in with this feed, not before it by another or by staff."""
    return {
        found
        for some in portions(ids)
        for found in session.scalars(
            select(FeedEntry.article_id)
            .join(Article, Article.id == FeedEntry.article_id)
            .where(
                FeedEntry.feed_id == feed.id,
                FeedEntry.article_id.in_(some),
                FeedEntry.first_seen_at <= Article.first_seen_at,
            )
        )
    }


def _in_editions(session: Session, ids: Sequence[int]) -> set[int]:
    return {
        found
        for some in portions(ids)
        for found in session.scalars(
            select(EditionArticle.article_id).where(EditionArticle.article_id.in_(some)).distinct()
        )
    }


def _point(
    session: Session,
    feed: Feed,
    placed: Sequence[tuple[FeedItem, int]],
    by_guid: dict[str, KnownArticle],
    now: datetime,
) -> None:
    """Let the feed's guids stand for the articles that they are now."""
    wanted = {guid: article_id for piece, article_id in placed for guid in piece.guids}
    stale = [
        guid
        for guid, article_id in wanted.items()
        if guid in by_guid and by_guid[guid].article_id != article_id
    ]
    for some in portions(stale):
        session.execute(
            delete(FeedEntry).where(FeedEntry.feed_id == feed.id, FeedEntry.guid.in_(some))
        )
    missing = [
        {"feed_id": feed.id, "guid": guid, "article_id": article_id, "first_seen_at": now}
        for guid, article_id in wanted.items()
        if guid not in by_guid or by_guid[guid].article_id != article_id
    ]
    if missing:
        session.execute(insert(FeedEntry), missing)


def _add_categories(session: Session, placed: Sequence[tuple[FeedItem, int]]) -> None:
    ids = [article_id for _, article_id in placed]
    there = {
        (row.article_id, row.category)
        for some in portions(ids)
        for row in session.execute(
            select(ArticleCategory.article_id, ArticleCategory.category).where(
                ArticleCategory.article_id.in_(some)
            )
        )
    }
    wanted = {(article_id, name) for piece, article_id in placed for name in piece.categories}
    missing = [
        {"article_id": article_id, "category": name} for article_id, name in sorted(wanted - there)
    ]
    if missing:
        session.execute(insert(ArticleCategory), missing)
