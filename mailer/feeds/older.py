"""Where the older entries of a feed stand, for when its first page holds none that is known. Pure.

Archives are linked as in RFC 5005, or in JSON Feed by `next_url`; WordPress numbers its pages.
"""

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mailer.feeds.entry import Document

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
