"""Pictures of articles from their own web pages: which pages to look at, and what comes of it.

Each page is looked at once, also where that fails: an article is no reason to ask a site again and again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.errors import FeedError
from mailer.feeds.canonical import is_same_host
from mailer.feeds.http.fetch import Fetched, FetchRequest
from mailer.feeds.sandbox.reader import FeedReader
from mailer.models import Article, EditionArticle, Feed, FeedEntry, ImageSource

_MOST_AT_ONCE: Final = 20
"""How many pages are looked at after one fetch; the others wait for the next one."""


class Fetch(Protocol):
    """Fetches a document, within the limits of all fetches."""

    def __call__(self, wanted: FetchRequest, /) -> Fetched: ...


@dataclass(frozen=True)
class Page:
    """An article's page; `is_ours` is False where it stands on another site than its feed."""

    article_id: int
    url: str
    allow_private: bool
    is_ours: bool


def wanted(session: Session, feed_id: int) -> list[Page]:
    """The pages of a feed's articles that were not looked at, the newest first; no edition has them."""
    feed = session.get(Feed, feed_id)
    if feed is None or feed.image_source is not ImageSource.PAGE:
        return []
    in_editions = select(EditionArticle.edition_id).where(EditionArticle.article_id == Article.id)
    rows = session.execute(
        select(Article.id, Article.url)
        .where(
            Article.id.in_(select(FeedEntry.article_id).where(FeedEntry.feed_id == feed_id)),
            Article.page_read_at.is_(None),
            Article.edited_at.is_(None),
            ~in_editions.exists(),
        )
        .order_by(Article.id.desc())
        .limit(_MOST_AT_ONCE)
    )
    return [
        Page(
            row.id,
            row.url,
            feed.allow_private and is_same_host(row.url, feed.url),
            is_same_site(row.url, feed.url),
        )
        for row in rows
    ]


def is_same_site(one: str, other: str) -> bool:
    """Whether two addresses are of one site: the same host, or one inside the other's domain."""
    first, second = ((urlsplit(url).hostname or "").removeprefix("www.") for url in (one, other))
    return first == second or first.endswith("." + second) or second.endswith("." + first)


def look(page: Page, fetch: Fetch, reader: FeedReader) -> str | None:
    """The picture that the page gives for itself; None where there is none, or no page."""
    if not page.is_ours:
        return None
    try:
        fetched = fetch(FetchRequest(page.url, page.allow_private))
        text = (fetched.body or b"").decode("utf-8", "replace")
        return reader.page_image(text, fetched.url)
    except FeedError:
        return None


def record(session: Session, article_id: int, found: str | None, *, now: datetime) -> None:
    """Note that the article's page was looked at, and take over its picture."""
    article = session.get(Article, article_id)
    if article is None:
        return
    article.page_read_at = now
    if found is not None and article.edited_at is None:
        article.image_url = found
        article.updated_at = now
