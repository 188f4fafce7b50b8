"""Adds a feed to a newsletter: fetches it, or finds it by the web page that names it, and stores it.

Owns this commit. Nothing is left behind when the feed cannot be read; refreshing it is none of its business.
"""

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from mailer.clock import Clock
from mailer.db import AdvisoryLock, Database, take_lock
from mailer.errors import FeedError, FeedUnreadable, NotFound, Refused, SeveralFeeds
from mailer.feeds import fetch_state
from mailer.feeds.canonical import absolute_url, is_same_host
from mailer.feeds.http.fetch import Fetched, FetchRequest, fetch
from mailer.feeds.newsletter_feeds import attach, with_url
from mailer.feeds.reading.entry import Document
from mailer.feeds.refresh import Fetch, read, read_pages
from mailer.feeds.sandbox.reader import FeedReader
from mailer.feeds.store import store
from mailer.models import Feed, ImageSource, Newsletter

_MOST_NAMED: Final = 10
"""How many of a web page's feeds are offered."""


@dataclass(frozen=True)
class Added:
    """What adding a feed did: `fetched` is False where it was there and only got another newsletter.

    `page` is the web page that named the feed, None where the feed's own address was given.
    """

    feed_id: int
    url: str
    fetched: bool
    articles: int
    warnings: tuple[str, ...]
    page: str | None = None


def add_feed(
    database: Database,
    url: str,
    newsletter_id: int,
    *,
    categories: Collection[str] = (),
    allow_private: bool = False,
    images: ImageSource | None = None,
    reader: FeedReader,
    clock: Clock,
    interval: timedelta,
    fetch: Fetch = fetch,
) -> Added:
    """Let a newsletter take from the feed at `url`; one that is not known yet is fetched first.

    All that it has so far is backlog. At a web page, the one feed that it names is taken.

    Args:
        categories: only articles that have one of these; empty means all.
        allow_private: the feed may be on a network of one's own.
        images: where its pictures come from; None leaves it as it is, which is the feed at first.
        reader: reads what is fetched.
        clock: tells when it arrives.
        interval: how long after this it is fetched again.

    Raises:
        FeedError: it cannot be fetched or read; nothing is stored then.
        SeveralFeeds: it is a web page that names several.
        AlreadyExists: the newsletter takes all that already.
        Refused: `url` is no web address.
    """
    address = _checked(url)
    with database.read() as session:
        is_known = with_url(session, address) is not None
    document: Document | None = None
    fetched: Fetched | None = None
    page: str | None = None
    now = clock()
    if not is_known:
        wanted, fetched, document = _find(FetchRequest(address, allow_private), reader, fetch, now)
        if wanted.url != address:
            page, address = address, wanted.url
    with database.write() as session:
        take_lock(session, AdvisoryLock.ADD_ARTICLES)
        newsletter = session.get_one(Newsletter, newsletter_id)
        feed = with_url(session, address)
        permanent_url = fetched.permanent_url if fetched else None
        if feed is None and permanent_url is not None and is_same_host(permanent_url, address):
            feed = with_url(session, permanent_url)
        articles, warnings = 0, document.warnings if document else ()
        is_new = feed is None
        if feed is None:
            if document is None or fetched is None:
                raise NotFound(f"the feed {address} was removed just now; add it again")
            feed = Feed(
                url=address,
                title=document.title,
                image_source=images or ImageSource.FEED,
                next_fetch_at=now + interval,
                created_at=now,
            )
            session.add(feed)
            session.flush()
            articles = store(session, feed, document.entries, now=now).new
            warnings += tuple(
                fetch_state.succeeded(session, feed, fetched, document, now=now, interval=interval)
            )
        if allow_private and is_same_host(page or address, feed.url):
            feed.allow_private = True
        feed.image_source = images or feed.image_source
        attach(session, feed, newsletter, categories, now=now)
        added = Added(feed.id, feed.url, is_new, articles, warnings, page)
    read_pages(database, added.feed_id, reader, clock, fetch)
    return added


def _checked(url: str) -> str:
    """The address as it is kept.

    Raises:
        Refused: it is none, or it holds a password.
    """
    address = absolute_url(url)
    if address is None:
        raise Refused(
            f"{url!r} is no http or https address; give one such as https://news.example/feed"
        )
    if "@" in urlsplit(url).netloc:
        # It would stand in the database, in lists and in errors.
        raise Refused(
            "a feed's address must not hold a password; "
            "let its web server admit this machine by its address instead"
        )
    return address


def _find(
    wanted: FetchRequest, reader: FeedReader, fetch: Fetch, now: datetime
) -> tuple[FetchRequest, Fetched, Document]:
    """Fetch a feed for the first time; where a web page is instead, the one feed that it names."""
    fetched = fetch(wanted)
    try:
        return wanted, fetched, read(reader, fetched, now)
    except FeedUnreadable:
        feeds = reader.feeds_of((fetched.body or b"").decode("utf-8", "replace"), fetched.url)
        if not feeds:
            raise
    if len(feeds) > 1:
        raise SeveralFeeds(
            f"{wanted.url} is a web page that names several feeds; give one: "
            + " ".join(shlex.quote(feed) for feed in feeds[:_MOST_NAMED]),
            tuple(feeds[:_MOST_NAMED]),
        )
    try:
        named = FetchRequest(feeds[0], wanted.allow_private and is_same_host(feeds[0], wanted.url))
        fetched = fetch(named)
        return named, fetched, read(reader, fetched, now)
    except FeedError as error:
        raise FeedError(f"{wanted.url} names {feeds[0]} as its feed, but {error}") from error
