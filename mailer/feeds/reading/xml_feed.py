"""RSS 0.9 to 2.0, RDF and Atom: text in, entries out. The only user of feedparser, which has no types.

feedparser opens what looks like a path or an address, so it is only ever handed an open stream.
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
from mailer.feeds.reading.cut import without
from mailer.feeds.reading.dates import read_instant
from mailer.feeds.reading.entry import MOST_ENTRIES, Document, RawEntry, Warn, finish
from mailer.feeds.reading.media import pictures_of, thumbnails_of
from mailer.feeds.reading.sanitise import as_html, title_text, without_markup

_HEADERS: Final = {"content-type": "application/xml; charset=utf-8"}
_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_ALTERNATE: Final = frozenset(
    {"alternate", "", "http://www.iana.org/assignments/relation/alternate"}
)
"""The relation of an entry to its page, also as an address (RFC 4287 section 4.2.7.2)."""
_OPENED = re.compile(r"<(?:[\w.-]+:)?(?:item|entry)[\s>]", re.IGNORECASE)
_CLOSED = re.compile(r"</(?:[\w.-]+:)?(?:item|entry)\s*>", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://|/", re.IGNORECASE)
# What the library makes of places fails where their numbers are none.
_MADE_UP = re.compile(
    r"<(/?)(?:(?:[\w.-]+:)?(?:links|authors|contributors|enclosures|media_\w+|\w+_(?:detail|parsed))"
    r"|[\w.-]+:(?:pos|poslist|point|line|polygon|box))(?=[\s/>])",
    re.IGNORECASE,
)
# To look for these first costs a tenth; most feeds have none of them.
_HINTS: Final = (
    *("links", "authors", "contributors", "enclosures", "media_", "_detail", "_parsed"),
    *(":pos", ":point", ":line", ":polygon", ":box"),
)
_OTHER_TITLE: Final = "<dc:title"
_OBJECT: Final = "<activity:object>"
_OBJECT_END: Final = "</activity:object>"
_CAPTION: Final = "media:description"
_OWN_TEXT = re.compile(r"<(?:description|summary|content)[\s>]")
# A channel has a description of its own, an entry then another one.
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
"""What feedparser raises on bytes that are no feed."""


def read_xml(text: str, base_url: str | None, now: datetime, warn: Warn) -> Document:
    """The feed that `text` is, from its root element on.

    Raises:
        FeedUnreadable: nothing of a feed can be found in it.
    """
    try:
        found = feedparser.parse(
            BytesIO(_without_others(text).encode()),
            response_headers=_HEADERS,
            resolve_relative_uris=False,
            sanitize_html=False,
        )
    except _FAULTS as error:
        raise FeedUnreadable(
            "the document cannot be read; try again later, or tell who runs the site"
        ) from error
    # Plain dictionaries, because the library's own answer for keys that they do not hold.
    raw, feed, whole = [dict(item) for item in found.entries], dict(found.feed), not found.bozo
    if not whole:
        warn("not well-formed XML; what can be read of it was read")
        tail = _unfinished_entry(text)
        if tail and raw and _is_told(tail):
            warn("the document ends inside an entry, of which the beginning was read")
        elif tail and raw:
            # Half an address would be taken for an article of its own.
            raw.pop()
            warn("the document ends inside an entry, which was left out")
    if not raw and not found.version and not feed.get("title"):
        raise FeedUnreadable
    is_atom = found.version.startswith("atom")
    base = _base(base_url, feed)
    entries = []
    if len(raw) > MOST_ENTRIES:
        warn(f"only the first {MOST_ENTRIES:,} entries were read")
    for number, item in enumerate(raw[:MOST_ENTRIES], start=1):
        warn.entry = number
        try:
            entries.append(finish(_pieces(item, base, is_atom), now, warn))
        except _FAULTS:
            # What the library makes of a document that was made for it; the other entries are good.
            warn("cannot be read: left out")
    warn.entry = 0
    title = _title(feed, is_atom)
    return Document(title, tuple(entries), warn.every(), whole, _older(feed, base))


def _older(feed: Any, base: str | None) -> str | None:
    """Where older entries stand (RFC 5005 sections 3 and 4)."""
    for relation in ("next", "prev-archive"):
        for link in feed.get("links", ()):
            if link.get("rel") == relation:
                return absolute_url(str(link.get("href") or ""), base)
    return None


def _pieces(item: Any, base: str | None, is_atom: bool) -> RawEntry:
    guid = str(item.get("id") or "")
    link = str(item.get("link") or "")
    # The library takes a guid for a link where there is none, also one that is no address at all.
    links = [link] if link and (link != guid or _ADDRESS.match(link)) else []
    pages = [str(other.get("href") or "") for other in item.get("links", ()) if _is_page(other)]
    # It takes the text of a link for one, too, also of a link to something else.
    links = pages + links if is_atom and pages and link not in pages else links + pages
    may_be_link = item.get("guidislink") is not False or ("link" in item and not link)
    if may_be_link and guid.startswith(("http://", "https://")):
        # RDF has the address of the piece only in rdf:about, some Atom only in the id.
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
        # The library has resolved links already where an `xml:base` is around them.
        base=base,
        markup_base=_joined(base, _own_base(item.get("summary_detail"), *item.get("content", ()))),
    )


def _without_others(text: str) -> str:
    """`text` without what the library takes for an entry's own, but is about something else.

    That is captions of pictures, where pieces have summaries of their own, and the things that somebody
    does something to in a feed of activities. Elements that are named as what the library makes of others
    get another name: it would fall over them.
    """
    if _OTHER_TITLE in text and text.count("<title") > text.count(_OTHER_TITLE):
        # One for catalogues; where it stands first, it is taken for the title.
        text = text.replace("dc:title", "dc:other")
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        text = _MADE_UP.sub(r"<\1other", text)
    if _OBJECT in text and _OBJECT_END in text:
        text = without(text, _OBJECT, _OBJECT_END)
    if _CAPTION not in text or len(_OWN_TEXT.findall(text)) < _FEWEST_TEXTS:
        return text
    return text.replace(_CAPTION, "media:caption")


def _unfinished_entry(text: str) -> str:
    """What there is of an entry that the document's end cuts off; empty where there is none."""
    opened, closed = 0, 0
    for match in _OPENED.finditer(text):
        opened = match.start()
    for match in _CLOSED.finditer(text):
        closed = match.start()
    return text[opened:] if opened > closed else ""


def _is_told(entry: str) -> bool:
    """Whether the part that is there holds the whole title and the whole link, and no half guid."""
    return bool(_WHOLE_TITLE.search(entry) and _WHOLE_LINK.search(entry)) and (
        len(_GUID_BEGINS.findall(entry)) == len(_GUID_ENDS.findall(entry))
    )


def _base(base_url: str | None, feed: Any) -> str | None:
    """What relative links are resolved against: where the feed came from, or what it says of itself."""
    if base_url:
        return base_url
    own = [
        str(link.get("href") or "") for link in feed.get("links", ()) if link.get("rel") == "self"
    ]
    candidates = [*own, str(feed.get("link") or "")]
    return next(filter(None, (absolute_url(candidate) for candidate in candidates)), None)


def _own_base(*details: Any) -> str:
    """The `xml:base` that holds for the first of these elements that has one."""
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
    # Without a word on what it is, it is a copy of the content that the library made.
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
