"""Refreshes feeds: fetches with no transaction open, then writes each feed in one transaction.

Owns these commits; decides nothing itself. A failed fetch loses nothing: what the next one brings is as new
as it would have been.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Final

from mailer.daemon_pool import DaemonThreadPool
from mailer.db import AdvisoryLock, is_unreadable, take_lock
from mailer.errors import FeedError
from mailer.feeds import fetch_state, lookup, moved, page_pictures
from mailer.feeds.canonical import is_same_host
from mailer.feeds.feed_context import FeedContext, Fetch
from mailer.feeds.http.fetch import Fetched, FetchRequest
from mailer.feeds.newsletter_feeds import hand_out
from mailer.feeds.pagination import MOST_PAGES, down_to_known, next_page, together
from mailer.feeds.reading.entry import Document
from mailer.feeds.sandbox.reader import ReadingStopped
from mailer.feeds.store_items import Arrived
from mailer.models import Feed

log = logging.getLogger(__name__)

_AT_ONCE: Final = 8
_LOOK_SECONDS: Final = 0.2
_PAGES_SECONDS: Final = 60.0
"""After this no further page of a feed is fetched: a slot may be waiting."""


class _Abandoned(BaseException):
    """The process ends. Not an `Exception`: that would count as the feed's failure."""


@dataclass(frozen=True)
class Refreshed:
    """The result of one feed's refresh.

    `error` says why it failed. `not_modified` is True if the server said that nothing has changed. `held`
    counts the items that wait for staff to decide.
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
    context: FeedContext,
    feed_ids: Sequence[int],
    *,
    unconditional: bool,
    chosen_at: datetime | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
    is_ending: Callable[[], bool] = lambda: False,
) -> list[Refreshed]:
    """Fetch feeds, a few at a time, and store what is new; results are in the order of `feed_ids`.

    Args:
        context: once its reader is stopped, feeds being read are left out of the result.
        unconditional: send no validators, so that no server can say by mistake that nothing is new.
        chosen_at: when the feeds were found to be due: those that another scheduler is fetching, or has
            fetched since then, are left out. None fetches all of them.
        is_stopping: asked before each fetch; once it is True, no fetch begins, and the result is shorter.
        is_ending: asked several times a second; once it is True, fetches under way are not waited for
            either, and what they bring is not stored.
    """
    if not feed_ids:
        return []
    context = replace(context, fetch=_unless_ending(context.fetch, is_ending))
    claimed: set[int] = set()

    def refresh_one(feed_id: int) -> Refreshed | None:
        if is_stopping():
            return None
        if chosen_at is not None:
            with context.database.write() as session:
                if not fetch_state.claim(
                    session, feed_id, chosen_at=chosen_at, now=context.clock()
                ):
                    return None
            claimed.add(feed_id)
        with suppress(_Abandoned, ReadingStopped):
            refreshed = _refresh(context, feed_id, unconditional)
            claimed.discard(feed_id)
            if refreshed.error is None:
                with suppress(_Abandoned, ReadingStopped):
                    page_pictures.look_at_pages(context, feed_id, is_stopping)
            return refreshed
        return None

    pool = DaemonThreadPool(min(_AT_ONCE, len(feed_ids)), "feed")
    futures = [pool.submit(refresh_one, feed_id) for feed_id in feed_ids]
    pool.shutdown(wait=False)
    # The end of the process must not wait half a minute for a slow server.
    while wait(futures, _LOOK_SECONDS).not_done and not is_ending():
        pass
    if is_ending() and claimed:
        # Otherwise these feeds would wait as long as after a kill.
        with context.database.write() as session:
            fetch_state.give_back(session, list(claimed))
    results = [future.result() for future in futures if future.done()]
    return [refreshed for refreshed in results if refreshed is not None]


def _unless_ending(fetch: Fetch, is_ending: Callable[[], bool]) -> Fetch:
    def fetch_unless_ending(request: FetchRequest) -> Fetched:
        if is_ending():
            raise _Abandoned
        fetched = fetch(request)
        if is_ending():
            raise _Abandoned
        return fetched

    return fetch_unless_ending


def _refresh(context: FeedContext, feed_id: int, unconditional: bool) -> Refreshed:
    try:
        with context.database.read() as session:
            row = session.get(Feed, feed_id)
    except Exception as error:
        if not is_unreadable(error):
            raise
        return _record_unreadable(context, feed_id, error)
    if row is None:
        return _removed(feed_id, "")
    try:
        validators = (None, None) if unconditional else (row.etag, row.last_modified)
        request = FetchRequest(row.url, row.allow_private, *validators, row.validators_url)
        fetched = context.fetch(request)
        document = None if fetched.body is None else context.parse(fetched)
        if document is not None and row.held_at is None:
            document = _with_older(context, row, document, fetched.url)
        return _record_success(context, row, fetched, document)
    except Exception as error:
        # Whatever a server or a document causes is this feed's failure only.
        return _record_failure(context, row, fetch_state.as_failure(feed_id, error))


def _with_older(context: FeedContext, row: Feed, document: Document, url: str) -> Document:
    """Add older pages to a document, until one has an entry that is known.

    Args:
        url: where the document came from.
    """
    begun = monotonic()
    is_linked = document.next_url is not None
    for number in range(2, MOST_PAGES + 2):
        with context.database.read() as session:
            if not moved.may_have_older(session, row, document.entries):
                return document
        is_end = is_linked and document.next_url is None
        if number > MOST_PAGES or is_end or monotonic() - begun > _PAGES_SECONDS:
            break
        try:
            page_url = next_page(document, url, number)
            allow_private = row.allow_private and is_same_host(page_url, row.url)
            page = context.parse(context.fetch(FetchRequest(page_url, allow_private)))
        except FeedError as error:
            log.info("feed %d has no page %d: %s", row.id, number, error)
            break
        with context.database.read() as session:
            page = down_to_known(page, lookup.known_entries(session, row, page.entries))
        longer = together(document, page)
        if len(longer.entries) == len(document.entries):
            break
        document = longer
    warning = "no entry is known from before; articles in between may be missing"
    return replace(document, warnings=(*document.warnings, warning))


def _record_success(
    context: FeedContext, row: Feed, fetched: Fetched, document: Document | None
) -> Refreshed:
    now = context.clock()
    arrived = Arrived()
    warnings: tuple[str, ...] = ()
    with context.database.write() as session:
        if document is not None:
            take_lock(session, AdvisoryLock.ADD_ARTICLES)
        feed = session.get(Feed, row.id)
        if feed is None:
            return _removed(row.id, row.url)
        was_held = feed.held_at is not None
        if document is not None:
            is_first = feed.first_fetched_at is None
            arrived = moved.store_unless_moved(session, feed, document.entries, now=now)
            hand_out(session, feed.id, backlog=is_first, now=now)
            warnings = document.warnings
        warnings += fetch_state.succeeded(
            session, feed, fetched, document, now=now, interval=context.interval
        )
        fetch_state.alert_once(session, feed, context.alerts, was_held=was_held, now=now)
    return Refreshed(
        row.id, feed.url, **asdict(arrived), not_modified=document is None, warnings=warnings
    )


def _record_failure(context: FeedContext, row: Feed, error: FeedError) -> Refreshed:
    now = context.clock()
    with context.database.write() as session:
        feed = session.get(Feed, row.id, with_for_update=True)
        if feed is None:
            return _removed(row.id, row.url)
        fetch_state.failed(feed, error, now=now, interval=context.interval)
        fetch_state.alert_once(session, feed, context.alerts, was_held=True, now=now)
        return Refreshed(row.id, row.url, error=feed.error)


def _record_unreadable(context: FeedContext, feed_id: int, error: Exception) -> Refreshed:
    log.error("feed %d cannot be read from the database: %s", feed_id, type(error).__name__)
    with context.database.write() as session:
        reason = fetch_state.unreadable(
            session, feed_id, now=context.clock(), interval=context.interval
        )
    return Refreshed(feed_id, "", error=reason)


def _removed(feed_id: int, url: str) -> Refreshed:
    return Refreshed(feed_id, url, error="the feed was removed")
