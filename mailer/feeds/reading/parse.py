"""Parses a feed: takes its bytes and returns its entries, be it RSS, RDF, Atom or JSON Feed. Pure.

Never raises anything but `FeedUnreadable`, whatever the bytes are, and never opens a path or an address.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from mailer.feeds.reading.document import read_text
from mailer.feeds.reading.entry import Document, FeedWarnings
from mailer.feeds.reading.json_feed import read_json
from mailer.feeds.reading.xml_feed import read_xml
from mailer.text.untrusted import without_bidi_controls


def parse(
    body: bytes, *, content_type: str = "", base_url: str | None = None, now: datetime
) -> Document:
    """Parse a feed.

    Args:
        body: the document.
        content_type: its Content-Type header, which may name the encoding.
        base_url: where it came from, for relative links; without it, the address that the feed names.
        now: aware; entries dated after tomorrow or before 1995 count as undated.

    Raises:
        FeedUnreadable: it is no feed.
    """
    warn = FeedWarnings()
    text = read_text(body, content_type, base_url, warn)
    read = read_xml if text.startswith("<") else read_json
    document = read(text, base_url, now, warn)
    guids = Counter(entry.guid for entry in document.entries)
    for guid, n in guids.items():
        if n > 1:
            warn(f"guid {guid!r} appears {n} times")
    title = without_bidi_controls(document.title)
    return replace(document, title=title, warnings=warn.collected())
