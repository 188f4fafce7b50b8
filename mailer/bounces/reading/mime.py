"""Takes a mail apart into its parts, however broken or hostile it is, within bounds.

Never recurses, and never looks at more than the head of a mail: what was returned at its end may be cut.
"""

from dataclasses import dataclass
from typing import Final

from mailer.bounces.reading.fields import HeaderFields, parse_value, split_header
from mailer.bounces.reading.texts import decode, html_to_text, plain, transfer_decode

LONGEST_READ: Final = 1024 * 1024
"""How many bytes of a mail are read."""
_MOST_PARTS: Final = 100
_DEEPEST: Final = 8
_LONGEST_TEXT: Final = 200_000
_LONGEST_BOUNDARY: Final = 200
_LONGEST_PREAMBLE: Final = 500


@dataclass(frozen=True)
class MimePart:
    """A part that is not multipart; for a mail within the mail, its header is the part's `mail`.

    Attributes:
        is_returned: whether it is, or stands within, a mail within the mail.
        mail: the header of the mail that this part is; None if it is none.
    """

    fields: HeaderFields
    content_type: str
    parameters: dict[str, str]
    raw_body: str
    is_returned: bool
    mail: HeaderFields | None = None

    def text(self) -> str:
        """Return the body as text, cut; markup is removed."""
        raw = transfer_decode(
            self.raw_body[: 2 * _LONGEST_TEXT], self.fields.get("content-transfer-encoding")
        )
        text = decode(raw, self.parameters.get("charset", "")).replace("\r\n", "\n")
        if self.content_type == "text/html" or _looks_like_html(text):
            text = html_to_text(text)
        return plain(text)[:_LONGEST_TEXT]


@dataclass(frozen=True)
class ReadMail:
    """A mail's header and its parts in order."""

    fields: HeaderFields
    content_type: str
    parameters: dict[str, str]
    parts: tuple[MimePart, ...]


def read_mail(raw: bytes) -> ReadMail:
    """Take the head of a mail apart."""
    text = raw[:LONGEST_READ].decode("latin-1")
    text = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")
    text = text.removeprefix("\xef\xbb\xbf").lstrip()
    if text.startswith(("From ", ">From ")):
        # The line with which a file in mbox format begins a mail.
        text = text.partition("\n")[2]
    fields, body = split_header(text)
    content_type, parameters = _content_type(fields, "text/plain")
    return ReadMail(fields, content_type, parameters, tuple(_parts(fields, body)))


@dataclass(frozen=True)
class _Unread:
    fields: HeaderFields
    body: str
    default: str
    depth: int = 0
    is_returned: bool = False


def _parts(fields: HeaderFields, body: str) -> list[MimePart]:
    parts: list[MimePart] = []
    waiting = [_Unread(fields, body, "text/plain")]
    while waiting and len(parts) < _MOST_PARTS:
        unread = waiting.pop()
        content_type, parameters = _content_type(unread.fields, unread.default)
        inner: list[_Unread] = []
        mail: HeaderFields | None = None
        if unread.depth < _DEEPEST:
            if content_type in _MAILS:
                mail, inner = _inside_mail(unread)
            else:
                inner = _inside_multipart(unread, content_type, parameters)
        if mail is not None or not inner:
            # A multipart without any boundary is text that has lost its form.
            lost = content_type.startswith("multipart")
            parts.append(
                MimePart(
                    unread.fields,
                    "text/plain" if lost else content_type,
                    parameters,
                    unread.body,
                    unread.is_returned or mail is not None,
                    mail,
                )
            )
        waiting.extend(reversed(inner))
    return parts


_MAILS: Final = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers",
     "message/partial", "text/rfc822", "message/rfc822-headers"}
)  # fmt: skip


def _inside_mail(unread: _Unread) -> tuple[HeaderFields, list[_Unread]]:
    encoding = unread.fields.get("content-transfer-encoding").lower()
    body = unread.body
    if encoding.startswith(("base64", "quoted")):
        # RFC 2046 section 5.2.1 forbids it, and some do it.
        body = transfer_decode(body, encoding).decode("latin-1").replace("\r\n", "\n")
    fields, inner_body = split_header(body.lstrip("\n"))
    if not parse_value(fields.get("content-type"))[0].startswith("multipart"):
        return fields, []
    return fields, [_Unread(fields, inner_body, "text/plain", unread.depth + 1, is_returned=True)]


def _inside_multipart(
    unread: _Unread, content_type: str, parameters: dict[str, str]
) -> list[_Unread]:
    if not content_type.startswith("multipart") and not _seems_multipart(unread):
        return []
    default = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
    boundary = parameters.get("boundary", "")[:_LONGEST_BOUNDARY].rstrip()
    bodies = _split(unread.body, boundary) if boundary else []
    if not bodies:
        guessed = _guess_boundary(unread.body)
        bodies = _split(unread.body, guessed) if guessed else []
    return [
        _Unread(*split_header(body), default, unread.depth + 1, unread.is_returned)
        for body in bodies
    ]


def _seems_multipart(unread: _Unread) -> bool:
    """Tell whether a mail has lost the field that would say so."""
    if unread.depth or "content-type" in unread.fields:
        return False
    before = unread.body[: max(0, unread.body.find("\n--"))]
    # A text for people stands before the boundary of the mail that it returns.
    return "\n--" in "\n" + unread.body and "@" not in before and len(before) < _LONGEST_PREAMBLE


def _split(body: str, boundary: str) -> list[str]:
    delimiter = "\n--" + boundary
    text = "\n" + body
    bodies: list[str] = []
    at = text.find(delimiter)
    while at >= 0 and len(bodies) < _MOST_PARTS:
        begin = text.find("\n", at + len(delimiter))
        if begin < 0 or text.startswith("--", at + len(delimiter)):
            # Behind the last delimiter some put the mail that they return.
            rest = text[begin + 1 :] if begin >= 0 else ""
            if rest.strip() and bodies:
                bodies.append("Content-Type: text/plain\n\n" + rest)
            break
        following = text.find(delimiter, begin)
        bodies.append(text[begin + 1 : following if following >= 0 else len(text)])
        at = following
    return bodies


def _guess_boundary(body: str) -> str:
    """Return the boundary that a line followed by a field of MIME names, or an empty string."""
    at = 0 if body.startswith("--") else body.find("\n--") + 1
    for _ in range(20):
        end = body.find("\n", at)
        if end < 0 or not body.startswith("--", at):
            return ""
        if body[end + 1 : end + 9].lower() == "content-":
            return body[at + 2 : end].rstrip()[:_LONGEST_BOUNDARY]
        at = body.find("\n--", end) + 1
        if not at:
            return ""
    return ""


def _content_type(fields: HeaderFields, default: str) -> tuple[str, dict[str, str]]:
    content_type, parameters = parse_value(fields.get("content-type"))
    return (content_type if "/" in content_type else default), parameters


def _looks_like_html(text: str) -> bool:
    head = text[:2_000].lstrip().lower()
    return head.startswith(("<html", "<!doctype html", "<body", "<p>", "<div"))
