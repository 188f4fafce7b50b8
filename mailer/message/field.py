"""One header field: what may stand in it, how it is encoded and folded.

Refuses what could start a second header. Never encodes a structured field other than its phrase:
an encoded List-Unsubscribe is one that no mail program sees (RFC 2047 section 5).
"""

import base64
import re
import string
import unicodedata
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from mailer import address
from mailer.errors import BadAddress, BadMessage, NeedsSmtputf8

_LINE = 78
_LINE_WITH_WORD = 76
"""A line that holds an encoded-word (RFC 2047 section 2)."""
_LONGEST_LINE = 998
_WORD = 64
"""The most characters of an encoded-word here. 75 are allowed, but the header's name precedes the first."""

_WORD_ROOM = _WORD - len("=?utf-8?q??=")

_BLANKS = re.compile(r"[ \t\r\n]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAME = re.compile(r"[!-9;-~]+")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
"""One line of printable ASCII, as almost all readers' values are."""
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PHRASE = re.compile(rf"{ATOM}(?: {ATOM})*")
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDR_SPEC = re.compile(rf"{ATOM}(?:\.{ATOM})*@{_DOMAIN}")
_MESSAGE_ID = re.compile(rf"<{ATOM}(?:\.{ATOM})*@{_DOMAIN}>")
_WORD_SAFE = string.ascii_letters.encode() + b"0123456789!*+-/ "
"""What Q needs no escape for; no more than a phrase allows (RFC 2047 section 5 (3))."""
_Q_TABLE = [
    "_" if byte == 32 else chr(byte) if byte in _WORD_SAFE else f"={byte:02X}"
    for byte in range(256)
]


def one_line(text: str) -> str:
    """`text` without surrounding blanks, each run of blanks and line ends inside one space."""
    return _BLANKS.sub(" ", text).strip(" ")


def printable(text: str) -> str:
    """`text` as one line without any control character, for a reader's own value.

    A reader's value is mended and not refused: nobody should miss a mail for the name they typed.
    """
    if _PLAIN.fullmatch(text):
        return text
    return one_line(_CONTROL.sub(" ", text))


def field_line(name: str, value: str) -> bytes:
    """The lines of a header that is structured or plain ASCII, folded at its spaces, CRLF included.

    Raises:
        BadMessage: it has a character that may not stand there, or a word too long for a line
            (RFC 5322 section 2.1.1).
    """
    _check_name(name)
    if not value or not value.isascii() or not value.isprintable():
        raise BadMessage(f"the header {name} cannot hold {value!r}; use one line of plain ASCII")
    return fold(f"{name}: {value}")


@lru_cache(maxsize=64)
def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadMessage(f"{name!r} is no name of a header; use letters, digits and hyphens")


def text_line(name: str, text: str) -> bytes:
    """The lines of a header that holds free text, encoded where it must be, such as Subject.

    Blanks and line ends are collapsed first: a title from a feed may hold some.

    Raises:
        BadMessage: it is empty or has control characters.
    """
    text = _clean(name, text)
    line = f"{name}: {text}"
    if text.isascii() and "=?" not in text and max(map(len, text.split(" "))) < _WORD:
        return fold(line)
    return fold(f"{name}: {encoded_words(text)}")


def mailbox_line(name: str, display_name: str, addr_spec: str) -> bytes:
    """The lines of a header that holds one mailbox, such as From.

    Raises:
        BadMessage: the name has control characters, an @ or a pictograph, or the address is none.
    """
    wrong = display_name_fault(display_name)
    if wrong:
        raise BadMessage(
            f"the name in {name}, {display_name!r}, {wrong}; use the publication's name"
        )
    return fold(f"{name}: {phrase(display_name)} <{wire_address(addr_spec)}>")


@lru_cache(maxsize=64)
def date_line(date: datetime) -> bytes:
    """The Date header, in UTC as +0000: -0000 would say that the zone is not known (RFC 5322 3.3)."""
    return b"Date: %s\r\n" % format_datetime(date.astimezone(UTC)).encode("ascii")


def message_id_line(message_id: str) -> bytes:
    """The Message-ID header.

    Raises:
        BadMessage: it is not <dot-atom@domain> (RFC 5322 section 3.6.4).
    """
    if not _MESSAGE_ID.fullmatch(message_id):
        raise BadMessage(f"{message_id!r} is no Message-ID; make it with the installation's keys")
    return field_line("Message-ID", message_id)


def to_line(to: str, *, utf8: bool) -> bytes:
    """The To header with this one address.

    A local part that is not ASCII is written as it is, which only a relay with SMTPUTF8 takes
    (RFC 6532 section 3.2); it is never mangled into something else.

    Args:
        to: a valid address, its domain in letters or as A-labels.
        utf8: the relay offers SMTPUTF8.

    Raises:
        NeedsSmtputf8: the address needs it, and it is not offered.
        BadMessage: this is no address.
    """
    return b"To: %s\r\n" % wire_address(to, utf8=utf8).encode()


def needs_smtputf8(addr_spec: str) -> bool:
    """Whether this address can only be written with SMTPUTF8: its local part is not ASCII (RFC 6531)."""
    return not addr_spec.rpartition("@")[0].isascii()


def wire_address(addr_spec: str, *, utf8: bool = False) -> str:
    """The address as envelope and headers carry it: the domain as A-labels, the local part untouched.

    Raises:
        NeedsSmtputf8: the local part is not ASCII, and `utf8` does not allow that.
        BadMessage: this is no address.
    """
    if _ADDR_SPEC.fullmatch(addr_spec):
        return addr_spec
    try:
        valid = address.parse(addr_spec)
    except BadAddress as error:
        raise BadMessage(f"{addr_spec!r} is no address; mend it") from error
    local = valid.typed.rpartition("@")[0]
    if not utf8 and not local.isascii():
        raise NeedsSmtputf8
    return f"{local}@{valid.key.rpartition('@')[2]}"


def phrase(text: str) -> str:
    """`text` as a phrase: atoms, a quoted-string or encoded-words (RFC 5322 3.2.5, RFC 2047 5).

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
    """`text` as encoded-words of whole characters, in B or Q, whichever is shorter (RFC 2047)."""
    raw = text.encode()
    in_q = len(raw) + 2 * len(raw.translate(None, delete=_WORD_SAFE))
    in_b = -(-len(raw) // 3) * 4
    words = _b_words(raw) if in_b <= in_q else _q_words(text)
    return " ".join(words)


def fold(line: str) -> bytes:
    """A header line folded at its spaces: at most 78 columns, 76 with an encoded-word in it.

    A word that is longer stands alone in its line, but the first stays beside the header's name.

    Raises:
        BadMessage: a word makes a line of more than 998 (RFC 5322 section 2.1.1).
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


def display_name_fault(text: str) -> str | None:
    """What providers refuse in a sender's display name, or None where it is good."""
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
    wrong = _CONTROL.search(text)
    if wrong:
        raise BadMessage(
            f"the {name} has the control character U+{ord(wrong[0]):04X} in it; take it out"
        )
    if not text:
        raise BadMessage(f"the {name} is empty; give one")
    return text


def _b_words(raw: bytes) -> list[str]:
    words = []
    while raw:
        end = _WORD_ROOM // 4 * 3
        # A byte 10xxxxxx continues a character, which must not be cut (RFC 2047 section 5).
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
