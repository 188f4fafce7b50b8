"""Writes one header as lines: checks, encodes and folds it.

Never lets a value start a second header. Never encodes a structured header other than its phrase: no mail
program would recognise an encoded List-Unsubscribe (RFC 2047 section 5).
"""

import base64
import re
import string
import unicodedata
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import NewType

from mailer import address
from mailer.errors import BadAddress, BadMessage, NeedsSmtputf8
from mailer.text.untrusted import CONTROLS

WireAddress = NewType("WireAddress", str)
"""An address as `wire_address` writes it: nothing in it can end a line or a path."""

_LINE = 78
_LINE_WITH_WORD = 76
"""A line that holds an encoded-word (RFC 2047 section 2)."""
_LONGEST_LINE = 998
_WORD = 64
"""The longest encoded-word here. 75 characters are allowed, but the header's name precedes the first."""

_WORD_ROOM = _WORD - len("=?utf-8?q??=")

_BLANKS = re.compile(r"[ \t\r\n]+")
_NAME = re.compile(r"[!-9;-~]+")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
"""One line of printable ASCII, such as almost all readers' values."""
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PHRASE = re.compile(rf"{ATOM}(?: {ATOM})*")
_LABEL = r"[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*+"
_ADDR_SPEC = re.compile(rf"{ATOM}(?:\.{ATOM})*@{_DOMAIN}")
_WORD_SAFE = string.ascii_letters.encode() + b"0123456789!*+-/ "
"""What Q does not escape: only what a phrase allows (RFC 2047 section 5 (3))."""
_Q_TABLE = [
    "_" if byte == 32 else chr(byte) if byte in _WORD_SAFE else f"={byte:02X}"
    for byte in range(256)
]


def one_line(text: str) -> str:
    """Make one line of `text`: runs of blanks and line ends become one space, those at its ends go."""
    return _BLANKS.sub(" ", text).strip(" ")


def printable(text: str) -> str:
    """Make one line without control characters, for a reader's own value.

    It is corrected and not refused: nobody should miss a mail because of the name they typed.
    """
    if _PLAIN.fullmatch(text):
        return text
    return one_line(CONTROLS.sub(" ", text))


def structured_line(name: str, value: str) -> bytes:
    """Write a header that is structured or plain ASCII, folded at its spaces, CRLF included.

    Raises:
        BadMessage: a character is not allowed there, or a word is too long for a line (RFC 5322 2.1.1).
    """
    _check_name(name)
    if not value or not value.isascii() or not value.isprintable():
        raise BadMessage(f"the header {name} cannot hold {value!r}; use one line of plain ASCII")
    return folded(f"{name}: {value}")


@lru_cache(maxsize=64)
def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadMessage(f"{name!r} cannot name a header; use letters, digits and hyphens")


def text_line(name: str, text: str) -> bytes:
    """Write a header of free text, such as Subject, encoded if necessary.

    Blanks and line ends are collapsed first: a title from a feed may hold some.

    Raises:
        BadMessage: it is empty or has control characters.
    """
    text = _clean(name, text)
    line = f"{name}: {text}"
    if text.isascii() and "=?" not in text and max(map(len, text.split(" "))) < _WORD:
        return folded(line)
    return folded(f"{name}: {encoded_words(text)}")


def mailbox_line(name: str, display_name: str, addr_spec: str) -> bytes:
    """Write a header that holds one mailbox, such as From.

    Raises:
        BadMessage: the name has control characters, an @ or a pictograph, or the address is not valid.
    """
    if problem := display_name_problem(display_name):
        raise BadMessage(
            f"the name in {name}, {display_name!r}, {problem}; use the publication's name"
        )
    return folded(f"{name}: {phrase(display_name)} <{wire_address(addr_spec)}>")


@lru_cache(maxsize=64)
def date_line(date: datetime) -> bytes:
    """Write the Date header, in UTC as +0000: -0000 would mean an unknown zone (RFC 5322 3.3)."""
    return b"Date: %s\r\n" % format_datetime(date.astimezone(UTC)).encode("ascii")


def wire_address(addr_spec: str, *, utf8: bool = False) -> WireAddress:
    """Write an address for envelope and headers: the domain as A-labels, the local part unchanged.

    A local part that is not ASCII is written as it is, which only a relay with SMTPUTF8 accepts (RFC 6532
    section 3.2); it is never changed.

    Args:
        addr_spec: its domain in letters or as A-labels.
        utf8: the relay offers SMTPUTF8.

    Raises:
        NeedsSmtputf8: the local part is not ASCII, and `utf8` does not allow that.
        BadMessage: the address is not valid.
    """
    if _ADDR_SPEC.fullmatch(addr_spec):
        return WireAddress(addr_spec)
    try:
        valid = address.parse(addr_spec)
    except BadAddress as error:
        raise BadMessage(f"{addr_spec!r} is not a valid address; correct it") from error
    local = valid.typed.rpartition("@")[0]
    if not utf8 and not local.isascii():
        raise NeedsSmtputf8
    return WireAddress(f"{local}@{valid.key.rpartition('@')[2]}")


def phrase(text: str) -> str:
    """Write `text` as a phrase: atoms, a quoted-string or encoded-words (RFC 5322 3.2.5, RFC 2047 5).

    Raises:
        BadMessage: it is empty or has control characters.
    """
    text = _clean("name", text)
    if not text.isascii() or "=?" in text or len(text) > _WORD:
        return encoded_words(text)
    if _PHRASE.fullmatch(text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def encoded_words(text: str) -> str:
    """Encode `text` as encoded-words of whole characters, in B or Q, whichever is shorter (RFC 2047)."""
    raw = text.encode()
    in_q = len(raw) + 2 * len(raw.translate(None, delete=_WORD_SAFE))
    in_b = -(-len(raw) // 3) * 4
    words = _b_words(raw) if in_b <= in_q else _q_words(text)
    return " ".join(words)


def folded(line: str) -> bytes:
    """Fold a header at its spaces: lines of at most 78 columns, or 76 with an encoded-word.

    A longer word has a line of its own, except that the first stays beside the header's name.

    Raises:
        BadMessage: a word makes a line of more than 998 columns (RFC 5322 section 2.1.1).
    """
    if len(line) <= _LINE_WITH_WORD:
        return f"{line}\r\n".encode("ascii")
    name, _, rest = line.partition(" ")
    if " " not in rest and len(line) <= _LONGEST_LINE:
        return f"{line}\r\n".encode("ascii")
    first, *words = rest.split(" ")
    lines = [f"{name} {first}"]
    for word in words:
        longer = f"{lines[-1]} {word}"
        if len(longer) <= (_LINE_WITH_WORD if "=?" in longer else _LINE):
            lines[-1] = longer
        else:
            lines.append(f" {word}")
    if max(map(len, lines)) > _LONGEST_LINE:
        raise BadMessage(f"the header {name} has a word that is too long for a mail; shorten it")
    return "\r\n".join([*lines, ""]).encode("ascii")


def display_name_problem(text: str) -> str | None:
    """Say what providers would refuse in a sender's display name, or None if it is good."""
    if "@" in text:
        return "has an @, as if it were an address"
    if any(
        (unicodedata.category(letter) == "So" and letter >= "\u2300") or letter in "\ufe0f\u20e3"
        for letter in text
    ):
        return "has a pictograph"
    return None


def _clean(name: str, text: str) -> str:
    text = one_line(text)
    if control := CONTROLS.search(text):
        raise BadMessage(
            f"the {name} contains the control character U+{ord(control[0]):04X}; remove it"
        )
    if not text:
        raise BadMessage(f"the {name} is empty; give one")
    return text


def _b_words(raw: bytes) -> list[str]:
    words = []
    while raw:
        end = _WORD_ROOM // 4 * 3
        # A byte 10xxxxxx continues a character, which must not be split (RFC 2047 section 5).
        while end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        words.append(f"=?utf-8?b?{base64.b64encode(raw[:end]).decode('ascii')}?=")
        raw = raw[end:]
    return words


def _q_words(text: str) -> list[str]:
    words = []
    word = ""
    for letter in text:
        quoted = "".join([_Q_TABLE[byte] for byte in letter.encode()])
        if len(word) + len(quoted) > _WORD_ROOM:
            words.append(f"=?utf-8?q?{word}?=")
            word = ""
        word += quoted
    return [*words, f"=?utf-8?q?{word}?="]
