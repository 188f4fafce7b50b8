"""Detects a feed's character encoding: byte order mark, declaration, heuristics. Pure.

Never refuses a document: a few unreadable characters must not cost the others.
"""

import codecs
import re
from collections.abc import Callable
from typing import Final

_BOMS: Final = (
    # UTF-32 first: its little-endian mark starts with the one of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Without a mark, a document starts with one of these two characters (XML 1.0 appendix F).
_WIDE: Final = (
    (re.compile(rb"[<{]\x00[^\x00]\x00"), "utf-16-le"),
    (re.compile(rb"\x00[<{]\x00[^\x00]"), "utf-16-be"),
)
_EBCDIC_BEGINS: Final = "<?xml".encode("cp037")
_SEVEN_BIT: Final = ("iso-2022", "utf-7", "hz", "iso2022")
# Python codecs that are no encodings of documents; some of them are slow.
_NO_ENCODINGS: Final = ("idna", "punycode", "unicode", "raw", "undefined")
_FALLBACK: Final = "windows-1252"
# A declared name, and the larger encoding that it means, as browsers read it (WHATWG Encoding).
_MEANT: Final = {
    name: meant
    for meant, names in (
        ("windows-1252", "iso-8859-1 iso8859-1 latin1 latin-1"),
        ("windows-1254", "iso-8859-9"),
        ("cp874", "iso-8859-11 tis-620 windows-874"),
        ("gb18030", "gb2312 gbk"),
        ("cp932", "shift-jis x-sjis windows-31j"),
        ("cp949", "euc-kr ks-c-5601-1987"),
        ("big5hkscs", "big5"),
    )
    for name in names.split()
}
_ASCII_ALIKE: Final = frozenset({"utf-8", "utf8", "ascii", "us-ascii"})
_REPLACEMENT: Final = "\ufffd"
_UNREADABLE: Final = "some characters could not be read"
_FEW: Final = 10
"""How many characters must be readable for each that is not, before a declaration is believed."""

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)["']""")
_LANGUAGE = re.compile(
    rb"""(?:<(?:dc:)?language>\s*(?:<!\[CDATA\[\s*)?|xml:lang\s*=\s*["']|"language"\s*:\s*")"""
    rb"([A-Za-z]{2})(?![A-Za-z])(?:[-_](tw|hk))?",
    re.IGNORECASE,
)
_BROKEN = re.compile(r"[\udc80-\udcff]+")
# Shift JIS: kana start with one of two bytes and may end with an ASCII byte.
_DENSE = re.compile(rb"[\x80-\xff]{2,}|[\x82\x83][\x40-\x7e]")
_HIGH = re.compile(rb"[\x80-\xff]")
_CYRILLIC: Final = ("windows-1251", "koi8-r", "iso-8859-5", "ibm866")
_JAPANESE: Final = ("euc-jp", "cp932")
# The usual encodings of each language before UTF-8 (WHATWG HTML, the default encodings).
_OF_LANGUAGE: Final = {
    language: encodings
    for languages, encodings in (
        ("ru uk be bg mk sr", _CYRILLIC),
        ("ja", _JAPANESE),
        ("ko", ("cp949",)),
        ("zh", ("gb18030", "big5hkscs")),
        ("cs hr hu pl ro sk sl sq", ("windows-1250",)),
        ("el", ("windows-1253",)),
        ("az tr", ("windows-1254",)),
        ("he", ("windows-1255",)),
        ("ar fa", ("windows-1256",)),
        ("et lt lv", ("windows-1257",)),
        ("th", ("cp874",)),
    )
    for language in languages.split()
}
# The letters that a text has many of if it was decoded rightly, and their least share. Russian decoded as
# Hebrew or Greek has fewer of theirs, so these two come first; Thai is likely in nearly any encoding.
_USUAL: Final = (
    (("windows-1255",), re.compile("[\u05d0-\u05ea]"), 0.975),
    (("windows-1253",), re.compile("[\u03ac-\u03af\u03b1\u03b5\u03b9\u03bd\u03bf\u03c2]"), 0.42),
    (_CYRILLIC, re.compile("[\u0430-\u044f\u0451]"), 0.7),
    (_JAPANESE, re.compile("[\u3041-\u30ff]"), 0.25),
    (("cp949",), re.compile("[\uac00-\ud7a3]"), 0.8),
    (("cp874",), re.compile("[\u0e30-\u0e4e]"), 0.36),
)
_LOOKED_AT: Final = 20_000
_LOOKED_AT_FIRST: Final = 2_000
_FEWEST: Final = 12
"""Fewer bytes beyond ASCII tell no language: `créée` has two side by side, too."""


def decode(body: bytes, content_type: str, warn: Callable[[str], None]) -> str:
    """Decode a document, and remove its byte order mark.

    Valid UTF-8 beyond ASCII is UTF-8, whatever a server says: no other encoding makes such bytes by chance.
    Encodings that write everything in seven bits must be believed.

    Args:
        content_type: the Content-Type header, empty if there was none.
        warn: is told what is odd about the bytes.
    """
    # Blanks that a template leaves before the feed are before its mark, too.
    stripped = body.lstrip(b" \t\r\n")
    if (wide := _wide(stripped)) is not None:
        if _REPLACEMENT in wide:
            warn(_UNREADABLE)
        return wide
    is_marked = stripped.startswith(codecs.BOM_UTF8)
    if stripped.startswith(_MARKS):
        # A UTF-16 mark before single bytes is a mistake.
        body = stripped[3 if is_marked else 2 :]
    declared = _declared(body, content_type)
    if is_marked:
        declared.insert(0, "utf-8")
    if not any(name.startswith(_SEVEN_BIT) for name in declared):
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            if (repaired := _nearly_utf_8(body, error.start)) is not None:
                warn(_UNREADABLE)
                return repaired
        else:
            if declared and declared[0] not in _ASCII_ALIKE and not text.isascii():
                warn(f"not {declared[0]}; read as utf-8")
            return text
    return _as_declared(body, declared, warn)


def _wide(body: bytes) -> str | None:
    """Decode UTF-16, UTF-32 and EBCDIC; None for all other encodings."""
    for mark, encoding in _BOMS:
        if body.startswith(mark) and b"\x00" in body[:200]:
            return body[len(mark) :].decode(encoding, "replace")
    for pattern, encoding in _WIDE:
        if pattern.match(body):
            return body.decode(encoding, "replace")
    if body.startswith(_EBCDIC_BEGINS):
        # All kinds of EBCDIC have the letters of an encoding's name in the same places.
        name = _DECLARED.search(body[:200].decode("cp037").encode("ascii", "replace"))
        try:
            return body.decode(name[1].decode() if name else "cp037", "replace")
        except LookupError:
            return body.decode("cp037", "replace")
    return None


def _declared(body: bytes, content_type: str) -> list[str]:
    in_header = _CHARSET.search(content_type)
    in_document = _DECLARED.search(body[:1000])
    return [
        name.lower().replace("_", "-")
        for name in (
            in_header[1] if in_header else "",
            in_document[1].decode("ascii", "replace") if in_document else "",
        )
        if name and not name.lower().startswith(_NO_ENCODINGS)
    ]


def _nearly_utf_8(body: bytes, at: int) -> str | None:
    """Decode UTF-8 with a few bytes of something else in it, which are read as windows-1252.

    Args:
        at: where the first of these bytes is.
    """
    # The beginning shows whether it is UTF-8 at all; decoding all of it takes long.
    if not _is_nearly(body[at : at + _LOOKED_AT_FIRST].decode("utf-8", "surrogateescape")):
        return None
    text = body.decode("utf-8", "surrogateescape")
    if not _is_nearly(text, fewest=0):
        return None
    return _BROKEN.sub(
        lambda some: some[0].encode("utf-8", "surrogateescape").decode(_FALLBACK, "replace"), text
    )


def _is_nearly(text: str, fewest: int = 100) -> bool:
    broken = sum(map(len, _BROKEN.findall(text)))
    return broken < fewest or _beyond_ascii(text) - broken > 2 * broken


def _as_declared(body: bytes, declared: list[str], warn: Callable[[str], None]) -> str:
    first = (declared or ["utf-8"])[0]
    for name in declared:
        for encoding in dict.fromkeys((_MEANT.get(name, name), name)):
            try:
                text = body.decode(encoding)
            except (LookupError, ValueError):
                continue
            # Any bytes are valid windows-1252, and templates declare it without need.
            if _MEANT.get(name, name) == _FALLBACK and _is_dense(body):
                guess = _guess(body)
                warn(f"not {name}; read as {guess}")
                return body.decode(guess, "replace")
            if name != first:
                warn(f"not {first}; read as {name}")
            return text
    for name in declared:
        try:
            text = body.decode(_MEANT.get(name, name), "replace")
        except (LookupError, ValueError):
            continue
        if _beyond_ascii(text) > (_FEW + 1) * text.count(_REPLACEMENT):
            # Such as a document that ends in the middle of a character.
            warn(_UNREADABLE)
            return text
    guess = _guess(body)
    warn(f"not {first}; read as {guess}")
    text = body.decode(guess, "replace")
    if _REPLACEMENT in text:
        warn(_UNREADABLE)
    return text


def _guess(body: bytes) -> str:
    """Guess the encoding from the document's language, or else from its bytes."""
    if (language := _LANGUAGE.search(body)) and (encoding := _of_language(body, language)):
        return encoding
    if _is_dense(body):
        for encodings, usual, share in _USUAL:
            if likeliest := _likeliest(body, encodings, usual, share):
                return likeliest
        for strict, encoding in (("gb2312", "gb18030"), ("big5", "big5hkscs")):
            if not _is_broken(body, strict):
                return encoding
    return _FALLBACK


def _of_language(body: bytes, language: re.Match[bytes]) -> str | None:
    candidates = _OF_LANGUAGE.get(language[1].decode().lower(), ())
    if language[2]:
        # Taiwan and Hong Kong.
        candidates = candidates[::-1]
    for encodings, usual, share in _USUAL:
        if candidates == encodings:
            return _likeliest(body, candidates, usual, share) or candidates[0]
    return next((name for name in candidates if not _is_broken(body, name)), None)


def _is_dense(body: bytes) -> bool:
    """Tell whether bytes beyond ASCII are closer together than in Latin scripts."""
    dense = sum(map(len, _DENSE.findall(body, 0, _LOOKED_AT)))
    return dense >= _FEWEST and 2 * dense > len(_HIGH.findall(body, 0, _LOOKED_AT))


def _likeliest(
    body: bytes, encodings: tuple[str, ...], usual: re.Pattern[str], share: float
) -> str | None:
    """Return the encoding that gives the most usual letters, or None if none gives enough."""
    best, most = None, share
    for encoding in encodings:
        text = body[:_LOOKED_AT].decode(encoding, "replace")
        letters = len(usual.findall(text)) / (_beyond_ascii(text) or 1)
        if letters > most and not _is_broken(body, encoding):
            best, most = encoding, letters
    return best


def _is_broken(body: bytes, encoding: str) -> bool:
    text = body.decode(encoding, "replace")
    return (_FEW + 1) * text.count(_REPLACEMENT) >= _beyond_ascii(text)


def _beyond_ascii(text: str) -> int:
    return len(text) - len(text.encode("ascii", "ignore"))
