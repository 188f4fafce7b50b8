"""Where the older entries of a feed stand, for when its first page holds none that is known. Pure.

Archives are linked as in RFC 5005, or in JSON Feed by `next_url`; WordPress numbers its pages.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mailer.feeds.reading.entry import Document

MOST_PAGES: Final = 10
"""How many pages of a feed are read at one time, the first one included."""


def next_page(document: Document, url: str, number: int) -> str:
    """The address of the page after this document.

    Args:
        url: where the feed's first page came from.
        number: which page that is, counted from 1 as the first.
    """
    if document.next_url is not None:
        return document.next_url
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "paged"]
    return urlunsplit(
        parts._replace(query=urlencode([*query, ("paged", str(number))]), fragment="")
    )


def down_to_known(page: Document, known: Collection[int]) -> Document:
    """An older page without what was there long before the feed was: that is no news.

    Archives go further back than to the entries that are known. What stands below all of these, and is no
    younger, is left out.

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
    """Two pages as one document; what both hold counts once, as the first has it."""
    seen = {(entry.guid, entry.url) for entry in first.entries}
    fresh = tuple(entry for entry in second.entries if (entry.guid, entry.url) not in seen)
    return Document(
        title=first.title,
        entries=first.entries + fresh,
        warnings=first.warnings,
        whole=first.whole and second.whole,
        next_url=second.next_url,
    )
