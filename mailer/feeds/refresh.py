"""Refreshes feeds: fetches with no transaction open, then one write for each feed.

Owns these commits and decides nothing itself. A fetch that fails takes nothing away: what the next one
brings is as new as it would have been.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from mailer.clock import Clock
from mailer.daemon_pool import DaemonThreadPool
from mailer.db import AdvisoryLock, Database, is_unreadable, take_lock
from mailer.errors import FeedError
from mailer.feeds import fetch_state, lookup, page_pictures
from mailer.feeds.canonical import is_same_host
from mailer.feeds.http.fetch import Fetched, FetchRequest, fetch
from mailer.feeds.newsletter_feeds import hand_out
from mailer.feeds.pagination import MOST_PAGES, down_to_known, next_page, together
from mailer.feeds.reading.entry import Document
from mailer.feeds.sandbox.reader import FeedReader, ReadingStopped
from mailer.feeds.store import Arrived, store
from mailer.models import Feed
from mailer.notices.alert import Alerts

log = logging.getLogger(__name__)

Fetch = Callable[[FetchRequest], Fetched]

_AT_ONCE: Final = 8
_LOOK_SECONDS: Final = 0.2
_PAGES_SECONDS: Final = 60.0
"""After which no further page of a feed or of its articles is asked for: a slot may be waiting."""


class _Abandoned(BaseException):
    """The process ends. Not an `Exception`: that would count as the feed's failure."""


@dataclass(frozen=True)
class Refreshed:
    """What became of one feed's refresh.

    `error` says why it failed, and is None where it did not. `not_modified` is True where the server
    said that nothing has changed. `held` counts the pieces that wait for staff to decide.
    """

    feed_id: int
    url: str
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    held: int = 0
    not_modified: bool = False
    warnings: tuple[str, ...] = ()
    error: str | None = None


def refresh(
    database: Database,
    feed_ids: Sequence[int],
    *,
    unconditional: bool,
    reader: FeedReader,
    clock: Clock,
    interval: timedelta,
    alerts: Alerts | None = None,
    fetch: Fetch = fetch,
    is_stopping: Callable[[], bool] = lambda: False,
    chosen_at: datetime | None = None,
    is_ending: Callable[[], bool] = lambda: False,
) -> list[Refreshed]:
    """Fetch these feeds, a few at a time, and store what is new; in the order of `feed_ids`.

    Args:
        unconditional: send no validators, so that no server can say by mistake that nothing is new.
        reader: reads what is fetched; once it is stopped, what it was reading is left out of the result.
        clock: tells when what a fetch brings arrived.
        interval: how long after this each is fetched again; longer where it goes on failing.
        alerts: what it takes to tell staff of a feed that needs somebody; None tells nobody.
        is_stopping: asked before each fetch; once it is True, none begins, and the result is shorter.
        chosen_at: when they were found to be due: each that another scheduler is fetching, or has fetched
            since then, is left out. None fetches all of them, whoever else does.
        is_ending: asked several times a second; once it is True, fetches under way are not waited for
            either, and what they bring is not stored.
    """
    if not feed_ids:
        return []
    claimed: set[int] = set()

    def fetch_unless_ending(wanted: FetchRequest) -> Fetched:
        if is_ending():
            raise _Abandoned
        fetched = fetch(wanted)
        if is_ending():
            raise _Abandoned
        return fetched

    def one(feed_id: int) -> Refreshed | None:
        if is_stopping():
            return None
        if chosen_at is not None:
            with database.write() as session:
                if not fetch_state.claim(session, feed_id, chosen_at=chosen_at, now=clock()):
                    return None
            claimed.add(feed_id)
        fetch = fetch_unless_ending
        try:
            refreshed = _refresh(
                database, feed_id, unconditional, reader, clock, interval, alerts, fetch
            )
            claimed.discard(feed_id)
        except (_Abandoned, ReadingStopped):
            return None
        if refreshed.error is None:
            with suppress(_Abandoned, ReadingStopped):
                read_pages(database, feed_id, reader, clock, fetch, is_stopping)
        return refreshed

    pool = DaemonThreadPool(min(_AT_ONCE, len(feed_ids)), "feed")
    futures = [pool.submit(one, feed_id) for feed_id in feed_ids]
    pool.shutdown(wait=False)
    # A server may let us wait for half a minute, which the end of the process must not.
    while wait(futures, _LOOK_SECONDS).not_done and not is_ending():
        pass
    if is_ending() and claimed:
        # Otherwise they would wait for as long as if we had been killed.
        with database.write() as session:
            fetch_state.give_back(session, list(claimed))
    results = [future.result() for future in futures if future.done()]
    return [refreshed for refreshed in results if refreshed is not None]


def _refresh(
    database: Database,
    feed_id: int,
    unconditional: bool,
    reader: FeedReader,
    clock: Clock,
    interval: timedelta,
    alerts: Alerts | None,
    fetch: Fetch,
) -> Refreshed:
    try:
        with database.read() as session:
            row = session.get(Feed, feed_id)
    except Exception as error:
        if not is_unreadable(error):
            raise
        return _record_unreadable(database, feed_id, error, clock(), interval)
    if row is None:
        return Refreshed(feed_id, "", error="the feed was removed")
    wanted = FetchRequest(
        row.url,
        row.allow_private,
        etag=None if unconditional else row.etag,
        last_modified=None if unconditional else row.last_modified,
        validators_url=row.validators_url,
    )
    try:
        fetched = fetch(wanted)
        document = None if fetched.body is None else read(reader, fetched, clock())
        missing: tuple[str, ...] = ()
        if document is not None and row.held_at is None:
            document, missing = _with_older(database, row, document, fetched, reader, clock, fetch)
        return _record_success(database, row, fetched, document, missing, clock(), interval, alerts)
    except Exception as error:
        # Whatever a server or a document brings about is its feed's failure, and no other's.
        failure = fetch_state.as_failure(feed_id, error)
        return _record_failure(database, row, failure, clock(), interval, alerts)


def read(reader: FeedReader, fetched: Fetched, now: datetime) -> Document:
    """Read what was fetched.

    Raises:
        FeedUnreadable: it is no feed.
    """
    body = fetched.body or b""
    return reader.parse(body, content_type=fetched.content_type, base_url=fetched.url, now=now)


def _with_older(
    database: Database,
    row: Feed,
    document: Document,
    fetched: Fetched,
    reader: FeedReader,
    clock: Clock,
    fetch: Fetch,
) -> tuple[Document, tuple[str, ...]]:
    """The document, with the older pages that it takes to come to an entry that is known."""
    begun = monotonic()
    is_linked = document.next_url is not None
    for number in range(2, MOST_PAGES + 2):
        with database.read() as session:
            if not lookup.is_all_new(session, row, document.entries):
                return document, ()
        is_end = is_linked and document.next_url is None
        if number > MOST_PAGES or is_end or monotonic() - begun > _PAGES_SECONDS:
            break
        try:
            url = next_page(document, fetched.url, number)
            answer = fetch(FetchRequest(url, row.allow_private and is_same_host(url, row.url)))
            page = read(reader, answer, clock())
        except FeedError as error:
            log.info("feed %d has no page %d: %s", row.id, number, error)
            break
        with database.read() as session:
            page = down_to_known(page, lookup.seen(session, row, page.entries))
        longer = together(document, page)
        if len(longer.entries) == len(document.entries):
            break
        document = longer
    return document, ("no entry is known from before; some between may be missing",)


def read_pages(
    database: Database,
    feed_id: int,
    reader: FeedReader,
    clock: Clock,
    fetch: Fetch,
    is_stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Look for pictures on the pages of articles that were not looked at yet, each of them once."""
    with database.read() as session:
        pages = page_pictures.wanted(session, feed_id)
    begun = monotonic()
    for page in pages:
        # Those that are left are looked at after the next fetch.
        if is_stopping() or monotonic() - begun > _PAGES_SECONDS:
            return
        try:
            found = page_pictures.look(page, fetch, reader)
        except Exception as error:
            # A picture is an extra, and a page is looked at once.
            log.error("a page of feed %d could not be read", feed_id, exc_info=error)
            found = None
        with database.write() as session:
            page_pictures.record(session, page.article_id, found, now=clock())


def _record_failure(
    database: Database,
    row: Feed,
    error: FeedError,
    now: datetime,
    interval: timedelta,
    alerts: Alerts | None,
) -> Refreshed:
    with database.write() as session:
        feed = session.get(Feed, row.id, with_for_update=True)
        if feed is None:
            return Refreshed(row.id, row.url, error="the feed was removed")
        fetch_state.failed(feed, error, now=now, interval=interval)
        if alerts is not None:
            fetch_state.tell(session, feed, alerts, was_held=True, now=now)
        return Refreshed(row.id, row.url, error=feed.error)


def _record_unreadable(
    database: Database, feed_id: int, error: Exception, now: datetime, interval: timedelta
) -> Refreshed:
    log.error("feed %d cannot be read from the database: %s", feed_id, type(error).__name__)
    told = "a value in its row cannot be read; mend it in the database"
    with database.write() as session:
        fetch_state.cannot_be_read(session, feed_id, told, now=now, interval=interval)
    return Refreshed(feed_id, "", error=told)


def _record_success(
    database: Database,
    row: Feed,
    fetched: Fetched,
    document: Document | None,
    warnings: tuple[str, ...],
    now: datetime,
    interval: timedelta,
    alerts: Alerts | None,
) -> Refreshed:
    arrived = Arrived(0, 0, 0)
    with database.write() as session:
        if document is not None:
            take_lock(session, AdvisoryLock.ADD_ARTICLES)
        feed = session.get(Feed, row.id)
        if feed is None:
            return Refreshed(row.id, row.url, error="the feed was removed")
        was_held = feed.held_at is not None
        if document is not None:
            is_first = feed.first_fetched_at is None
            arrived = store(session, feed, document.entries, now=now)
            hand_out(session, feed.id, backlog=is_first, now=now)
        warnings += tuple(
            fetch_state.succeeded(session, feed, fetched, document, now=now, interval=interval)
        )
        if alerts is not None:
            fetch_state.tell(session, feed, alerts, was_held=was_held, now=now)
    return Refreshed(
        row.id,
        feed.url,
        arrived.new,
        arrived.updated,
        arrived.unchanged,
        arrived.held,
        not_modified=document is None,
        warnings=(document.warnings if document else ()) + warnings,
    )
