"""Which letters the bytes of a feed are: by its mark, by what it says, and by what it must be. Pure.

Every document is read somehow: a few letters that nobody can read must not cost the others.
"""

import codecs
import re
from typing import Final

_BOMS: Final = (
    # UTF-32 first: its little-endian mark begins like the one of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# A document without a mark begins with one of these two signs (XML 1.0 appendix F).
_WIDE: Final = (
    (re.compile(rb"[<{]\x00[^\x00]\x00"), "utf-16-le"),
    (re.compile(rb"\x00[<{]\x00[^\x00]"), "utf-16-be"),
)
_EBCDIC_BEGINS: Final = "<?xml".encode("cp037")
_SEVEN_BIT: Final = ("iso-2022", "utf-7", "hz", "iso2022")
# Python's names for ways of writing that are no encodings of documents, some of them slow.
_NO_ENCODINGS: Final = ("idna", "punycode", "unicode", "raw", "undefined")
_FALLBACK: Final = "windows-1252"
# What documents say, and the larger set of letters that they mean: so read browsers (WHATWG Encoding).
_MEANT: Final = {
    "iso-8859-1": "windows-1252",
    "iso8859-1": "windows-1252",
    "latin1": "windows-1252",
    "latin-1": "windows-1252",
    "iso-8859-9": "windows-1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "euc-kr": "cp949",
    "ks-c-5601-1987": "cp949",
    "windows-31j": "cp932",
    "big5": "big5hkscs",
}
_ASCII_ALIKE: Final = frozenset({"utf-8", "utf8", "ascii", "us-ascii"})
_REPLACED: Final = "\ufffd"
_UNREADABLE: Final = "some characters could not be read"
_FEW: Final = 10
"""How many letters must be read for one that cannot be, before what a document says is believed."""

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)["']""")
_LANGUAGE = re.compile(
    rb"""(?:<(?:dc:)?language>\s*(?:<!\[CDATA\[\s*)?|xml:lang\s*=\s*["']|"language"\s*:\s*")"""
    rb"([A-Za-z]{2})(?![A-Za-z])(?:[-_](tw|hk))?",
    re.IGNORECASE,
)
_BROKEN = re.compile(r"[\udc80-\udcff]+")
# The Japanese syllabaries begin with one of two bytes and may end with one of ASCII's.
_DENSE = re.compile(rb"[\x80-\xff]{2,}|[\x82\x83][\x40-\x7e]")
_HIGH = re.compile(rb"[\x80-\xff]")
_CYRILLIC: Final = ("windows-1251", "koi8-r", "iso-8859-5", "ibm866")
_JAPANESE: Final = ("euc-jp", "cp932")
# What documents in these languages were written in before UTF-8 (WHATWG HTML, the default encodings).
_WRITTEN: Final = {
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
# The letters that a text has many of, where it was read as what it is. Russian read as Hebrew or Greek
# has fewer of theirs, so these two are asked first; Thai read as nearly anything is likely.
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
"""From fewer bytes no language can be told: `créée` has two side by side, too."""


def decoded(body: bytes, content_type: str, warnings: list[str]) -> str:
    """`body` as text, without its byte order mark.

    Bytes beyond ASCII that are valid UTF-8 are UTF-8, whatever a server says: no other encoding makes
    such bytes by chance. Encodings that write everything in seven bits must be believed.

    Args:
        content_type: the Content-Type header, empty where there is none.
        warnings: gets what is odd about the bytes.
    """
    # What blanks a template leaves before the feed stand before its mark, too.
    begun = body.lstrip(b" \t\r\n")
    if (wide := _wide(begun)) is not None:
        if _REPLACED in wide:
            warnings.append(_UNREADABLE)
        return wide
    is_marked = begun.startswith(codecs.BOM_UTF8)
    if begun.startswith(_MARKS):
        # A mark of wide letters before single bytes is there by mistake.
        body = begun[3 if is_marked else 2 :]
    declared = _declared(body, content_type)
    if is_marked:
        declared.insert(0, "utf-8")
    if not any(name.startswith(_SEVEN_BIT) for name in declared):
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            if (mended := _nearly_utf_8(body, error.start)) is not None:
                warnings.append(_UNREADABLE)
                return mended
        else:
            if declared and declared[0] not in _ASCII_ALIKE and not text.isascii():
                warnings.append(f"not {declared[0]}; read as utf-8")
            return text
    return _as_declared(body, declared, warnings)


def _wide(begun: bytes) -> str | None:
    """The text of a document whose letters are more than a byte each, or that is no ASCII at all."""
    for mark, encoding in _BOMS:
        if begun.startswith(mark) and b"\x00" in begun[:200]:
            return begun[len(mark) :].decode(encoding, "replace")
    for pattern, encoding in _WIDE:
        if pattern.match(begun):
            return begun.decode(encoding, "replace")
    if begun.startswith(_EBCDIC_BEGINS):
        # The names of encodings are written alike in all of its kinds.
        name = _DECLARED.search(begun[:200].decode("cp037").encode("ascii", "replace"))
        try:
            return begun.decode(name[1].decode() if name else "cp037", "replace")
        except LookupError:
            return begun.decode("cp037", "replace")
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
    """UTF-8 into which a few bytes of something else were put, which are read as windows-1252.

    Args:
        at: where the first of them is.
    """
    # What is no UTF-8 at all shows it soon, and to read all of it as such takes long.
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


def _as_declared(body: bytes, declared: list[str], warnings: list[str]) -> str:
    first = (declared or ["utf-8"])[0]
    for name in declared:
        for encoding in dict.fromkeys((_MEANT.get(name, name), name)):
            try:
                text = body.decode(encoding)
            except (LookupError, ValueError):
                continue
            # Any bytes can be read as letters of Western Europe, and this is what templates say.
            if _MEANT.get(name, name) == _FALLBACK and _is_dense(body):
                guess = _guess(body)
                warnings.append(f"not {name}; read as {guess}")
                return body.decode(guess, "replace")
            if name != first:
                warnings.append(f"not {first}; read as {name}")
            return text
    for name in declared:
        try:
            text = body.decode(_MEANT.get(name, name), "replace")
        except (LookupError, ValueError):
            continue
        broken = text.count(_REPLACED)
        if _beyond_ascii(text) > (_FEW + 1) * broken:
            # Such as a document that ends in the middle of a letter.
            warnings.append(_UNREADABLE)
            return text
    guess = _guess(body)
    warnings.append(f"not {first}; read as {guess}")
    text = body.decode(guess, "replace")
    if _REPLACED in text:
        warnings.append(_UNREADABLE)
    return text


def _guess(body: bytes) -> str:
    """The encoding of a document that says none, or a wrong one: by its language, or by its bytes."""
    if found := _LANGUAGE.search(body):
        language, region = found[1].decode().lower(), found[2]
        written = _WRITTEN.get(language, ())
        if region:
            written = written[::-1]
        for encodings, usual, share in _USUAL:
            if written == encodings:
                return _likeliest(body, written, usual, share) or written[0]
        for encoding in written:
            if not _is_broken(body, encoding):
                return encoding
    if _is_dense(body):
        for encodings, usual, share in _USUAL:
            if likeliest := _likeliest(body, encodings, usual, share):
                return likeliest
        for strict, encoding in (("gb2312", "gb18030"), ("big5", "big5hkscs")):
            if not _is_broken(body, strict):
                return encoding
    return _FALLBACK


def _is_dense(body: bytes) -> bool:
    """Whether bytes beyond ASCII stand closer together than letters of Latin scripts do."""
    dense = sum(map(len, _DENSE.findall(body, 0, _LOOKED_AT)))
    return dense >= _FEWEST and 2 * dense > len(_HIGH.findall(body, 0, _LOOKED_AT))


def _likeliest(
    body: bytes, encodings: tuple[str, ...], usual: re.Pattern[str], share: float
) -> str | None:
    """Which of `encodings` gives the most usual letters, or None where no one gives enough."""
    best, most = None, share
    for encoding in encodings:
        text = body[:_LOOKED_AT].decode(encoding, "replace")
        found = len(usual.findall(text)) / (_beyond_ascii(text) or 1)
        if found > most and not _is_broken(body, encoding):
            best, most = encoding, found
    return best


def _is_broken(body: bytes, encoding: str) -> bool:
    text = body.decode(encoding, "replace")
    return (_FEW + 1) * text.count(_REPLACED) >= _beyond_ascii(text)


def _beyond_ascii(text: str) -> int:
    return len(text) - len(text.encode("ascii", "ignore"))
