"""Detects a feed's character encoding: byte order mark, declaration, heuristics. Pure.

Never refuses a document: a few unreadable characters must not cost the others.
"""

import codecs
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Final

import webencodings

# UTF-32 first: its little-endian mark starts with the one of UTF-16.
_WIDE: Final = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FEWEST_ZEROS: Final = 4
"""Each element and key of a wide document has as many zero bytes; other documents have one by mistake."""
_EBCDIC_BEGINS: Final = "<?xml".encode("cp037")
_SEVEN_BIT: Final = ("iso-2022", "utf-7", "hz", "iso2022")
# Python codecs that are no encodings of documents; some of them are slow.
_NO_ENCODINGS: Final = ("idna", "punycode", "unicode", "raw", "undefined")
_FALLBACK: Final = "windows-1252"
_LARGER: Final = {"gbk": "gb18030"}
"""Where browsers read a larger encoding than the library names."""
_ASCII_ALIKE: Final = frozenset({"utf-8", "utf8", "ascii", "us-ascii"})
_REPLACEMENT: Final = "\ufffd"
_UNREADABLE: Final = "some characters could not be read"
_FEW: Final = 10
"""How many characters must be readable for each that is not, before a declaration is believed."""

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)["']""")
# Languages that were written in one of the candidates below, other than windows-1252.
_NOT_WESTERN = re.compile(
    rb"""(?:<(?:dc:)?language>\s*(?:<!\[CDATA\[\s*)?|xml:lang\s*=\s*["']|"language"\s*:\s*")"""
    rb"(?:ar|az|be|bg|bs|cs|el|et|fa|he|hr|hu|ja|kk|ko|lt|lv|mk|pl|ro|ru|sk|sl|sr|th|tr|uk|zh)(?![A-Za-z])",
    re.IGNORECASE,
)
_BROKEN = re.compile(r"[\udc80-\udcff]+")
# Shift JIS: kana start with one of two bytes and may end with an ASCII byte.
_DENSE = re.compile(rb"[\x80-\xff]{2,}|[\x82\x83][\x40-\x7e]")
_HIGH = re.compile(rb"[\x80-\xff]")
_NO_WORDS = re.compile(rb"<[^<>]*>|&\w{1,8};|https?:[\x21-\x7e]*|[\x00-\x08\x0b-\x1f]")
_CANDIDATES: Final = [
    "windows-1252", "windows-1250", "windows-1251", "windows-1253", "windows-1254", "windows-1255",
    "windows-1256", "windows-1257", "iso-8859-2", "iso-8859-5", "iso-8859-7", "koi8-r", "koi8-u", "ibm866",
    "tis-620", "euc-jp", "cp932", "cp949", "gb18030", "big5",
]  # fmt: skip
_SURE: Final = 0.2
"""Below this confidence the library takes Western letters for others of the same bytes."""
_MOST_SAMPLES: Final = 8
_LEAST_SAMPLE: Final = 200
_LOOKED_AT: Final = 20_000
_FEWEST: Final = 12
"""Fewer bytes beyond ASCII tell nothing: `créée` has two side by side, too."""


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
        except UnicodeDecodeError:
            if (repaired := _nearly_utf_8(body)) is not None:
                warn(_UNREADABLE)
                return repaired
        else:
            if declared and declared[0] not in _ASCII_ALIKE and not text.isascii():
                warn(f"not {declared[0]}; read as utf-8")
            return text
    return _as_declared(body, declared, warn)


def _wide(body: bytes) -> str | None:
    """Decode UTF-16, UTF-32 and EBCDIC; None for all other encodings."""
    for encoding in _WIDE:
        # Without a mark, a document starts with one of these two characters (XML 1.0 appendix F).
        mark, *begins = (character.encode(encoding) for character in "\ufeff<{")
        if body.startswith((mark, *begins)) and body.count(0, 0, 200) >= _FEWEST_ZEROS:
            return body.decode(encoding, "replace").removeprefix("\ufeff")
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


def _nearly_utf_8(body: bytes) -> str | None:
    """Decode UTF-8 with a few bytes of something else in it, which are read as windows-1252."""
    readable = body.decode("utf-8", "ignore")
    broken = len(body) - len(readable.encode())
    if _beyond_ascii(readable) <= 2 * broken:
        return None
    return _BROKEN.sub(
        lambda some: some[0].encode("utf-8", "surrogateescape").decode(_FALLBACK, "replace"),
        body.decode("utf-8", "surrogateescape"),
    )


def _as_declared(body: bytes, declared: list[str], warn: Callable[[str], None]) -> str:
    first = (declared or ["utf-8"])[0]
    # Some errors are such as the end of a document in the middle of a character.
    for errors in ("strict", "replace"):
        for label in declared:
            text, codec = _decoded(body, label, errors)
            # Any bytes are valid windows-1252, and templates declare it without need.
            is_doubtful = codec == "cp1252" and _is_dense(body)
            if not _is_readable(text) or (is_doubtful and _guess(body) != _FALLBACK):
                continue
            if _REPLACEMENT in text:
                warn(_UNREADABLE)
            elif label != first:
                warn(f"not {first}; read as {label}")
            return text
    guess = _guess(body)
    warn(f"not {first}; read as {guess}")
    text, _ = _decoded(body, guess, "replace")
    if _REPLACEMENT in text:
        warn(_UNREADABLE)
    return text


def _decoded(body: bytes, label: str, errors: str) -> tuple[str, str]:
    """Decode as browsers understand the label (WHATWG Encoding), or else as Python does.

    Returns:
        The text and its codec; both are empty if the label or the bytes are wrong.
    """
    known = None if label in _ASCII_ALIKE else webencodings.lookup(label)
    meant = known.codec_info.name if known else label
    for codec in (_LARGER.get(meant, meant), label):
        try:
            return body.decode(codec, errors), meant
        except (LookupError, ValueError):
            continue
    return "", ""


def _is_readable(text: str) -> bool:
    return bool(text) and _beyond_ascii(text) >= (_FEW + 1) * text.count(_REPLACEMENT)


def _guess(body: bytes) -> str:
    """Guess the encoding from the document's words: windows-1252, unless they clearly say otherwise."""
    words = _NO_WORDS.sub(b" ", body[: 5 * _LOOKED_AT])[:_LOOKED_AT]
    is_western = _NOT_WESTERN.search(body) is None
    if is_western and len(_HIGH.findall(words)) < _FEWEST:
        return _FALLBACK
    # Few documents need it, and it takes 30 MB.
    import chardet

    # One broken byte rules an encoding out, so samples vote.
    tokens, number = words.split(), min(_MOST_SAMPLES, len(words) // _LEAST_SAMPLE) or 1
    samples = [b" ".join(tokens[start::number]) for start in range(number)]
    samples = [sample for sample in samples if _HIGH.search(sample)]
    candidates = _CANDIDATES if is_western else _CANDIDATES[1:]
    votes: defaultdict[str, float] = defaultdict(float)
    for sample in samples:
        guess = chardet.detect(
            sample, include_encodings=candidates, no_match_encoding=candidates[0]
        )
        votes[(guess["encoding"] or candidates[0]).lower()] += guess["confidence"]
    best = max(votes, key=votes.__getitem__, default=_FALLBACK)
    if is_western and votes[best] < _SURE * len(samples) and not _is_dense(words):
        return _FALLBACK
    return best


def _is_dense(body: bytes) -> bool:
    """Tell whether bytes beyond ASCII are closer together than in Latin scripts."""
    dense = sum(map(len, _DENSE.findall(body, 0, _LOOKED_AT)))
    return dense >= _FEWEST and 2 * dense > len(_HIGH.findall(body, 0, _LOOKED_AT))


def _beyond_ascii(text: str) -> int:
    return len(text) - len(text.encode("ascii", "ignore"))
