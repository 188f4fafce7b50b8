"""Refreshes feeds: fetches with no transaction open, then writes each feed in one transaction.

Owns these commits; decides nothing itself. A failed fetch loses nothing: what the next one brings is as new
as it would have been.
"""

import logging
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from sqlalchemy.orm import Session

from mailer.daemon_pool import DaemonThreadPool
from mailer.db import AdvisoryLock, is_unreadable, take_lock
from mailer.errors import FeedError
from mailer.feeds import fetch_state, lookup, page_pictures
from mailer.feeds.canonical import is_same_host
from mailer.feeds.context import FeedContext, Fetch
from mailer.feeds.decide import decide, down_to_known
from mailer.feeds.http.fetch import Fetched, FetchRequest
from mailer.feeds.identity import feed_items
from mailer.feeds.reading import pagination
from mailer.feeds.reading.entry import MOST_ENTRIES, Document
from mailer.feeds.sandbox.reader import ReadingStopped
from mailer.feeds.store import Refreshed, store
from mailer.models import Feed, ImageSource

log = logging.getLogger(__name__)

MOST_PAGES: Final = 10
"""How many pages of a feed are read at once, including the first."""

MOST_TEXT: Final = 20_000_000
"""Characters of all pages of a feed that are kept at once; pages of feeds for readers have a hundredth."""

_PAGES_SECONDS: Final = 60.0
"""After this no further page of a feed is fetched: a slot may be waiting."""

_AT_ONCE: Final = 8
_LOOK_SECONDS: Final = 0.2


class _Abandoned(BaseException):
    """The process ends. Not an `Exception`: that would count as the feed's failure."""


def refresh(
    context: FeedContext,
    feed_ids: Sequence[int],
    *,
    unconditional: bool,
    chosen_at: datetime | None = None,
    is_draining: Callable[[], bool] = lambda: False,
    is_aborting: Callable[[], bool] = lambda: False,
) -> list[Refreshed]:
    """Fetch feeds, a few at a time, and store what is new; results are in the order of `feed_ids`.

    Args:
        context: once its reader is stopped, feeds being read are left out of the result.
        unconditional: send no validators, so that no server can say by mistake that nothing is new.
        chosen_at: when the feeds were found to be due: those that another scheduler is fetching, or has
            fetched since then, are left out. None fetches all of them.
        is_draining: asked before each fetch; once it is True, no fetch begins, those under way are finished,
            and the result is shorter.
        is_aborting: asked several times a second; once it is True, fetches under way are not waited for
            either, and what they bring is not stored.
    """
    if not feed_ids:
        return []
    context = replace(context, fetch=_unless_aborting(context.fetch, is_aborting))
    claimed: set[int] = set()

    def refresh_one(feed_id: int) -> Refreshed | None:
        if is_draining():
            return None
        row = _begin(context, feed_id, chosen_at)
        if not isinstance(row, Feed):
            return row
        if chosen_at is not None:
            claimed.add(feed_id)
        with suppress(_Abandoned, ReadingStopped):
            refreshed = _fetch_and_store(context, row, unconditional)
            claimed.discard(feed_id)
            if row.image_source is ImageSource.PAGE and refreshed.error is None:
                with suppress(_Abandoned, ReadingStopped):
                    page_pictures.look_at_pages(context, feed_id, is_draining)
            return refreshed
        return None

    pool = DaemonThreadPool(min(_AT_ONCE, len(feed_ids)), "feed")
    futures = [pool.submit(refresh_one, feed_id) for feed_id in feed_ids]
    pool.shutdown(wait=False)
    # The end of the process must not wait half a minute for a slow server.
    while wait(futures, _LOOK_SECONDS).not_done and not is_aborting():
        pass
    if is_aborting() and claimed:
        # Otherwise these feeds would wait as long as after a kill.
        with context.database.write() as session:
            fetch_state.give_back(session, list(claimed))
    results = [future.result() for future in futures if future.done()]
    return [refreshed for refreshed in results if refreshed is not None]


def _unless_aborting(fetch: Fetch, is_aborting: Callable[[], bool]) -> Fetch:
    def fetch_unless_aborting(request: FetchRequest) -> Fetched:
        if is_aborting():
            raise _Abandoned
        fetched = fetch(request)
        if is_aborting():
            raise _Abandoned
        return fetched

    return fetch_unless_aborting


def _begin(
    context: FeedContext, feed_id: int, chosen_at: datetime | None
) -> Feed | Refreshed | None:
    """Claim a feed and return its row, or the result if it has none that can be read.

    Args:
        chosen_at: as in `refresh`; None claims nothing.

    Returns:
        None if the feed is left to another scheduler.
    """
    try:
        if chosen_at is not None:
            with context.database.write() as session:
                # The write may have had to wait.
                now = context.clock()
                return fetch_state.claim(session, feed_id, chosen_at=chosen_at, now=now)
        with context.database.read() as session:
            return session.get(Feed, feed_id) or _removed(feed_id, "")
    except Exception as error:
        if not is_unreadable(error):
            raise
        log.error("feed %d cannot be read from the database: %s", feed_id, type(error).__name__)
    with context.database.write() as session:
        now = context.clock()
        reason = fetch_state.unreadable(session, feed_id, now=now, interval=context.interval)
    return Refreshed(feed_id, "", error=reason)


def _fetch_and_store(context: FeedContext, row: Feed, unconditional: bool) -> Refreshed:
    try:
        validators = (None, None) if unconditional else (row.etag, row.last_modified)
        request = FetchRequest(row.url, row.allow_private, *validators, row.validators_url)
        fetched = context.fetch(request)
        pages = _with_older_pages(context, row, fetched)
        page = (None, None) if fetched.body is None else next(pages)
        while isinstance(result := _decide_and_store(context, row, fetched, *page), Document):
            page = pages.send(result)
        return result
    except Exception as error:
        # Whatever a server or a document causes is this feed's failure only.
        return _record_failure(context, row, fetch_state.as_failure(row.id, error))


def _with_older_pages(
    context: FeedContext, feed: Feed, fetched: Fetched
) -> Generator[tuple[Document, int | None], Document, None]:
    """Yield the feed's document, then what the caller sends of it with one older page more each time.

    Each comes with the number of its entries that are from before its last page. The last one has None
    there, and warnings: that articles may be missing, and that the pages are too long if they are.

    Raises:
        FeedUnreadable: what was fetched is no feed.
    """
    document = context.parse(fetched)
    begun = monotonic()
    is_linked = document.next_url is not None
    warnings = ["no entry is known from before; articles in between may be missing"]
    document = yield document, 0
    for number in range(2, MOST_PAGES + 1):
        if (is_linked and document.next_url is None) or monotonic() - begun > _PAGES_SECONDS:
            break
        try:
            url = pagination.next_page(document, fetched.url, number)
            allow_private = feed.allow_private and is_same_host(url, feed.url)
            page = context.parse(context.fetch(FetchRequest(url, allow_private)))
        except FeedError as error:
            log.info("feed %d has no page %d: %s", feed.id, number, error)
            break
        longer = pagination.joined(document, page)
        if len(longer.entries) == len(document.entries):
            break
        if len(longer.entries) > MOST_ENTRIES or pagination.length(longer) > MOST_TEXT:
            warnings.append(
                f"page {number} and older ones were not read: all pages together would have more than "
                f"{MOST_ENTRIES:,} entries or {MOST_TEXT // 1_000_000} million characters"
            )
            log.warning("feed %d: %s", feed.id, warnings[-1])
            break
        document = yield longer, len(document.entries)
    yield replace(document, warnings=(*document.warnings, *warnings)), None


def _decide_and_store(
    context: FeedContext,
    row: Feed,
    fetched: Fetched,
    document: Document | None,
    earlier: int | None,
) -> Refreshed | Document:
    """Decide and store; if an older page is wanted, write nothing and return what it is added to."""
    now = context.clock()
    with context.database.write() as session:
        if document is not None:
            take_lock(session, AdvisoryLock.ADD_ARTICLES)
        feed = session.get(Feed, row.id)
        if feed is None:
            return _removed(row.id, row.url)
        was_held = feed.held_at is not None
        refreshed = take_in(
            session, feed, fetched, document, earlier, now=now, interval=context.interval
        )
        if isinstance(refreshed, Refreshed):
            fetch_state.alert_once(session, feed, context.alerts, was_held=was_held, now=now)
        return refreshed


def take_in(
    session: Session,
    feed: Feed,
    fetched: Fetched,
    document: Document | None,
    earlier: int | None,
    *,
    now: datetime,
    interval: timedelta,
) -> Refreshed | Document:
    """Decide what becomes of a document, and store it.

    The caller's transaction holds `AdvisoryLock.ADD_ARTICLES` if there is a document.

    Args:
        document: what was read; None if nothing has changed.
        earlier: how many of its entries are from before its last page; None if there is no older page.

    Returns:
        If an older page is to be read first, what it is added to; then nothing is written.
    """
    refreshed = Refreshed(feed.id, feed.url, not_modified=True)
    if document is not None:
        items = feed_items(document.entries)
        known = lookup.look_up(session, feed, items)
        if earlier:
            page = down_to_known(document.entries[earlier:], known)
            document = replace(document, entries=(*document.entries[:earlier], *page))
            items = feed_items(document.entries)
        decision = decide(feed, items, known, has_older_page=earlier is not None, now=now)
        if decision.wants_older_page:
            return document
        is_first = feed.first_fetched_at is None
        refreshed = store(session, feed, decision, is_backlog=is_first, now=now)
    is_taken = lookup.is_taken(session, fetched.permanent_url)
    warnings = fetch_state.succeeded(
        feed, fetched, document, is_taken=is_taken, now=now, interval=interval
    )
    return replace(refreshed, url=feed.url, warnings=(*refreshed.warnings, *warnings))


def _record_failure(context: FeedContext, row: Feed, error: FeedError) -> Refreshed:
    now = context.clock()
    with context.database.write() as session:
        feed = session.get(Feed, row.id, with_for_update=True)
        if feed is None:
            return _removed(row.id, row.url)
        fetch_state.failed(feed, error, now=now, interval=context.interval)
        fetch_state.alert_once(session, feed, context.alerts, was_held=True, now=now)
        return Refreshed(row.id, row.url, error=feed.error)


def _removed(feed_id: int, url: str) -> Refreshed:
    return Refreshed(feed_id, url, error="the feed was removed")
