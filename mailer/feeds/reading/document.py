"""The text of a feed: where the feed begins in it, and what keeps it from being well-formed. Pure.

What comes before the root element is cut off, the document type too. So no entity that a document
defines ever reaches the XML parser, whichever version of Expat that is.
"""

import re
import shlex
from dataclasses import dataclass
from enum import Enum
from html.entities import html5
from typing import Final

from mailer.errors import FeedUnreadable
from mailer.feeds.reading.autodiscovery import feeds_of
from mailer.feeds.reading.cut import without
from mailer.feeds.reading.encoding import decoded
from mailer.feeds.reading.sanitise import clean_text


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


# A comment may speak of a root element, so it is stepped over where it ends.
_ROOT = re.compile(
    r"<(?P<root>(?:[A-Za-z][\w.-]*:)?(?:rss|RDF|feed|channel|entry))(?=[\s/>])|<!--", re.IGNORECASE
)
# What was read of it is never read in another way: of forty comments that would be for hours.
_PROLOGUE = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:(?>(?:<\?[^>]*>|<!--.*?-->|<!DOCTYPE[^>\[]*>)\s*))*+", re.S
)
_CERTAIN_ROOT = re.compile(
    r"<rss\s[^>]*?version\s*=|<[\w.-]+:RDF\s[^>]*?xmlns|<(?:[\w.-]+:)?feed\s[^>]*?xmlns",
    re.IGNORECASE,
)
_PAGE = re.compile(r"<(?:!DOCTYPE\s+html|html|head|body)\b", re.IGNORECASE)
_AMPERSAND = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos);)(?:([A-Za-z][A-Za-z0-9]{1,31});|#([xX]?[0-9A-Fa-f]{1,8});)?"
)
# An emoji written as the two halves of UTF-16, each as a reference.
_HALVES = re.compile(
    r"&#(?:(5[56]\d{3})|[xX]([dD][89abAB][0-9a-fA-F]{2}));&#(?:(5[67]\d{3})|[xX]([dD][c-fC-F][0-9a-fA-F]{2}));"
)
_LATE = re.compile("[\x80-\x9f]")
_LATE_LETTERS: Final = {
    code: bytes([code]).decode("windows-1252", "ignore") or None for code in range(0x80, 0xA0)
}
"""Control characters that nobody means: the letters of windows-1252, taken for those of ISO 8859-1."""
_CDATA_END: Final = "]]>"
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
    read = decoded(body, content_type, warnings)
    if _LATE.search(read):
        read = read.translate(_LATE_LETTERS)
    text = clean_text(read)
    if len(text) != len(read):
        warnings.append("control characters were left out")
    if text.lstrip()[:1] in {"{", "["}:
        return Text(Format.JSON, text, tuple(warnings))
    start = _root_start(text)
    before = text if start is None else text[:start]
    # A feed inside a page counts only where it is beyond doubt: pages have elements of their own.
    is_certain = start is not None and _CERTAIN_ROOT.match(text, start) is not None
    if not is_certain and (page := _PAGE.search(without(before, "<!--", "-->"))):
        raise FeedUnreadable(_page_refused(text[before.find(page[0]) :], base_url))
    if start is None:
        raise FeedUnreadable
    if "<!ENTITY" in before:
        warnings.append("entity definitions were ignored")
    elif not _PROLOGUE.fullmatch(before):
        warnings.append("text before the feed was ignored")
    return Text(Format.XML, _mended(text[start:], warnings), tuple(warnings))


def _root_start(text: str) -> int | None:
    """Where the root element begins, or None where there is none."""
    at = 0
    last_end = text.rfind("-->")
    while found := _ROOT.search(text, at):
        if found["root"]:
            return found.start()
        # A comment that is never closed is none; to look for its end each time would take for ever.
        at = found.end() if found.end() > last_end else text.find("-->", found.end())
    return None


def _mended(text: str, warnings: list[str]) -> str:
    """`text` with what keeps many a feed from being well-formed put right outside CDATA.

    HTML's named entities become their letters, of which XML knows five only; a bare ampersand is
    escaped; references to letters that XML forbids are left out.
    """
    mended, at = [], 0
    slips = 0

    def mend(match: re.Match[str]) -> str:
        nonlocal slips
        if match[1]:
            return _letter(match)
        if match[2] and (code := _code(match[2])) is not None:
            if code in {0x9, 0xA, 0xD} or _is_allowed(code):
                return match[0]
            slips += 1
            return ""
        slips += 1
        return "&amp;" + match[0][1:]

    while at < len(text):
        begin = text.find("<![CDATA[", at)
        end = len(text) if begin < 0 else begin
        part = text[at:end]
        if _CDATA_END in part:
            part = part.replace(_CDATA_END, "]]&gt;")
            slips += 1
        mended.append(_AMPERSAND.sub(mend, _HALVES.sub(_whole, part)))
        if begin < 0:
            break
        close = text.find(_CDATA_END, begin)
        at = len(text) if close < 0 else close + 3
        # Entities in CDATA are markup's own, and decoding those of letters changes nothing.
        mended.append(text[begin:at])
    if slips:
        warnings.append("characters that XML does not allow as they stand were put right")
    return "".join(mended)


def _whole(halves: re.Match[str]) -> str:
    high = int(halves[1] or int(halves[2], 16))
    low = int(halves[3] or int(halves[4], 16))
    if 0xD800 <= high <= 0xDBFF and 0xDC00 <= low <= 0xDFFF:
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    return halves[0]


def _code(reference: str) -> int | None:
    try:
        return int(reference[1:], 16) if reference[:1] in "xX" else int(reference)
    except ValueError:
        return None


def _is_allowed(code: int) -> bool:
    """Whether XML allows this character (XML 1.0 section 2.2)."""
    return 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF


def _letter(entity: re.Match[str]) -> str:
    """An HTML entity as its letter; one of XML's own, or none at all, as it is."""
    if entity[1] in _XML_ENTITIES:
        return entity[0]
    letter = html5.get(f"{entity[1]};", entity[0])
    return entity[0] if letter in {"<", ">", "&", '"', "'"} else letter


def _page_refused(page: str, base_url: str | None) -> str:
    feeds = feeds_of(page, base_url or "")
    if feeds:
        return (
            f"this is a web page and no feed; give the address of its feed: {shlex.quote(feeds[0])}"
        )
    return "this is a web page and no feed; give the address of the feed itself"
