"""Finds the older pages of a feed, and joins them with the first one. Pure.

Pages are linked as in RFC 5005, or in JSON Feed by `next_url`; WordPress numbers its pages.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mailer.feeds.reading.entry import Document

MOST_PAGES: Final = 10
"""How many pages of a feed are read at once, including the first."""


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


def down_to_known(page: Document, known: Collection[int]) -> Document:
    """Leave out the entries of an older page that are older than all known ones: they are no news.

    That is every entry after the last known one that is not newer than the oldest known one.

    Args:
        known: which of its entries are known, counted from 0.
    """
    if not known:
        return page
    last = max(known)
    dates = [date for number in known if (date := page.entries[number].published) is not None]
    oldest = min(dates, default=None)
    kept = tuple(
        entry
        for number, entry in enumerate(page.entries)
        if number <= last
        or (oldest is not None and entry.published is not None and entry.published > oldest)
    )
    return replace(page, entries=kept)


def together(first: Document, second: Document) -> Document:
    """Join two pages; an entry of both is taken from the first."""
    seen = {(entry.guid, entry.url) for entry in first.entries}
    fresh = tuple(entry for entry in second.entries if (entry.guid, entry.url) not in seen)
    whole = first.whole and second.whole
    return replace(first, entries=first.entries + fresh, whole=whole, next_url=second.next_url)
