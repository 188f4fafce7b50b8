"""Tells where the older pages of a feed are, and joins pages. Pure.

Never fetches one. Pages are linked as in RFC 5005, or in JSON Feed by `next_url`; WordPress numbers its own.
"""

from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mailer.feeds.reading.entry import Document


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


def joined(first: Document, second: Document) -> Document:
    """Join two pages; an entry of both is taken from the first."""
    seen = {(entry.guid, entry.url) for entry in first.entries}
    fresh = tuple(entry for entry in second.entries if (entry.guid, entry.url) not in seen)
    whole = first.whole and second.whole
    return replace(first, entries=first.entries + fresh, whole=whole, next_url=second.next_url)


def length(document: Document) -> int:
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
