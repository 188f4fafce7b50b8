"""Adds feeds and refreshes them: fetches with no transaction open, then one write for each feed.

Owns these commits and decides nothing itself. A fetch that fails takes nothing away: what the next one
brings is as new as it would have been.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import select

from mailer.clock import Clock
from mailer.db import Database
from mailer.errors import FeedError, NotFound, Refused
from mailer.feeds.arrival import Arrived, store, take_turn
from mailer.feeds.attach import attach, hand_out
from mailer.feeds.canonical import absolute_url
from mailer.feeds.entry import Document
from mailer.feeds.fetch import Fetched, Wanted, fetch
from mailer.feeds.parse import parse
from mailer.models import Feed, Newsletter

log = logging.getLogger(__name__)

Fetch = Callable[[Wanted], Fetched]

_AT_ONCE: Final = 4
_LONGEST_PAUSE: Final = timedelta(hours=6)


@dataclass(frozen=True)
class Refreshed:
    """What became of one feed's refresh.

    `error` says why it failed, and is None where it did not. `not_modified` is True where the server
    said that nothing has changed.
    """

    feed_id: int
    url: str
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    not_modified: bool = False
    warnings: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Added:
    """What adding a feed did: `fetched` is False where it was there and only got another newsletter."""

    feed_id: int
    url: str
    fetched: bool
    articles: int
    warnings: tuple[str, ...]


def add_feed(
    database: Database,
    url: str,
    newsletter_id: int,
    *,
    categories: Collection[str] = (),
    allow_private: bool = False,
    images: bool | None = None,
    clock: Clock,
    interval: timedelta,
    fetch: Fetch = fetch,
) -> Added:
    """Let a newsletter take from the feed at `url`; one that is not known yet is fetched first.

    All that it has so far is backlog.

    Args:
        categories: only articles that have one of these; empty means all.
        allow_private: the feed may be on a network of one's own.
        images: whether its images are shown; None leaves it as it is, which is shown at first.
        clock: tells when it arrives.
        interval: how long after this it is fetched again.

    Raises:
        FeedError: it cannot be fetched or read; nothing is stored then.
        AlreadyExists: the newsletter takes all that already.
        Refused: `url` is no web address.
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
    with database.read() as session:
        known = session.scalar(select(Feed.id).where(Feed.url == address)) is not None
    document: Document | None = None
    fetched: Fetched | None = None
    now = clock()
    if not known:
        fetched = fetch(Wanted(address, allow_private))
        document = _read(fetched, now)
    with database.write() as session:
        take_turn(session)
        newsletter = session.get_one(Newsletter, newsletter_id)
        feed = session.scalar(select(Feed).where(Feed.url == address))
        articles = 0
        if feed is None:
            if document is None or fetched is None:
                raise NotFound(f"the feed {address} was removed just now; add it again")
            feed = Feed(
                url=address,
                title=document.title,
                images=images is not False,
                next_fetch_at=now + interval,
                created_at=now,
            )
            session.add(feed)
            session.flush()
            articles = store(session, feed, document.entries, now=now).new
            _succeeded(feed, document, fetched, now, interval)
        feed.allow_private = feed.allow_private or allow_private
        feed.images = feed.images if images is None else images
        attach(session, feed, newsletter, categories, now=now)
        warnings = document.warnings if document else ()
        return Added(feed.id, address, document is not None, articles, warnings)


def refresh(
    database: Database,
    feed_ids: Sequence[int],
    *,
    unconditional: bool,
    clock: Clock,
    interval: timedelta,
    fetch: Fetch = fetch,
) -> list[Refreshed]:
    """Fetch these feeds, a few at a time, and store what is new; in the order of `feed_ids`.

    Args:
        unconditional: send no validators, so that no server can say by mistake that nothing is new.
        clock: tells when what a fetch brings arrived.
        interval: how long after this each is fetched again; longer where it goes on failing.
    """
    if not feed_ids:
        return []

    def one(feed_id: int) -> Refreshed:
        return _refresh(database, feed_id, unconditional, clock, interval, fetch)

    with ThreadPoolExecutor(min(_AT_ONCE, len(feed_ids)), thread_name_prefix="feed") as threads:
        return list(threads.map(one, feed_ids))


def pause_after(failures: int, interval: timedelta) -> timedelta:
    """How long to wait after so many failures in a row: twice as long each time, up to six hours."""
    return max(interval, min(interval * (1 << min(failures, 10)), _LONGEST_PAUSE))


def _refresh(
    database: Database,
    feed_id: int,
    unconditional: bool,
    clock: Clock,
    interval: timedelta,
    fetch: Fetch,
) -> Refreshed:
    with database.read() as session:
        row = session.get(Feed, feed_id)
    if row is None:
        return Refreshed(feed_id, "", error="the feed was removed")
    wanted = Wanted(
        row.url,
        row.allow_private,
        etag=None if unconditional else row.etag,
        last_modified=None if unconditional else row.last_modified,
    )
    try:
        fetched = fetch(wanted)
        document = None if fetched.body is None else _read(fetched, clock())
    except FeedError as error:
        log.warning("feed %d could not be refreshed: %s", feed_id, error)
        return _record_failure(database, row, str(error), clock(), interval)
    return _record_success(database, row, fetched, document, clock(), interval)


def _read(fetched: Fetched, now: datetime) -> Document:
    return parse(
        fetched.body or b"", content_type=fetched.content_type, base_url=fetched.url, now=now
    )


def _record_failure(
    database: Database, row: Feed, error: str, now: datetime, interval: timedelta
) -> Refreshed:
    with database.write() as session:
        feed = session.get(Feed, row.id, with_for_update=True)
        if feed is not None:
            feed.failures += 1
            feed.error = error
            feed.failing_since = feed.failing_since or now
            feed.last_fetched_at = now
            feed.next_fetch_at = now + pause_after(feed.failures, interval)
    return Refreshed(row.id, row.url, error=error)


def _record_success(
    database: Database,
    row: Feed,
    fetched: Fetched,
    document: Document | None,
    now: datetime,
    interval: timedelta,
) -> Refreshed:
    arrived = Arrived(0, 0, 0)
    with database.write() as session:
        take_turn(session)
        feed = session.get(Feed, row.id)
        if feed is None:
            return Refreshed(row.id, row.url, error="the feed was removed")
        if document is not None:
            is_first = feed.first_fetched_at is None
            arrived = store(session, feed, document.entries, now=now)
            hand_out(session, feed.id, backlog=is_first, now=now)
        _succeeded(feed, document, fetched, now, interval)
    return Refreshed(
        row.id,
        row.url,
        arrived.new,
        arrived.updated,
        arrived.unchanged,
        not_modified=document is None,
        warnings=document.warnings if document else (),
    )


def _succeeded(
    feed: Feed, document: Document | None, fetched: Fetched, now: datetime, interval: timedelta
) -> None:
    feed.failures, feed.error, feed.failing_since = 0, None, None
    feed.last_fetched_at = feed.last_success_at = now
    feed.next_fetch_at = now + interval
    if document is None:
        return
    feed.first_fetched_at = feed.first_fetched_at or now
    feed.title = document.title or feed.title
    # With the validators of half a document a server would say that nothing is new, and the other
    # half would never come.
    feed.etag = fetched.etag if document.whole else None
    feed.last_modified = fetched.last_modified if document.whole else None
