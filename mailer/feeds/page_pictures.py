"""Takes the pictures of articles from their own web pages.

Never looks at a page twice, even after a failure: a picture is no reason to ask a site again and again.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.errors import FeedError
from mailer.feeds.canonical import host_of, is_same_host
from mailer.feeds.context import FeedContext
from mailer.feeds.http.fetch import FetchRequest
from mailer.models import Article, EditionArticle, Feed, FeedGuid, ImageSource

log = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 20
"""How many pages are looked at after one fetch; the others wait for the next one."""
_SECONDS: Final = 60.0
"""After this no further page is fetched: a slot may be waiting."""


def look_at_pages(
    context: FeedContext, feed_id: int, is_draining: Callable[[], bool] = lambda: False
) -> None:
    """Look for pictures on the pages of articles that have not been looked at, each in one transaction.

    Args:
        is_draining: asked before each page; once it is True, the other pages wait for the next fetch.
    """
    with context.database.read() as session:
        pages = _wanted(session, feed_id)
    begun = monotonic()
    for article_id, request in pages:
        if is_draining() or monotonic() - begun > _SECONDS:
            return
        try:
            image = None if request is None else _picture(context, request)
        except Exception as error:
            log.error("a page of feed %d could not be read", feed_id, exc_info=error)
            image = None
        with context.database.write() as session:
            _record(session, article_id, image, context.clock())


def is_same_site(first: str, second: str) -> bool:
    """Tell whether two addresses are of one site: the same host, or one inside the other's domain."""
    host, other = host_of(first), host_of(second)
    return host == other or host.endswith("." + other) or other.endswith("." + host)


def _wanted(session: Session, feed_id: int) -> list[tuple[int, FetchRequest | None]]:
    """Return the articles without an edition whose pages are to be looked at, the newest first.

    An article whose page is not on the feed's site has no request.
    """
    feed = session.get(Feed, feed_id)
    if feed is None or feed.image_source is not ImageSource.PAGE:
        return []
    in_editions = select(EditionArticle.edition_id).where(EditionArticle.article_id == Article.id)
    rows = session.execute(
        select(Article.id, Article.url)
        .where(
            Article.id.in_(select(FeedGuid.article_id).where(FeedGuid.feed_id == feed_id)),
            Article.page_read_at.is_(None),
            Article.edited_at.is_(None),
            ~in_editions.exists(),
        )
        .order_by(Article.id.desc())
        .limit(_MOST_AT_ONCE)
    )
    return [
        (
            row.id,
            FetchRequest(row.url, feed.allow_private and is_same_host(row.url, feed.url))
            if is_same_site(row.url, feed.url)
            else None,
        )
        for row in rows
    ]


def _picture(context: FeedContext, request: FetchRequest) -> str | None:
    try:
        fetched = context.fetch(request)
        page = (fetched.body or b"").decode("utf-8", "replace")
        return context.reader.page_image(page, fetched.url)
    except FeedError:
        return None


def _record(session: Session, article_id: int, image: str | None, now: datetime) -> None:
    # A refresh that has read the article must not write over its picture.
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    article = session.get(Article, article_id)
    if article is None:
        return
    article.page_read_at = now
    if image is not None and article.edited_at is None:
        article.image_url = image
        article.updated_at = now
