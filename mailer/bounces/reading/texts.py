"""Turns the bodies of mails into text: transfer encodings, character encodings, HTML.

Never fails on what strangers wrote: what cannot be read is replaced.
"""

import base64
import binascii
import html
import quopri
import re
from typing import Final

import webencodings

_TAG: Final = re.compile(r"<(/?[A-Za-z!?][A-Za-z0-9]{0,15})[^<>]*>")
_BREAKS: Final = frozenset(
    {"br", "p", "/p", "div", "/div", "tr", "/tr", "li", "/li", "ul", "/ul", "table", "/table", "h1",
     "h2", "h3", "h4", "/h1", "/h2", "/h3", "hr", "pre", "/pre", "body"}
)  # fmt: skip
_CELLS: Final = frozenset({"td", "/td", "th", "/th"})
_UNSHOWN: Final = (
    ("<style", "</style"),
    ("<script", "</script"),
    ("<title", "</title"),
    ("<!--", "-->"),
)
_MOST_UNSHOWN: Final = 200
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")
_SOFT_HYPHENS: Final = str.maketrans("\u00a0\u2007\u202f", "   ", "\u00ad\u200b\u200c\u200d\ufeff")


def decode(raw: bytes, label: str) -> str:
    """Decode bytes in the encoding with this name; if it is unknown or wrong, guess.

    Args:
        raw: what is to be decoded.
        label: as a mail names it; empty if it does not.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    named = webencodings.lookup(label.strip(" \t\"'")[:40]) if label else None
    if named is not None and named.name not in ("utf-8", "replacement"):
        if named.name == "windows-1252" and text is not None and not raw.isascii():
            # What calls itself Western or ASCII, and is valid UTF-8, is UTF-8.
            return text
        if text is None or b"\x1b" in raw or named.name.startswith(("utf-16", "hz")):
            return str(named.codec_info.decode(raw, "replace")[0])
    if text is not None:
        if b"\x1b$" in raw or b"\x1b(" in raw:
            return raw.decode("iso2022_jp", "replace")
        return text
    return raw.decode("windows-1252", "replace")


def transfer_decode(body: str, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding.

    Args:
        body: one character for each byte.
        encoding: as the mail names it.
    """
    raw = body.encode("latin-1", "replace")
    encoding = encoding.strip().lower()
    if encoding.startswith("quoted"):
        return quopri.decodestring(raw)
    if encoding.startswith("base64"):
        letters = _NOT_BASE64.sub(b"", raw)
        try:
            return base64.b64decode(letters[: len(letters) // 4 * 4] + _rest(letters))
        except binascii.Error:
            return raw
    return raw


def _rest(letters: bytes) -> bytes:
    rest = letters[len(letters) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def html_to_text(page: str) -> str:
    """Return what a page shows, one line for each block."""
    for begin, end in _UNSHOWN:
        page = _without(page, begin, end)
    page = page.replace("\n", " ")
    shown = _TAG.sub(lambda tag: _instead(tag[1].lower()), page)
    lines = (" ".join(line.split(" ")) for line in html.unescape(shown).split("\n"))
    return "\n".join(" ".join(line.split()) for line in lines)


def _instead(tag: str) -> str:
    if tag in _BREAKS:
        return "\n"
    return " " if tag in _CELLS else ""


def _without(page: str, begin: str, end: str) -> str:
    """Remove what stands between `begin` and `end`, which are in lower case."""
    lower = page.lower()
    # Few letters change their number when they get lower case; positions would be wrong then.
    if len(lower) != len(page) or begin not in lower:
        return page
    kept: list[str] = []
    at = 0
    for _ in range(_MOST_UNSHOWN):
        start = lower.find(begin, at)
        if start < 0:
            break
        kept.append(page[at:start])
        stop = lower.find(end, start)
        if stop < 0:
            at = len(page)
            break
        at = stop + len(end)
    return "".join(kept) + page[at:]


def plain(text: str) -> str:
    """Replace letters that only look like spaces, and remove those that are not seen at all."""
    return text.translate(_SOFT_HYPHENS)
