"""Puts what a feed's document holds into the tables, in the caller's transaction.

Articles arrive one transaction after the other, so that a lower id is always there before a higher one:
what a reader is due is decided by ids. Nothing is fetched here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from mailer.feeds.entry import Entry
from mailer.feeds.identity import Known, Piece, identify, pieces
from mailer.feeds.sanitise import without_markup
from mailer.models import Article, ArticleCategory, EditionArticle, Feed, FeedEntry

_ARRIVALS_LOCK: Final = 0x6665_6564
"""The key of the advisory lock that lets one transaction at a time add articles on PostgreSQL."""

_AT_ONCE: Final = 500
"""How many values one statement may name: SQLite has a limit."""

_TITLE_LENGTH: Final = 80

_Value = TypeVar("_Value", int, str)


@dataclass(frozen=True)
class Arrived:
    """What a document brought: how many articles were new, changed, and as they were."""

    new: int
    updated: int
    unchanged: int


def take_turn(session: Session) -> None:
    """Wait until no other transaction adds articles; SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ARRIVALS_LOCK})


def store(session: Session, feed: Feed, entries: Sequence[Entry], *, now: datetime) -> Arrived:
    """Make `entries` articles of `feed`: new ones get their ids from the oldest on.

    What changed is taken over until an edition holds the article, and only from the feed that brought it:
    the same piece may read differently in another. Which newsletters take them is not decided here.

    Args:
        now: when they arrived; also the date of those that have none.
    """
    take_turn(session)
    found = pieces(entries)
    by_guid = _known_by_guid(session, feed, [guid for piece in found for guid in piece.guids])
    by_url = _known_by_url(session, [piece.canonical_url for piece in found])
    identified = identify(found, by_guid, by_url)
    known = [(piece, article) for piece, article in identified if article is not None]
    updated = _update(session, feed, known, taken=set(by_url), now=now)
    new = [piece for piece, article in identified if article is None]
    # Feeds list the newest first; where dates are missing that order is all there is.
    new = [
        piece
        for _, piece in sorted(
            enumerate(new), key=lambda pair: (pair[1].entry.published or now, -pair[0])
        )
    ]
    # An article that moved may have made room for a new one only in the next fetch.
    still_taken = set(_known_by_url(session, [piece.canonical_url for piece in new]))
    new = [piece for piece in new if piece.canonical_url not in still_taken]
    articles = [_new_article(piece, feed, now) for piece in new]
    session.add_all(articles)
    session.flush()
    placed = [(piece, article.article_id) for piece, article in known]
    placed += [(piece, article.id) for piece, article in zip(new, articles, strict=True)]
    _point(session, feed, placed, by_guid, now)
    _add_categories(session, placed)
    return Arrived(len(new), updated, len(known) - updated)


def title_of(entry: Entry) -> str:
    """The title under which an entry is shown: one without any is known by its first words."""
    if entry.title:
        return entry.title
    words = without_markup(entry.summary_html)
    if len(words) <= _TITLE_LENGTH:
        return words or entry.url or ""
    return words[:_TITLE_LENGTH].rpartition(" ")[0] + " …"


def _known_by_guid(session: Session, feed: Feed, guids: Sequence[str]) -> dict[str, Known]:
    known = {}
    for some in _portions(guids):
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
        known.update({row[4]: Known(*row[:4]) for row in rows})
    return known


def _known_by_url(session: Session, urls: Sequence[str]) -> dict[str, Known]:
    known = {}
    for some in _portions(urls):
        rows = session.execute(
            select(Article.id, Article.canonical_url, Article.title, Article.published_at).where(
                Article.canonical_url.in_(some)
            )
        )
        known.update({row.canonical_url: Known(*row) for row in rows})
    return known


def _update(
    session: Session,
    feed: Feed,
    known: Sequence[tuple[Piece, Known]],
    *,
    taken: set[str],
    now: datetime,
) -> int:
    ids = [article.article_id for _, article in known]
    own = _brought_by(session, feed, ids)
    frozen = _in_editions(session, ids)
    rows = {
        article.id: article
        for some in _portions(ids)
        for article in session.scalars(select(Article).where(Article.id.in_(some)))
    }
    updated = 0
    for piece, which in known:
        article = rows[which.article_id]
        if article.canonical_url != piece.canonical_url and piece.canonical_url not in taken:
            # Its address is what other feeds know it by, so it follows even where the text may not.
            article.canonical_url = piece.canonical_url
        if article.id in own and article.id not in frozen:
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
        "author": entry.author,
        "image_url": entry.image if feed.images else None,
        "published_at": entry.published or article.published_at,
    }
    for name, value in wanted.items():
        if getattr(article, name) != value:
            setattr(article, name, value)


def _new_article(piece: Piece, feed: Feed, now: datetime) -> Article:
    entry = piece.entry
    return Article(
        canonical_url=piece.canonical_url,
        url=entry.url,
        title=title_of(entry),
        summary_html=entry.summary_html,
        author=entry.author,
        image_url=entry.image if feed.images else None,
        published_at=entry.published or now,
        first_seen_at=now,
        updated_at=now,
    )


def _brought_by(session: Session, feed: Feed, ids: Sequence[int]) -> set[int]:
    """Those of these articles that came in with this feed, not before it by another or by staff."""
    return {
        found
        for some in _portions(ids)
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
        for some in _portions(ids)
        for found in session.scalars(
            select(EditionArticle.article_id).where(EditionArticle.article_id.in_(some)).distinct()
        )
    }


def _point(
    session: Session,
    feed: Feed,
    placed: Sequence[tuple[Piece, int]],
    by_guid: dict[str, Known],
    now: datetime,
) -> None:
    """Let the feed's guids stand for the articles that they are now."""
    wanted = {guid: article_id for piece, article_id in placed for guid in piece.guids}
    stale = [
        guid
        for guid, article_id in wanted.items()
        if guid in by_guid and by_guid[guid].article_id != article_id
    ]
    for some in _portions(stale):
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


def _add_categories(session: Session, placed: Sequence[tuple[Piece, int]]) -> None:
    ids = [article_id for _, article_id in placed]
    there = {
        (row.article_id, row.category)
        for some in _portions(ids)
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


def _portions(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    every = list(values)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]
