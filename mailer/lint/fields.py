"""Rules on the headers that every mail has."""

import base64
import quopri
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from mailer.lint.reading import Field, Part
from mailer.lint.rules import Problem

_REQUIRED = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version")
_SINGLE = {name.lower() for name in _REQUIRED} | {
    "sender",
    "reply-to",
    "content-type",
    "content-transfer-encoding",
    "auto-submitted",
    "precedence",
    "feedback-id",
    "x-mailer-digest",
    "x-mailer-delivery",
}
_MAILBOXES = ("from", "to", "sender", "reply-to")
_ONE_MAILBOX = ("from", "to", "sender")
_PHRASES = {*_MAILBOXES, "list-id"}
_STRUCTURED = {
    "message-id",
    "in-reply-to",
    "references",
    "date",
    "mime-version",
    "feedback-id",
    "auto-submitted",
    "precedence",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "x-mailer-digest",
    "x-mailer-delivery",
}

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = rf"{_ATOM}(?:\.{_ATOM})*"
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
_LONGEST_WORD = 75
_PICTOGRAPHS_FROM = "\u2300"


def judge_fields(mail: Part) -> Iterator[Problem]:
    """Problems with the headers that a mail has whatever it is."""
    for part in mail.whole():
        for line in part.stray:
            yield Problem("header-syntax", f"{line[:60]!r} belongs to no header")
        yield from _repeated(part)
        for field in part.fields:
            yield from _words(field)
    for name in _REQUIRED:
        if not mail.value(name.lower()):
            yield Problem("header-missing", f"there is no {name}, or it is empty")
    for name in ("cc", "bcc"):
        for field in mail.all(name):
            yield Problem("copy-header", f"there is a {field.name}")
    for name in _MAILBOXES:
        for field in mail.all(name):
            yield from _mailbox(field)
    yield from _sender(mail)
    yield from _fixed_forms(mail)


def decoded(value: str) -> str:
    """`value` with its encoded-words decoded, those that cannot be left as they are."""

    def replace(found: re.Match[str]) -> str:
        try:
            return _decode(found)
        except (ValueError, LookupError):
            return found[0]

    # Blanks between two encoded-words are no part of the text (RFC 2047 section 6.2).
    return _WORD.sub(replace, re.sub(r"(\?=)\s+(?==\?)", r"\1", value))


def from_domain(mail: Part) -> str:
    """The domain of From in lower case, or "" where it has none."""
    found = _addresses(mail.value("from") or "")
    return found[0].rpartition("@")[2].lower() if found else ""


def _repeated(part: Part) -> Iterator[Problem]:
    for key, times in Counter(field.key for field in part.fields).items():
        if times > 1 and (key in _SINGLE or key.startswith("list-")):
            yield Problem("header-repeated", f"there are {times} headers {key}")


def _words(field: Field) -> Iterator[Problem]:
    value = field.value
    starts = [found.start() for found in _WORD_START.finditer(value)]
    if starts and (
        field.key in _STRUCTURED or (field.key.startswith("list-") and field.key != "list-id")
    ):
        yield Problem("encoded-word-header", f"{field.name} holds an encoded-word")
        return
    words = {found.start(): found for found in _WORD.finditer(value)}
    sheltered = [
        found.span()
        for pattern in ((_QUOTED, _ANGLE) if field.key in _PHRASES else ())
        for found in pattern.finditer(value)
    ]
    for start in starts:
        if start not in words:
            yield Problem("encoded-word-broken", f"{field.name}: {value[start : start + 30]!r}")
        elif any(begin <= start < end for begin, end in sheltered):
            yield Problem("encoded-word-place", f"{field.name}: in a quoted-string or an address")
        else:
            yield from _word(field, words[start])


def _word(field: Field, found: re.Match[str]) -> Iterator[Problem]:
    before, after = field.value[: found.start()][-1:], field.value[found.end() :][:1]
    if before.strip(" \t(") or after.strip(" \t)"):
        yield Problem(
            "encoded-word-place", f"{field.name}: {found[0][:30]!r} touches its neighbour"
        )
    if len(found[0]) > _LONGEST_WORD:
        yield Problem("encoded-word-length", f"{field.name}: one has {len(found[0])} characters")
    try:
        text = _decode(found)
    except (ValueError, LookupError) as error:
        yield Problem("encoded-word-broken", f"{field.name}: {error}")
    else:
        if _CONTROL.search(text):
            yield Problem("header-control", f"{field.name} decodes to {text!r}")


def _decode(found: re.Match[str]) -> str:
    charset = found[1].partition("*")[0]
    if found[2] in "bB":
        raw = base64.b64decode(found[3], validate=True)
    else:
        if re.search(r"=(?![0-9A-Fa-f]{2})", found[3]):
            raise ValueError("an escape that is none")
        raw = quopri.decodestring(found[3].encode("latin-1"), header=True)
    return raw.decode(charset)


def _addresses(value: str) -> list[str]:
    bare = _QUOTED.sub("", value)
    return [
        (found[1] if (found := _ANGLE.search(mailbox)) else mailbox).strip()
        for mailbox in bare.split(",")
        if mailbox.strip()
    ]


def _mailbox(field: Field) -> Iterator[Problem]:
    found = _addresses(field.value)
    count = max(len(found), len(_ANGLE.findall(_QUOTED.sub("", field.value))))
    if field.key in _ONE_MAILBOX and count > 1:
        yield Problem("one-mailbox", f"{field.name} holds {count} mailboxes")
        return
    for address in found:
        if _WORD_START.search(address):
            # That is reported for the encoded-word.
            continue
        valid = _ADDRESS.fullmatch(address)
        if not valid or len(address) > 254 or not _is_domain(valid[1]):
            yield Problem("address", f"{field.name}: {address!r} is no address of the wire")


def _is_domain(domain: str) -> bool:
    try:
        for label in domain.lower().split("."):
            if label.startswith("xn--"):
                label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return False
    return len(domain) <= 253


def _sender(mail: Part) -> Iterator[Problem]:
    sender, author = mail.value("sender"), mail.value("from")
    if sender is not None and author is not None and _addresses(sender) == _addresses(author):
        yield Problem("sender", "Sender says what From says")
    name = _ANGLE.sub("", decoded(author or "")) if "<" in (author or "") else ""
    if "@" in name:
        yield Problem("display-name", f"From: {name.strip()!r} has an @")
    if any(unicodedata.category(letter) == "So" and letter >= _PICTOGRAPHS_FROM for letter in name):
        yield Problem("display-name", f"From: {name.strip()!r} has a pictograph")
    domains = {
        tag.strip().lower()
        for field in mail.all("dkim-signature")
        for tag in re.findall(r"(?:^|;)\s*d\s*=\s*([^;]+)", field.value)
    }
    ours = from_domain(mail)
    if domains and not any(_aligned(ours, domain) for domain in domains):
        yield Problem("dkim-domain", f"From is of {ours}, the signature of {', '.join(domains)}")


def _aligned(one: str, other: str) -> bool:
    """Whether one domain is the other, or above it; who registered what is not known here."""
    return f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")


def _fixed_forms(mail: Part) -> Iterator[Problem]:
    message_id, date = mail.value("message-id"), mail.value("date")
    if message_id and not (_MESSAGE_ID.fullmatch(message_id) or _WORD_START.search(message_id)):
        yield Problem("message-id", f"{message_id[:80]!r} is not <dot-atom@domain>")
    if date and not (_DATE.fullmatch(date) and _is_date(date)):
        yield Problem("date", f"{date!r} is no date with the zone +0000")
    version = mail.value("mime-version")
    if version and version != "1.0":
        yield Problem("mime-version", f"{version!r} is not 1.0")


def _is_date(text: str) -> bool:
    try:
        parsed = parsedate_to_datetime(text)
    except ValueError:
        return False
    # A day of the week that is not the date's is refused by some relays.
    return "," not in text or text[:3] == _DAYS[parsed.weekday()]
