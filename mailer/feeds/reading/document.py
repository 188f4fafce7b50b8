"""Turns a feed's bytes into text that parsers accept: decodes, finds the root element, repairs XML. Pure.

Cuts off what comes before the root element, the document type included. So an entity that a document
defines never reaches the XML parser, whichever version of Expat that is.
"""

import re
import shlex
from html.entities import html5
from typing import Final

from mailer.errors import FeedUnreadable
from mailer.feeds.reading.autodiscovery import feeds_of
from mailer.feeds.reading.encoding import decode
from mailer.feeds.reading.entry import FeedWarnings
from mailer.feeds.reading.markup import PAGE, without
from mailer.feeds.reading.sanitise import clean_text

# A comment may name a root element, so comments are skipped.
_ROOT = re.compile(
    r"<(?P<root>(?:[A-Za-z][\w.-]*:)?(?:rss|RDF|feed|channel|entry))(?=[\s/>])|<!--", re.IGNORECASE
)
# Atomic and possessive: backtracking over forty comments would take hours.
_PROLOGUE = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:(?>(?:<\?[^>]*>|<!--.*?-->|<!DOCTYPE[^>\[]*>)\s*))*+", re.S
)
_CERTAIN_ROOT = re.compile(
    r"<rss\s[^>]*?version\s*=|<[\w.-]+:RDF\s[^>]*?xmlns|<(?:[\w.-]+:)?feed\s[^>]*?xmlns",
    re.IGNORECASE,
)
_AMPERSAND = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos);)(?:([A-Za-z][A-Za-z0-9]{1,31});|#([xX]?[0-9A-Fa-f]{1,8});)?"
)
# An emoji written as two character references, one for each UTF-16 surrogate.
_HALVES = re.compile(
    r"&#(?:(5[56]\d{3})|[xX]([dD][89abAB][0-9a-fA-F]{2}));&#(?:(5[67]\d{3})|[xX]([dD][c-fC-F][0-9a-fA-F]{2}));"
)
_C1 = re.compile("[\x80-\x9f]")
_C1_MEANT: Final = {
    code: bytes([code]).decode("windows-1252", "ignore") or None for code in range(0x80, 0xA0)
}
"""C1 control characters are windows-1252 that was decoded as ISO 8859-1; None deletes them."""
_CDATA_END: Final = "]]>"
_XML_CHARACTERS: Final = (
    (0x9, 0xA, 0xD),
    range(0x20, 0xD800),
    range(0xE000, 0xFFFE),
    range(0x10000, 0x110000),
)


def read_text(body: bytes, content_type: str, base_url: str | None, warn: FeedWarnings) -> str:
    """Return the text of a feed: XML from its root element on, or JSON.

    Args:
        content_type: the Content-Type header, empty if there was none.
        base_url: where it came from; for a web page, the error names the feed that the page names.

    Raises:
        FeedUnreadable: it is empty, a web page, or something else that is no feed.
    """
    if not body.strip(b" \t\r\n\x00"):
        raise FeedUnreadable("the document is empty; give the address of the feed itself")
    decoded = decode(body, content_type, warn)
    if _C1.search(decoded):
        decoded = decoded.translate(_C1_MEANT)
    text = clean_text(decoded)
    if len(text) != len(decoded):
        warn("control characters were left out")
    if text.lstrip()[:1] in {"{", "["}:
        return text
    start = _root_start(text)
    before = text if start is None else text[:start]
    # A feed inside a page counts only if there is no doubt: pages have elements with the same names.
    is_certain = start is not None and _CERTAIN_ROOT.match(text, start) is not None
    if not is_certain and (page := PAGE.search(without(before, "<!--", "-->"))):
        raise FeedUnreadable(_page_refused(text[before.find(page[0]) :], base_url))
    if start is None:
        raise FeedUnreadable
    if "<!ENTITY" in before:
        warn("entity definitions were ignored")
    elif not _PROLOGUE.fullmatch(before):
        warn("text before the feed was ignored")
    return _repaired(text[start:], warn)


def _root_start(text: str) -> int | None:
    """Return where the root element begins, or None if there is none."""
    at = 0
    last_end = text.rfind("-->")
    while match := _ROOT.search(text, at):
        if match["root"]:
            return match.start()
        # A comment that is never closed is none. Searching for its end each time would take too long.
        at = match.end() if match.end() > last_end else text.find("-->", match.end())
    return None


def _repaired(text: str, warn: FeedWarnings) -> str:
    """Repair what often keeps a feed from being well-formed, outside CDATA.

    HTML's named entities become characters, because XML knows only five of them; a bare ampersand is
    escaped; references to characters that XML forbids are removed.
    """
    parts, at = [], 0
    faults = 0

    def repair(match: re.Match[str]) -> str:
        nonlocal faults
        if match[1]:
            return _character(match)
        code = _code(match[2]) if match[2] else None
        if code is not None and _is_allowed(code):
            return match[0]
        faults += 1
        return "" if code is not None else "&amp;" + match[0][1:]

    while at < len(text):
        begin = text.find("<![CDATA[", at)
        end = len(text) if begin < 0 else begin
        part = text[at:end]
        if _CDATA_END in part:
            part = part.replace(_CDATA_END, "]]&gt;")
            faults += 1
        parts.append(_AMPERSAND.sub(repair, _HALVES.sub(_whole, part)))
        if begin < 0:
            break
        close = text.find(_CDATA_END, begin)
        at = len(text) if close < 0 else close + 3
        # Entities in CDATA belong to the markup in it.
        parts.append(text[begin:at])
    if faults:
        warn("characters that XML does not allow as they stand were put right")
    return "".join(parts)


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
    """Tell whether XML allows this character (XML 1.0 section 2.2)."""
    return any(code in allowed for allowed in _XML_CHARACTERS)


def _character(entity: re.Match[str]) -> str:
    """Decode an HTML entity; XML's own ones and unknown ones stay as they are."""
    character = html5.get(f"{entity[1]};", entity[0])
    return entity[0] if character in {"<", ">", "&", '"', "'"} else character


def _page_refused(page: str, base_url: str | None) -> str:
    feeds = feeds_of(page, base_url or "")
    address = f"its feed: {shlex.quote(feeds[0])}" if feeds else "the feed itself"
    return f"this is a web page, not a feed; give the address of {address}"
