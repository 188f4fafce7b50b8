"""Judges the headers that every mail has."""

import base64
import quopri
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from mailer.lint.lines import LONGEST_WORD
from mailer.lint.parse import Field, Part
from mailer.lint.rules import Problem

_REQUIRED = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version")
_SINGLE = {
    *(name.lower() for name in _REQUIRED),
    *("sender", "reply-to", "content-type", "content-transfer-encoding", "auto-submitted"),
    *("precedence", "feedback-id", "x-mailer-digest", "x-mailer-delivery"),
}
_MAILBOXES = ("from", "to", "sender", "reply-to")
_ONE_MAILBOX = ("from", "to", "sender")
_PHRASES = {*_MAILBOXES, "list-id"}
_STRUCTURED = {
    *("message-id", "in-reply-to", "references", "date", "mime-version", "feedback-id"),
    *("auto-submitted", "precedence", "content-type", "content-transfer-encoding"),
    *("content-disposition", "x-mailer-digest", "x-mailer-delivery"),
}

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = rf"{ATOM}(?:\.{ATOM})*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_ANGLE = re.compile(r"<([^<>]*)>")
_ADDRESS = re.compile(rf"{_DOT_ATOM}@({_DOMAIN})")
_MESSAGE_ID = re.compile(rf"<{_DOT_ATOM}@{_DOMAIN}>")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DATE = re.compile(
    rf"(?:(?:{'|'.join(_DAYS)}), )?\d{{1,2}} "
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d(?::\d\d)? \+0000"
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WORD = re.compile(r"=\?([^?\s]+)\?([bBqQ])\?([^?\s]*)\?=")
_WORD_START = re.compile(r"=\?[^?\s]+\?[bBqQ]\?")
_PICTOGRAPHS_FROM = "\u2300"


def judge_headers(mail: Part) -> Iterator[Problem]:
    """List the problems with the headers that every mail has."""
    for part in mail.walk():
        for line in part.stray:
            yield Problem("header-syntax", f"{line[:60]!r} belongs to no header")
        for key, times in Counter(field.key for field in part.fields).items():
            if times > 1 and (key in _SINGLE or key.startswith("list-")):
                yield Problem("header-repeated", f"there are {times} headers {key}")
        for field in part.fields:
            yield from _words(field)
    for name in _REQUIRED:
        if not mail.value(name.lower()):
            yield Problem("header-missing", f"there is no {name}, or it is empty")
    for field in mail.get_all("cc", "bcc"):
        yield Problem("copy-header", f"there is a {field.name}")
    for field in mail.get_all(*_MAILBOXES):
        yield from _mailbox(field)
    yield from _sender(mail)
    yield from _signature(mail)
    yield from _fixed_forms(mail)


def decoded(value: str) -> str:
    """Decode the encoded-words in `value`, except those that cannot be decoded."""

    def replace(word: re.Match[str]) -> str:
        try:
            return _decode(word)
        except (ValueError, LookupError):
            return word[0]

    # Blanks between two encoded-words are not part of the text (RFC 2047 section 6.2).
    return _WORD.sub(replace, re.sub(r"(\?=)\s+(?==\?)", r"\1", value))


def from_domain(mail: Part) -> str:
    """Return the domain of From in lower case, or "" if it has none."""
    addresses = _addresses(mail.value("from") or "")
    return addresses[0].rpartition("@")[2].lower() if addresses else ""


def _words(field: Field) -> Iterator[Problem]:
    """Judge the encoded-words of a header."""
    value = field.value
    starts = [word.start() for word in _WORD_START.finditer(value)]
    is_list = field.key.startswith("list-") and field.key != "list-id"
    if starts and (field.key in _STRUCTURED or is_list):
        yield Problem("encoded-word-header", f"{field.name} holds an encoded-word")
        return
    words = {word.start(): word for word in _WORD.finditer(value)}
    patterns = (_QUOTED, _ANGLE) if field.key in _PHRASES else ()
    closed = [match.span() for pattern in patterns for match in pattern.finditer(value)]
    for start in starts:
        if start not in words:
            yield Problem("encoded-word-broken", f"{field.name}: {value[start : start + 30]!r}")
        elif any(begin <= start < end for begin, end in closed):
            yield Problem("encoded-word-place", f"{field.name}: in a quoted-string or an address")
        else:
            yield from _word(field, words[start])


def _word(field: Field, word: re.Match[str]) -> Iterator[Problem]:
    before, after = field.value[: word.start()][-1:], field.value[word.end() :][:1]
    if before.strip(" \t(") or after.strip(" \t)"):
        yield Problem("encoded-word-place", f"{field.name}: {word[0][:30]!r} touches its neighbour")
    if len(word[0]) > LONGEST_WORD:
        yield Problem("encoded-word-length", f"{field.name}: one has {len(word[0])} characters")
    try:
        text = _decode(word)
    except (ValueError, LookupError) as error:
        yield Problem("encoded-word-broken", f"{field.name}: {error}")
    else:
        if _CONTROL.search(text):
            yield Problem("header-control", f"{field.name} decodes to {text!r}")


def _decode(word: re.Match[str]) -> str:
    charset = word[1].partition("*")[0]
    if word[2] in "bB":
        raw = base64.b64decode(word[3], validate=True)
    else:
        if re.search(r"=(?![0-9A-Fa-f]{2})", word[3]):
            raise ValueError("an invalid escape")
        raw = quopri.decodestring(word[3].encode("latin-1"), header=True)
    return raw.decode(charset)


def _addresses(value: str) -> list[str]:
    return [
        (angle[1] if (angle := _ANGLE.search(mailbox)) else mailbox).strip()
        for mailbox in _QUOTED.sub("", value).split(",")
        if mailbox.strip()
    ]


def _mailbox(field: Field) -> Iterator[Problem]:
    addresses = _addresses(field.value)
    count = max(len(addresses), len(_ANGLE.findall(_QUOTED.sub("", field.value))))
    if field.key in _ONE_MAILBOX and count > 1:
        yield Problem("one-mailbox", f"{field.name} holds {count} mailboxes")
        return
    for address in addresses:
        # An encoded-word in an address is reported by its own rule.
        valid = _ADDRESS.fullmatch(address)
        if not _WORD_START.search(address) and (
            not valid or len(address) > 254 or not _is_domain(valid[1])
        ):
            yield Problem("address", f"{field.name}: {address!r} is not a valid address")


def _is_domain(domain: str) -> bool:
    try:
        for label in domain.lower().split("."):
            if label.startswith("xn--"):
                label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return False
    return len(domain) <= 253


def _sender(mail: Part) -> Iterator[Problem]:
    sender, author = mail.value("sender"), mail.value("from") or ""
    if sender is not None and mail.get_all("from") and _addresses(sender) == _addresses(author):
        yield Problem("sender", "Sender repeats From")
    name = _ANGLE.sub("", decoded(author)) if "<" in author else ""
    if "@" in name:
        yield Problem("display-name", f"From: {name.strip()!r} has an @")
    if any(unicodedata.category(letter) == "So" and letter >= _PICTOGRAPHS_FROM for letter in name):
        yield Problem("display-name", f"From: {name.strip()!r} has a pictograph")


def _signature(mail: Part) -> Iterator[Problem]:
    domains = {
        tag.strip().lower()
        for field in mail.get_all("dkim-signature")
        for tag in re.findall(r"(?:^|;)\s*d\s*=\s*([^;]+)", field.value)
    }
    ours = from_domain(mail)
    if domains and not any(_aligned(ours, domain) for domain in domains):
        yield Problem("dkim-domain", f"From is of {ours}, the signature of {', '.join(domains)}")


def _aligned(domain: str, other: str) -> bool:
    """Tell whether one domain is the other or contains it; who registered them is unknown here."""
    return f".{domain}".endswith(f".{other}") or f".{other}".endswith(f".{domain}")


def _fixed_forms(mail: Part) -> Iterator[Problem]:
    message_id, date = mail.value("message-id"), mail.value("date")
    if message_id and not (_MESSAGE_ID.fullmatch(message_id) or _WORD_START.search(message_id)):
        yield Problem("message-id", f"{message_id[:80]!r} is not <dot-atom@domain>")
    if date and not (_DATE.fullmatch(date) and _is_date(date)):
        yield Problem("date", f"{date!r} is not a date with the zone +0000")
    version = mail.value("mime-version")
    if version and version != "1.0":
        yield Problem("mime-version", f"{version!r} is not 1.0")


def _is_date(text: str) -> bool:
    try:
        parsed = parsedate_to_datetime(text)
    except ValueError:
        return False
    # Some relays refuse a weekday that is not the date's.
    return "," not in text or text[:3] == _DAYS[parsed.weekday()]
