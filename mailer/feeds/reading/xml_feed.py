"""Parses RSS 0.9 to 2.0, RDF and Atom by feedparser, and corrects its readings. Pure.

Never hands feedparser anything but an open stream: it opens what looks like a path or an address.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any, Final
from urllib.parse import urljoin
from xml.sax import SAXException

import feedparser

from mailer.errors import FeedUnreadable
from mailer.feeds.canonical import absolute_url
from mailer.feeds.reading.dates import read_instant
from mailer.feeds.reading.entry import Document, Entry, FeedWarnings, RawEntry, each_entry, finish
from mailer.feeds.reading.markup import without
from mailer.feeds.reading.media import pictures_of, thumbnails_of
from mailer.feeds.reading.sanitise import title_text, without_markup
from mailer.text.plain_text import as_html

_HEADERS: Final = {"content-type": "application/xml; charset=utf-8"}
_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_ALTERNATE: Final = frozenset(
    {"alternate", "", "http://www.iana.org/assignments/relation/alternate"}
)
"""The relation of an entry to its page, by name or by address (RFC 4287 section 4.2.7.2)."""
_OPENED = re.compile(r"<(?:[\w.-]+:)?(?:item|entry)[\s>]", re.IGNORECASE)
_CLOSED = re.compile(r"</(?:[\w.-]+:)?(?:item|entry)\s*>", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://|/", re.IGNORECASE)
# Elements with the names of the library's own keys; and places, where it fails at bad numbers.
_RESERVED = re.compile(
    r"<(/?)(?:(?:[\w.-]+:)?(?:links|authors|contributors|enclosures|media_\w+|\w+_(?:detail|parsed))"
    r"|[\w.-]+:(?:pos|poslist|point|line|polygon|box))(?=[\s/>])",
    re.IGNORECASE,
)
# Most feeds have none of these, and looking for them first costs a tenth.
_HINTS: Final = (
    *("links", "authors", "contributors", "enclosures", "media_", "_detail", "_parsed"),
    *(":pos", ":point", ":line", ":polygon", ":box"),
)
_OTHER_TITLE: Final = "<dc:title"
_OBJECT: Final = "<activity:object>"
_OBJECT_END: Final = "</activity:object>"
_CAPTION: Final = "media:description"
_OWN_TEXT = re.compile(r"<(?:description|summary|content)[\s>]")
# A channel has a description, and an entry another one.
_FEWEST_TEXTS: Final = 2
_WHOLE_TITLE = re.compile(r"</title\s*>", re.IGNORECASE)
_WHOLE_LINK = re.compile(r"</link\s*>|<(?:[\w.-]+:)?link\s[^<>]*/>", re.IGNORECASE)
_GUID_BEGINS = re.compile(r"<(?:guid|id)[\s>]", re.IGNORECASE)
_GUID_ENDS = re.compile(r"</(?:guid|id)\s*>", re.IGNORECASE)
_FAULTS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    SAXException,
    TypeError,
    ValueError,
)
"""What feedparser raises for text that is no feed."""


def read_xml(text: str, base_url: str | None, now: datetime, warn: FeedWarnings) -> Document:
    """Parse an XML feed, given from its root element on; if it is broken, as much as can be read.

    Raises:
        FeedUnreadable: there is nothing of a feed in it.
    """
    try:
        parsed = feedparser.parse(
            BytesIO(_without_misread(text).encode()),
            response_headers=_HEADERS,
            resolve_relative_uris=False,
            sanitize_html=False,
        )
    except _FAULTS as error:
        raise FeedUnreadable(
            "the document cannot be read; try again later, or tell the people who run the site"
        ) from error
    # Plain dictionaries: the library's own ones also answer for keys that they do not hold.
    items, feed, whole = [dict(item) for item in parsed.entries], dict(parsed.feed), not parsed.bozo
    if not whole:
        warn("not well-formed XML; what can be read of it was read")
        tail = _unfinished_entry(text)
        if tail and items and _is_usable(tail):
            warn("the document ends inside an entry; the beginning of that entry was read")
        elif tail and items:
            # Half an address would become an article of its own.
            items.pop()
            warn("the document ends inside an entry, which was left out")
    if not items and not parsed.version and not feed.get("title"):
        raise FeedUnreadable
    is_atom = parsed.version.startswith("atom")
    base = _base(base_url, feed)

    def read(item: Any) -> Entry | None:
        try:
            return finish(_raw_entry(item, base, is_atom), now, warn)
        except _FAULTS:
            # A hostile document can make the library return anything; the other entries are good.
            warn("cannot be read: left out")
            return None

    entries = each_entry(items, read, warn)
    title = _title(feed, is_atom)
    return Document(title, entries, warn.collected(), whole, _next_url(feed, base))


def _next_url(feed: Any, base: str | None) -> str | None:
    """Return where older entries are (RFC 5005 sections 3 and 4)."""
    for relation in ("next", "prev-archive"):
        for link in feed.get("links", ()):
            if link.get("rel") == relation:
                return absolute_url(str(link.get("href") or ""), base)
    return None


def _raw_entry(item: Any, base: str | None, is_atom: bool) -> RawEntry:
    guid = str(item.get("id") or "")
    link = str(item.get("link") or "")
    # Without a link the library takes the guid for one, even if it is no address.
    links = [link] if link and (link != guid or _ADDRESS.match(link)) else []
    pages = [str(other.get("href") or "") for other in item.get("links", ()) if _is_page(other)]
    # It also takes the text of any link for the entry's link.
    links = pages + links if is_atom and pages and link not in pages else links + pages
    may_be_link = item.get("guidislink") is not False or ("link" in item and not link)
    if may_be_link and guid.startswith(("http://", "https://")):
        # RDF has the article's address only in rdf:about, some Atom feeds only in the id.
        links.append(guid)
    return RawEntry(
        guid=guid,
        links=links,
        title=_title(item, is_atom),
        dates=[
            (str(item[name]), read_instant(str(item[name]), item.get(f"{name}_parsed")))
            for name in ("published", "updated", "created")
            if item.get(name)
        ],
        markup=list(_markup(item)),
        author=_author(item),
        categories=[
            title_text(str(tag.get("label") or tag.get("term") or ""))
            for tag in item.get("tags", ())
        ],
        images=list(pictures_of(item)),
        thumbnails=list(thumbnails_of(item)),
        # The library has already resolved links inside an `xml:base`.
        base=base,
        markup_base=_joined(base, _own_base(item.get("summary_detail"), *item.get("content", ()))),
    )


def _without_misread(text: str) -> str:
    """Rename or remove what the library wrongly takes for an entry's own.

    Captions of pictures, if entries have summaries of their own; the objects of an activity stream; and
    elements with the names of the library's own keys, at which it fails.
    """
    if _OTHER_TITLE in text and text.count("<title") > text.count(_OTHER_TITLE):
        # The library takes the first of both for the title.
        text = text.replace("dc:title", "dc:other")
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        text = _RESERVED.sub(r"<\1other", text)
    if _OBJECT in text and _OBJECT_END in text:
        text = without(text, _OBJECT, _OBJECT_END)
    if _CAPTION not in text or len(_OWN_TEXT.findall(text)) < _FEWEST_TEXTS:
        return text
    return text.replace(_CAPTION, "media:caption")


def _unfinished_entry(text: str) -> str:
    """Return the beginning of an entry that the document's end cuts off; empty if there is none."""
    opened, closed = (
        max((match.start() for match in pattern.finditer(text)), default=0)
        for pattern in (_OPENED, _CLOSED)
    )
    return text[opened:] if opened > closed else ""


def _is_usable(entry: str) -> bool:
    """Tell whether an unfinished entry has its whole title, its whole link, and no half guid."""
    return bool(_WHOLE_TITLE.search(entry) and _WHOLE_LINK.search(entry)) and (
        len(_GUID_BEGINS.findall(entry)) == len(_GUID_ENDS.findall(entry))
    )


def _base(base_url: str | None, feed: Any) -> str | None:
    """Return what relative links are resolved against: where the feed came from, or the address it names."""
    if base_url:
        return base_url
    own = [link.get("href") for link in feed.get("links", ()) if link.get("rel") == "self"]
    addresses = (absolute_url(str(link or "")) for link in (*own, feed.get("link")))
    return next(filter(None, addresses), None)


def _own_base(*details: Any) -> str:
    """Return the `xml:base` of the first of these elements that has one."""
    return next((str(detail["base"]) for detail in details if detail and detail.get("base")), "")


def _joined(base: str | None, inner: str) -> str | None:
    try:
        return urljoin(base or "", inner) or None
    except ValueError:
        return base


def _is_page(link: Any) -> bool:
    return link.get("rel") in _ALTERNATE and link.get("type", "text/html") in _HTML_TYPES


def _title(holder: Any, is_atom: bool) -> str:
    detail = holder.get("title_detail") or {}
    title = str(holder.get("title") or "")
    if is_atom and detail.get("type") in _HTML_TYPES:
        return without_markup(title)
    return title_text(title, decode=not is_atom)


def _markup(item: Any) -> Iterator[str]:
    summary, detail = item.get("summary"), item.get("summary_detail")
    # A summary without details is the library's copy of the content.
    if summary and (detail or not item.get("content")):
        yield _as_html(str(summary), detail or {})
    for content in item.get("content", ()):
        yield _as_html(str(content.get("value") or ""), content)


def _as_html(value: str, detail: Any) -> str:
    return as_html(value) if detail.get("type") == "text/plain" else value


def _author(item: Any) -> str:
    names = [
        str(author.get("name") or author.get("email") or "") for author in item.get("authors", ())
    ]
    named = ", ".join(dict.fromkeys(filter(None, names)))
    return title_text(named or str(item.get("author") or ""))
