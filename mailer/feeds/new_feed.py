"""Adds a feed to a newsletter: fetches it, or finds it by the web page that names it, and stores it.

Owns this commit. Never leaves anything behind if the feed cannot be read.
"""

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.errors import FeedError, FeedUnreadable, NotFound, Refused, SeveralFeeds
from mailer.feeds import page_pictures
from mailer.feeds.canonical import absolute_url, is_same_host
from mailer.feeds.context import FeedContext
from mailer.feeds.http.fetch import Fetched, FetchRequest
from mailer.feeds.newsletter_feeds import attach, with_url
from mailer.feeds.reading.entry import Document
from mailer.feeds.refresh import take_in
from mailer.feeds.store import Refreshed
from mailer.models import Feed, ImageSource, Newsletter

_MOST_NAMED: Final = 10
"""How many of a web page's feeds an error lists."""


@dataclass(frozen=True)
class AddedFeed:
    """A feed that was added; `fetched` is False if it existed and only got another newsletter.

    `page` is the web page that named the feed, None if the feed's own address was given.
    """

    feed_id: int
    url: str
    fetched: bool
    articles: int
    warnings: tuple[str, ...]
    page: str | None = None


class _FirstFetch(NamedTuple):
    """A feed's address, what was fetched there, and what was read."""

    url: str
    fetched: Fetched
    document: Document


def add_feed(
    context: FeedContext,
    url: str,
    newsletter_id: int,
    *,
    categories: Collection[str] = (),
    allow_private: bool = False,
    images: ImageSource | None = None,
) -> AddedFeed:
    """Let a newsletter take from the feed at `url`; a feed that is not known yet is fetched first.

    All that it has so far is backlog. If `url` is a web page, the one feed that it names is added.

    Args:
        categories: only articles that have one of these; empty means all.
        allow_private: the feed may be on a private network.
        images: where its pictures come from; None changes nothing. A new feed starts with its own pictures.

    Raises:
        FeedError: it cannot be fetched or read; nothing is stored then.
        SeveralFeeds: it is a web page that names several.
        AlreadyExists: the newsletter takes all that already.
        Refused: `url` is no web address.
        NotFound: the feed was removed while this ran.
    """
    address = _checked_url(url)
    with context.database.read() as session:
        is_known = with_url(session, address) is not None
    now = context.clock()
    first = None if is_known else _fetch_first(context, FetchRequest(address, allow_private))
    feed_url = address if first is None else first.url
    with context.database.write() as session:
        take_lock(session, AdvisoryLock.ADD_ARTICLES)
        newsletter = session.get_one(Newsletter, newsletter_id)
        feed = with_url(session, feed_url)
        permanent_url = None if first is None else first.fetched.permanent_url
        if feed is None and permanent_url is not None and is_same_host(permanent_url, feed_url):
            feed = with_url(session, permanent_url)
        articles, warnings = 0, () if first is None else first.document.warnings
        is_new = feed is None
        if feed is None:
            if first is None:
                raise NotFound(f"the feed {address} was removed just now; add it again")
            source = images or ImageSource.FEED
            feed, articles, warnings = _store_new(session, first, source, now, context.interval)
        if allow_private and is_same_host(address, feed.url):
            feed.allow_private = True
        feed.image_source = images or feed.image_source
        attach(session, feed, newsletter, categories, now=now)
        page = address if feed_url != address else None
        added = AddedFeed(feed.id, feed.url, is_new, articles, warnings, page)
    page_pictures.look_at_pages(context, added.feed_id)
    return added


def _store_new(
    session: Session, first: _FirstFetch, images: ImageSource, now: datetime, interval: timedelta
) -> tuple[Feed, int, tuple[str, ...]]:
    """Store a feed and its articles; return it, how many articles there are, and warnings."""
    url, fetched, document = first
    feed = Feed(
        url=url,
        title=document.title,
        image_source=images,
        next_fetch_at=now + interval,
        created_at=now,
    )
    session.add(feed)
    session.flush()
    stored = take_in(session, feed, fetched, document, None, now=now, interval=interval)
    return (feed, stored.new, stored.warnings) if isinstance(stored, Refreshed) else (feed, 0, ())


def _checked_url(url: str) -> str:
    """Return the address as it is stored.

    Raises:
        Refused: it is no web address, or it contains a password.
    """
    address = absolute_url(url)
    if address is None:
        raise Refused(
            f"{url!r} is not an http or https address; give one such as https://news.example/feed"
        )
    if "@" in urlsplit(url).netloc:
        # The password would get into the database, lists and errors.
        raise Refused(
            "a feed's address must not hold a password; "
            "let its web server admit this machine by its address instead"
        )
    return address


def _fetch_first(context: FeedContext, request: FetchRequest) -> _FirstFetch:
    """Fetch a feed for the first time; if a web page is there, the one feed that it names.

    Raises:
        FeedError: it cannot be fetched or read.
        FeedUnreadable: it is neither a feed nor a web page that names one.
        SeveralFeeds: it is a web page that names several.
    """
    fetched = context.fetch(request)
    try:
        return _FirstFetch(request.url, fetched, context.parse(fetched))
    except FeedUnreadable:
        page = (fetched.body or b"").decode("utf-8", "replace")
        feeds = context.reader.feeds_of(page, fetched.url)
        if not feeds:
            raise
    if len(feeds) > 1:
        raise SeveralFeeds(
            f"{request.url} is a web page that names several feeds; give one: "
            + " ".join(shlex.quote(feed) for feed in feeds[:_MOST_NAMED]),
            tuple(feeds[:_MOST_NAMED]),
        )
    url = feeds[0]
    try:
        fetched = context.fetch(
            FetchRequest(url, request.allow_private and is_same_host(url, request.url))
        )
        return _FirstFetch(url, fetched, context.parse(fetched))
    except FeedError as error:
        raise FeedError(f"{request.url} names {url} as its feed, but {error}") from error
