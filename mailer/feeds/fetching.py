"""Fetches the document of a feed, and older pages if nothing on the first one is known.

Never reads or writes the database. Pages are linked as in RFC 5005, or in JSON Feed by `next_url`; WordPress
numbers its pages.
"""

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mailer.clock import Clock
from mailer.db import Database
from mailer.errors import FeedError
from mailer.feeds.canonical import is_same_host
from mailer.feeds.http.fetch import Fetched, FetchRequest, fetch
from mailer.feeds.reading.entry import Document
from mailer.feeds.sandbox.reader import FeedReader
from mailer.models import Feed
from mailer.notices.alert import Alerts

log = logging.getLogger(__name__)

MOST_PAGES: Final = 10
"""How many pages of a feed are read at once, including the first."""

MOST_TEXT: Final = 20_000_000
"""Characters of all pages of a feed that are kept at once; pages of feeds for readers have a hundredth."""

_PAGES_SECONDS: Final = 60.0
"""After this no further page of a feed is fetched: a slot may be waiting."""

Fetch = Callable[[FetchRequest], Fetched]


@dataclass(frozen=True)
class FeedContext:
    """Everything that is needed to fetch feeds and to store their articles.

    Args:
        reader: parses what is fetched.
        clock: tells when a document arrives.
        interval: how long after a fetch the next one is due; longer if a feed goes on failing.
        alerts: how staff are told of a feed that needs them; None alerts nobody.
        fetch: fetches a document.
    """

    database: Database
    reader: FeedReader
    clock: Clock
    interval: timedelta
    alerts: Alerts | None = None
    fetch: Fetch = fetch

    def parse(self, fetched: Fetched) -> Document:
        """Parse what was fetched.

        Raises:
            FeedUnreadable: it is no feed.
        """
        return self.reader.parse(
            fetched.body or b"",
            content_type=fetched.content_type,
            base_url=fetched.url,
            now=self.clock(),
        )


def with_older_pages(
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
            url = next_page(document, fetched.url, number)
            allow_private = feed.allow_private and is_same_host(url, feed.url)
            page = context.parse(context.fetch(FetchRequest(url, allow_private)))
        except FeedError as error:
            log.info("feed %d has no page %d: %s", feed.id, number, error)
            break
        longer = _together(document, page)
        if len(longer.entries) == len(document.entries):
            break
        if _length(longer) > MOST_TEXT:
            warnings.append(
                f"page {number} and older ones were not read: all pages together would have more than "
                f"{MOST_TEXT // 1_000_000} million characters"
            )
            log.warning("feed %d: %s", feed.id, warnings[-1])
            break
        document = yield longer, len(document.entries)
    yield replace(document, warnings=(*document.warnings, *warnings)), None


def next_page(document: Document, url: str, number: int) -> str:
    """Return the address of the page after this document.

    Args:
        url: where the feed's first page came from.
        number: the number of that page; the first page is 1.
    """
    if document.next_url is not None:
        return document.next_url
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "paged"]
    return urlunsplit(
        parts._replace(query=urlencode([*query, ("paged", str(number))]), fragment="")
    )


def _together(first: Document, second: Document) -> Document:
    """Join two pages; an entry of both is taken from the first."""
    seen = {(entry.guid, entry.url) for entry in first.entries}
    fresh = tuple(entry for entry in second.entries if (entry.guid, entry.url) not in seen)
    whole = first.whole and second.whole
    return replace(first, entries=first.entries + fresh, whole=whole, next_url=second.next_url)


def _length(document: Document) -> int:
    """Return about how many characters the entries of a document have."""
    return sum(
        len(entry.guid)
        + len(entry.url or "")
        + len(entry.canonical_url)
        + len(entry.title)
        + len(entry.summary_html)
        + len(entry.image or "")
        + sum(map(len, entry.categories))
        for entry in document.entries
    )
