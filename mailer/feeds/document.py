"""The bytes of a feed as text: which letters they are, and where the feed begins. Pure.

What comes before the root element is cut off, the document type too. So no entity that a document
defines ever reaches the XML parser, whichever version of Expat that is.
"""

import codecs
import html
import re
from dataclasses import dataclass
from enum import Enum
from html.entities import html5
from typing import Final
from urllib.parse import urljoin

from mailer.errors import FeedUnreadable
from mailer.feeds.sanitise import clean_text


class Format(Enum):
    """What a document is written in."""

    XML = "xml"
    JSON = "json"


@dataclass(frozen=True)
class Text:
    """A feed's document as text, from its root element on, and what was odd about its bytes."""

    format: Format
    text: str
    warnings: tuple[str, ...]


_BOMS: Final = (
    # UTF-32 first: its little-endian mark begins like the one of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# A document without a mark begins with "<?" or "<r" in one of these (XML 1.0 appendix F).
_WIDE: Final = ((b"<\x00?\x00", "utf-16-le"), (b"\x00<\x00?", "utf-16-be"))
_SEVEN_BIT: Final = ("iso-2022", "utf-7", "hz", "iso2022")
# Python's names for ways of writing that are no encodings of documents, some of them slow.
_NO_ENCODINGS: Final = ("idna", "punycode", "unicode", "raw", "undefined")
_FALLBACK: Final = "windows-1252"

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)["']""")
_ROOT = re.compile(r"<(?:[A-Za-z][\w.-]*:)?(?:rss|RDF|feed|channel)(?=[\s/>])", re.IGNORECASE)
_PROLOGUE = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:(?:<\?[^>]*>|<!--.*?-->|<!DOCTYPE[^>\[]*>)\s*)*", re.S
)
_PAGE = re.compile(r"<(?:!DOCTYPE\s+html|html|head|body)\b", re.IGNORECASE)
_LINK = re.compile(r"<link\b[^<>]*>", re.IGNORECASE)
_FEED_TYPE = re.compile(r"application/(?:rss\+xml|atom\+xml|feed\+json)", re.IGNORECASE)
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))""", re.IGNORECASE)
_NAMED_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_ENTITIES: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})


def read_text(body: bytes, content_type: str, base_url: str | None) -> Text:
    """The text of a feed's document.

    Args:
        body: what was received.
        content_type: the Content-Type header, empty where there is none.
        base_url: where it came from; an error names the feed that a web page there points to.

    Raises:
        FeedUnreadable: it is empty, a web page, or something else that is no feed.
    """
    if not body.strip(b" \t\r\n\x00"):
        raise FeedUnreadable("the document is empty; give the address of the feed itself")
    warnings: list[str] = []
    decoded = _decoded(body, content_type, warnings)
    text = clean_text(decoded)
    if len(text) != len(decoded):
        warnings.append("control characters were left out")
    if text.lstrip()[:1] in {"{", "["}:
        return Text(Format.JSON, text, tuple(warnings))
    root = _ROOT.search(text)
    before = text[: root.start()] if root else text
    if page := _PAGE.search(before):
        raise FeedUnreadable(_page_refused(text[page.start() :], base_url))
    if root is None:
        raise FeedUnreadable
    if "<!ENTITY" in before:
        warnings.append("entity definitions were ignored")
    elif not _PROLOGUE.fullmatch(before):
        warnings.append("text before the feed was ignored")
    return Text(Format.XML, _NAMED_ENTITY.sub(_letter, text[root.start() :]), tuple(warnings))


def _decoded(body: bytes, content_type: str, warnings: list[str]) -> str:
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    for start, encoding in _WIDE:
        if body.lstrip(b"\r\n").startswith(start):
            return body.decode(encoding, "replace")
    in_header = _CHARSET.search(content_type)
    in_document = _DECLARED.search(body[:1000])
    declared = [
        name.lower().replace("_", "-")
        for name in (
            in_header[1] if in_header else "",
            in_document[1].decode("ascii", "replace") if in_document else "",
        )
        if name and not name.startswith(_NO_ENCODINGS)
    ]
    # Bytes beyond ASCII that are valid UTF-8 are UTF-8, whatever a server says: no other encoding
    # makes such bytes by chance. Encodings that write everything in seven bits must be believed.
    if not any(name.startswith(_SEVEN_BIT) for name in declared):
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError:
            pass
    for name in [*declared, _FALLBACK]:
        try:
            text = body.decode(name)
        except (LookupError, ValueError):
            continue
        if name != (declared or ["utf-8"])[0]:
            warnings.append(f"not {(declared or ['utf-8'])[0]}; read as {name}")
        return text
    warnings.append("some characters could not be read")
    # A feed that says it is UTF-8, with a few broken bytes in it.
    likely = "utf-8" if "utf-8" in declared or not declared else _FALLBACK
    return body.decode(likely, "replace")


def _letter(entity: re.Match[str]) -> str:
    """An HTML entity as its letter: XML knows five of them only."""
    if entity[1] in _XML_ENTITIES:
        return entity[0]
    letter = html5.get(f"{entity[1]};", entity[0])
    return entity[0] if letter in {"<", ">", "&", '"', "'"} else letter


def _page_refused(page: str, base_url: str | None) -> str:
    for link in _LINK.findall(page[:200_000]):
        href = _HREF.search(link)
        if href and _FEED_TYPE.search(link):
            target = html.unescape(next(filter(None, href.groups()), ""))
            feed = urljoin(base_url or "", clean_text(target).strip())
            return f"this is a web page and no feed; give the address of its feed: {feed}"
    return "this is a web page and no feed; give the address of the feed itself"
