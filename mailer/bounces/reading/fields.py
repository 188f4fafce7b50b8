"""Reads the header fields of a mail, however broken, within bounds.

Never refuses anything: what is no field ends the header, and what is too long is cut.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mailer.bounces.reading.texts import decode

_MOST_FIELDS: Final = 500
_MOST_LINES: Final = 5_000
_LONGEST_VALUE: Final = 4_000
_NAME: Final = re.compile(r"[!-9;-~]{1,80}[ \t]{0,9}:")
_WORD: Final = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?]{0,800})\?=")
_BETWEEN_WORDS: Final = re.compile(r"(\?=)[ \t]{1,99}(=\?)")
_HEX: Final = re.compile(r"=([0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class HeaderFields:
    """The fields of one header, or of one group in a report; names in lower case, values unfolded."""

    items: tuple[tuple[str, str], ...] = ()
    _first: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.items:
            self._first.setdefault(name, value)

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def get(self, name: str) -> str:
        """Return the first field's value as it came, one character for each byte; "" if there is none."""
        return self._first.get(name, "")

    def text(self, name: str) -> str:
        """Return the first field's value with its encoded words decoded (RFC 2047)."""
        return decode_words(self.get(name))

    def every(self, *names: str) -> Iterator[str]:
        """Return the values of all fields with one of these names, by name in this order."""
        for wanted in names:
            yield from (value for name, value in self.items if name == wanted)


def split_header(text: str) -> tuple[HeaderFields, str]:
    """Separate a mail into its header and what follows the empty line.

    Args:
        text: one character for each byte, with line ends as "\\n".
    """
    found: list[tuple[str, list[str]]] = []
    at, lines = 0, 0
    while at < len(text) and lines < _MOST_LINES:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end]
        if not line.strip(" \t"):
            at = end + 1
            break
        if line[0] in " \t" and found:
            found[-1][1].append(line)
        elif _NAME.match(line):
            name, _, value = line.partition(":")
            found.append((name.rstrip().lower(), [value]))
        elif not line.startswith((">From ", "From ")):
            # The empty line is missing.
            break
        at, lines = end + 1, lines + 1
    items = tuple((name, _unfold(parts)) for name, parts in found[:_MOST_FIELDS])
    return HeaderFields(items), text[at:]


def _unfold(lines: list[str]) -> str:
    kept: list[str] = []
    length = 0
    for line in lines:
        piece = line.strip()
        kept.append(piece)
        length += len(piece) + 1
        if length > _LONGEST_VALUE:
            break
    return " ".join(kept)[:_LONGEST_VALUE].strip()


def decode_words(value: str) -> str:
    """Decode the encoded words in a value, and bytes beyond ASCII that should have been such words."""
    if not value.isascii() and max(value) < "\u0100":
        value = decode(value.encode("latin-1"), "")
    if "=?" not in value:
        return value
    return _WORD.sub(_decoded_word, _BETWEEN_WORDS.sub(r"\1\2", value))


def _decoded_word(word: re.Match[str]) -> str:
    charset, encoding, text = word.groups()
    raw = text.encode("utf-8", "replace")
    if encoding in "bB":
        try:
            raw = base64.b64decode(raw + b"=" * (-len(raw) % 4))
        except binascii.Error:
            return word[0]
    else:
        plain = _HEX.sub(lambda digits: chr(int(digits[1], 16)), text.replace("_", " "))
        raw = plain.encode("latin-1", "replace")
    # A language may follow the charset (RFC 2231 section 5).
    return decode(raw, charset.partition("*")[0])


def parse_value(value: str) -> tuple[str, dict[str, str]]:
    """Split a value such as that of Content-Type into its first word and its parameters, in lower case.

    The values of parameters keep their case. Broken ones are left out.
    """
    pieces = _split_quoted(value[:_LONGEST_VALUE])
    parameters: dict[str, str] = {}
    for piece in pieces[1:50]:
        name, equals, text = piece.partition("=")
        if equals:
            parameters.setdefault(name.strip().lower(), text.strip().strip('"'))
    return pieces[0].strip().lower(), parameters


def _split_quoted(value: str) -> list[str]:
    """Split at semicolons that stand in no quotes."""
    pieces: list[str] = []
    begin, quoted = 0, False
    for at, letter in enumerate(value):
        if letter == '"':
            quoted = not quoted
        elif letter == ";" and not quoted:
            pieces.append(value[begin:at])
            begin = at + 1
    return [*pieces, value[begin:]]
