"""Loads what is known of a feed's items, once for each write, in the caller's transaction.

Reads only, and never decides which item is which article.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Row, Select, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from mailer.feeds.decide import FEWEST_MOVED
from mailer.feeds.identity import FeedItem, Known, item_from_json, looks
from mailer.models import Article, ArticleCategory, EditionArticle, Feed, FeedGuid, HeldItem

_AT_ONCE: Final = 500
"""How many values one statement may name: SQLite has a limit."""

_COMPARED: Final = 2000
"""How many of a feed's latest articles a document is compared with if its site may have moved."""

_Value = TypeVar("_Value", int, str)


def look_up(session: Session, feed: Feed, items: Sequence[FeedItem]) -> Known:
    """Load what these items may be, and what staff have discarded of the feed."""
    articles = _articles(feed)
    of_feed = articles.add_columns(FeedGuid.guid).join(
        FeedGuid, (FeedGuid.article_id == Article.id) & (FeedGuid.feed_id == feed.id)
    )
    guids = {guid for item in items for guid in (item.entry.guid, *item.guids)}
    by_guid = {row.guid: row for row in rows_for(session, of_feed, FeedGuid.guid, guids)}
    rows = {row.Article.canonical_url: row for row in by_guid.values()}
    urls = [item.canonical_url for item in items if item.canonical_url not in rows]
    found = rows_for(session, articles, Article.canonical_url, urls)
    rows |= {row.Article.canonical_url: row for row in found}
    unknown = [item for item in items if item.canonical_url not in rows]
    discarded = kept_items(session, feed, HeldItem.discarded_at.is_not(None))
    latest: Sequence[Any] = ()
    # If some are discarded, those that are left may all be unknown. While items are held, one is enough.
    if (
        len(unknown) >= FEWEST_MOVED
        or len(unknown) == len(items)
        or discarded
        or feed.held_at is not None
    ):
        latest = _latest(session, feed)
    wanted = {key for item in unknown for key in looks(item)}
    ids = [row.id for row in latest if not wanted.isdisjoint(looks(row))]
    alike = list(rows_for(session, articles, Article.id, ids))
    ids = (
        [row.Article.id for row in rows.values()] if any(item.categories for item in items) else []
    )
    named = select(ArticleCategory.article_id, ArticleCategory.category)
    categories: dict[int, set[str]] = defaultdict(set)
    for article_id, category in rows_for(session, named, ArticleCategory.article_id, ids):
        categories[article_id].add(category)
    return Known(
        by_guid={guid: row.Article for guid, row in by_guid.items()},
        by_url={url: row.Article for url, row in rows.items()},
        fixed={row.Article.id for row in (*rows.values(), *alike) if row.is_fixed},
        categories=categories,
        has_entries=bool(latest),
        alike=sorted((row.Article for row in alike), key=lambda article: -article.id),
        discarded=discarded,
    )


def is_taken(session: Session, url: str | None) -> bool:
    """Tell whether there is already a feed at `url`."""
    return url is not None and session.scalar(select(Feed.id).where(Feed.url == url)) is not None


def kept_items(session: Session, feed: Feed, which: ColumnElement[bool]) -> list[FeedItem]:
    """Return those of a feed's held and discarded items that fulfil a condition, the latest first."""
    rows = session.scalars(
        select(HeldItem.content)
        .where(HeldItem.feed_id == feed.id, which)
        .order_by(HeldItem.held_at.desc())
    )
    return [item_from_json(content) for content in rows]


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


def _articles(feed: Feed) -> Select[Article, bool]:
    """Select articles, and whether this feed may not change their text.

    It may not if an edition has it, staff edited it, or another feed or staff brought it first.
    """
    own = aliased(FeedGuid)
    is_own = select(own.guid).where(
        own.feed_id == feed.id,
        own.article_id == Article.id,
        own.first_seen_at <= Article.first_seen_at,
    )
    in_edition = select(EditionArticle.edition_id).where(EditionArticle.article_id == Article.id)
    is_fixed = or_(in_edition.exists(), Article.edited_at.is_not(None), ~is_own.exists())
    return select(Article, is_fixed.label("is_fixed"))


def _latest(session: Session, feed: Feed) -> Sequence[Any]:
    """Return id, address, title and date of the feed's latest articles."""
    return session.execute(
        select(Article.id, Article.canonical_url, Article.title, Article.published_at)
        .where(Article.id.in_(select(FeedGuid.article_id).where(FeedGuid.feed_id == feed.id)))
        .order_by(Article.id.desc())
        .limit(_COMPARED)
    ).all()
