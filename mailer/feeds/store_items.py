"""Writes the items of a feed to the tables, in the caller's transaction.

Articles arrive one transaction after the other, so that a lower id is always there before a higher one:
ids decide what a reader is due. Never fetches, and never decides what is held or who gets an article.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from mailer.feeds import lookup
from mailer.feeds.identity import FeedItem, IdentifiedItem, KnownArticle
from mailer.feeds.lookup import rows_for
from mailer.feeds.reading.entry import Entry
from mailer.feeds.reading.sanitise import without_markup
from mailer.models import Article, ArticleCategory, EditionArticle, Feed, FeedEntry, ImageSource

_TITLE_LENGTH: Final = 80


@dataclass(frozen=True)
class Arrived:
    """How many articles of a document were new, changed, and as before; or how many items are held."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    held: int = 0


def store(
    session: Session,
    feed: Feed,
    matches: Sequence[IdentifiedItem],
    by_guid: Mapping[str, KnownArticle],
    *,
    now: datetime,
) -> Arrived:
    """Store the items of a feed as articles; new ones get their ids from the oldest on.

    A changed article is updated until an edition has it, and only by the feed that brought it: another
    feed may have another text. The caller's transaction holds `AdvisoryLock.ADD_ARTICLES`.

    Args:
        by_guid: the articles that the feed's guids stand for so far.
        now: when the items arrived; also the date of those without one.
    """
    old = [(item, article) for item, article in matches if article is not None]
    taken = lookup.by_url(session, (item.canonical_url for item, _ in matches))
    updated = _update(session, feed, old, taken, now)
    # Feeds list the newest first. Without dates that order is all there is.
    new = [item for item, article in reversed(matches) if article is None]
    new.sort(key=lambda item: item.entry.published or now)
    # An article that moved may make room for a new one only in the next fetch.
    still_taken = lookup.by_url(session, (item.canonical_url for item in new))
    new = [item for item in new if item.canonical_url not in still_taken]
    articles = [_new_article(item, feed, now) for item in new]
    session.add_all(articles)
    session.flush()
    placed = [(item, article.article_id) for item, article in old]
    placed += [(item, article.id) for item, article in zip(new, articles, strict=True)]
    _record_guids(session, feed, placed, by_guid, now)
    _add_categories(session, placed)
    return Arrived(len(new), updated, len(old) - updated)


def _update(
    session: Session,
    feed: Feed,
    old: Sequence[tuple[FeedItem, KnownArticle]],
    taken: Mapping[str, KnownArticle],
    now: datetime,
) -> int:
    """Update the articles that these items are, and return how many changed."""
    ids = [article.article_id for _, article in old]
    own = _brought_by(session, feed, ids)
    in_editions = select(EditionArticle.article_id).distinct()
    frozen = {row[0] for row in rows_for(session, in_editions, EditionArticle.article_id, ids)}
    rows = {row[0].id: row[0] for row in rows_for(session, select(Article), Article.id, ids)}
    updated = 0
    for item, known in old:
        article = rows[known.article_id]
        if article.canonical_url != item.canonical_url and item.canonical_url not in taken:
            # Other feeds know it by its address, so this follows even if the text may not.
            article.canonical_url = item.canonical_url
        if article.id in own and article.id not in frozen and article.edited_at is None:
            values = _values(feed, item.entry, article.published_at)
            if feed.image_source is ImageSource.PAGE and article.page_read_at is not None:
                # The picture of the page is better than the feed's.
                values["image_url"] = article.image_url or item.entry.image
            for name, value in values.items():
                if getattr(article, name) != value:
                    setattr(article, name, value)
        if session.is_modified(article):
            article.updated_at = now
            updated += 1
    session.flush()
    return updated


def _new_article(item: FeedItem, feed: Feed, now: datetime) -> Article:
    return Article(
        canonical_url=item.canonical_url,
        first_seen_at=now,
        updated_at=now,
        **_values(feed, item.entry, now),
    )


def _values(feed: Feed, entry: Entry, date: datetime) -> dict[str, object]:
    """Return what an article takes from its entry; `date` is for an entry without one."""
    is_by_feed = (entry.author or "").casefold() == feed.title.casefold()
    return {
        "url": entry.url,
        "title": _title(entry),
        "summary_html": entry.summary_html,
        "author": None if is_by_feed else entry.author,
        "image_url": None if feed.image_source is ImageSource.NONE else entry.image,
        "published_at": entry.published or date,
    }


def _title(entry: Entry) -> str:
    """Return the entry's title, or its first words if it has none."""
    if entry.title:
        return entry.title
    words = without_markup(entry.summary_html)
    if len(words) <= _TITLE_LENGTH:
        return words or entry.url or ""
    return words[:_TITLE_LENGTH].rpartition(" ")[0] + " …"


def _brought_by(session: Session, feed: Feed, ids: Iterable[int]) -> set[int]:
    """Return those of these articles that this feed brought first, not another feed or staff."""
    statement = (
        select(FeedEntry.article_id)
        .join(Article, Article.id == FeedEntry.article_id)
        .where(FeedEntry.feed_id == feed.id, FeedEntry.first_seen_at <= Article.first_seen_at)
    )
    return {row[0] for row in rows_for(session, statement, FeedEntry.article_id, ids)}


def _record_guids(
    session: Session,
    feed: Feed,
    placed: Sequence[tuple[FeedItem, int]],
    by_guid: Mapping[str, KnownArticle],
    now: datetime,
) -> None:
    """Let the feed's guids stand for the articles that they are now."""
    wanted = {guid: article_id for item, article_id in placed for guid in item.guids}
    changed = {
        guid: article_id
        for guid, article_id in wanted.items()
        if guid not in by_guid or by_guid[guid].article_id != article_id
    }
    for portion in lookup.portions(guid for guid in changed if guid in by_guid):
        session.execute(
            delete(FeedEntry).where(FeedEntry.feed_id == feed.id, FeedEntry.guid.in_(portion))
        )
    if changed:
        rows = [
            {"feed_id": feed.id, "guid": guid, "article_id": article_id, "first_seen_at": now}
            for guid, article_id in changed.items()
        ]
        session.execute(insert(FeedEntry), rows)


def _add_categories(session: Session, placed: Sequence[tuple[FeedItem, int]]) -> None:
    statement = select(ArticleCategory.article_id, ArticleCategory.category)
    ids = [article_id for _, article_id in placed]
    known = {tuple(row) for row in rows_for(session, statement, ArticleCategory.article_id, ids)}
    wanted = {(article_id, name) for item, article_id in placed for name in item.categories}
    missing = [
        {"article_id": article_id, "category": name} for article_id, name in sorted(wanted - known)
    ]
    if missing:
        session.execute(insert(ArticleCategory), missing)
