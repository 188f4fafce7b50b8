"""Finds the stored articles that the items of a feed may be, by guid and by address.

Reads only: `identity` decides which item is which article.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Row, Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailer.feeds.canonical import canonical_url
from mailer.feeds.identity import FeedItem, IdentifiedItem, KnownArticle, identify
from mailer.feeds.reading.entry import Entry
from mailer.models import Article, Feed, FeedEntry

_AT_ONCE: Final = 500
"""How many values one statement may name: SQLite has a limit."""

_KNOWN: Final = select(Article.id, Article.canonical_url, Article.title, Article.published_at)
_Value = TypeVar("_Value", int, str)


def find_articles(
    session: Session, feed: Feed, items: Sequence[FeedItem]
) -> tuple[list[IdentifiedItem], dict[str, KnownArticle]]:
    """Match items with articles; also return the articles that the feed's guids stand for."""
    guids = by_guid(session, feed, [guid for item in items for guid in item.guids])
    urls = by_url(session, [item.canonical_url for item in items])
    return identify(items, guids, urls), guids


def by_guid(session: Session, feed: Feed, guids: Iterable[str]) -> dict[str, KnownArticle]:
    """Return the articles that these guids stand for in the feed."""
    statement = (
        _KNOWN.add_columns(FeedEntry.guid)
        .join(FeedEntry, Article.id == FeedEntry.article_id)
        .where(FeedEntry.feed_id == feed.id)
    )
    rows = rows_for(session, statement, FeedEntry.guid, guids)
    return {row.guid: KnownArticle(*row[:4]) for row in rows}


def by_url(session: Session, urls: Iterable[str]) -> dict[str, KnownArticle]:
    """Return the articles with these canonical URLs, from whichever feed."""
    rows = rows_for(session, _KNOWN, Article.canonical_url, urls)
    return {row.canonical_url: KnownArticle(*row) for row in rows}


def latest(session: Session, feed: Feed, most: int) -> list[KnownArticle]:
    """Return the latest articles of a feed."""
    rows = session.execute(
        _KNOWN.where(Article.id.in_(select(FeedEntry.article_id).where(_is_of(feed))))
        .order_by(Article.id.desc())
        .limit(most)
    )
    return [KnownArticle(*row) for row in rows]


def is_all_new(session: Session, feed: Feed, items: Sequence[FeedItem]) -> bool:
    """Tell whether a feed that had entries has none that is known, so that older pages may have some."""
    known_id = session.scalar(select(FeedEntry.article_id).where(_is_of(feed)).limit(1))
    if not items or known_id is None:
        return False
    guids = [guid for item in items for guid in item.guids]
    urls = [item.canonical_url for item in items]
    return not (by_guid(session, feed, guids) or by_url(session, urls))


def known_entries(session: Session, feed: Feed, entries: Sequence[Entry]) -> set[int]:
    """Return which of these entries are known, from this feed or another, counted from 0."""
    urls = [canonical_url(entry.url) if entry.url else "" for entry in entries]
    guids_known = by_guid(session, feed, [entry.guid for entry in entries])
    urls_known = by_url(session, urls)
    return {
        number
        for number, (entry, url) in enumerate(zip(entries, urls, strict=True))
        if entry.guid in guids_known or url in urls_known
    }


def rows_for(
    session: Session,
    statement: Select[*tuple[Any, ...]],
    column: InstrumentedAttribute[_Value],
    values: Iterable[_Value],
) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield the rows whose `column` has one of `values`, however many these are."""
    for portion in portions(values):
        yield from session.execute(statement.where(column.in_(portion)))


def portions(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    """Split `values` into lists that one statement can name."""
    every = list(values)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]


def _is_of(feed: Feed) -> ColumnElement[bool]:
    return FeedEntry.feed_id == feed.id
