"""Composes the bytes of a mail from encoded segments, fast enough to do so for each reader.

An edition is compiled once; a reader's mail is a join. Never invents a value: the same arguments give the
same bytes, so that a retry is the same mail (RFC 5322 3.6.4).
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailer.errors import BadMessage
from mailer.message.content import Content
from mailer.message.header_lines import (
    WireAddress,
    date_line,
    mailbox_line,
    printable,
    structured_line,
    text_line,
    wire_address,
)
from mailer.message.headers import READER_HEADERS, Header
from mailer.message.reader_fields import ReaderField, SplitText, split_text
from mailer.message.transfer_encoding import Body, body_text, encode_body
from mailer.tokens import MessageId

_RESERVED = {
    *("from", "to", "cc", "bcc", "sender", "subject", "date", "message-id", "reply-to"),
    *("mime-version", "content-type", "content-transfer-encoding", "content-disposition"),
    "dkim-signature",
    *(name.lower() for name in READER_HEADERS),
}
"""Headers that a content may not add: they are composed for each reader, or a mail must not have them."""

_WORD = r"[\w!#-%(-;=?-~]++"
SIMPLE = re.compile(f"(?:{_WORD}(?: {_WORD})*+)?")
"""A value that is the same in a header, in plain text and in HTML, such as almost all readers'."""


@dataclass(frozen=True, slots=True)
class CompiledMail:
    """A content, prepared as far as it is the same for all its readers.

    Attributes:
        fields: the reader fields that occur in it, and need a value.
    """

    fields: frozenset[ReaderField]
    _fixed: bytes
    _subject: SplitText
    _subject_line: bytes
    _mime: bytes
    _text: "_Part"
    _html: "_Part"
    _close: bytes

    def render(
        self,
        *,
        to: WireAddress,
        message_id: MessageId,
        date: datetime,
        headers: bytes = b"",
        fields: Mapping[ReaderField, str],
    ) -> bytes:
        """Compose one reader's mail: complete RFC 5322 bytes, 7-bit with CRLF. No line begins with a dot.

        Args:
            to: the reader's address.
            message_id: the same at every attempt.
            date: aware; the same at every attempt.
            headers: the reader's own, as `reader_headers` writes them.
            fields: a value for each of `self.fields`; escaped here for their place.

        Raises:
            BadMessage: a value is missing, or cannot stand in a header.
        """
        for missing in self.fields - fields.keys():
            raise BadMessage(f"the reader field {missing} has no value; report this as a bug")
        is_simple = all(map(SIMPLE.fullmatch, fields.values()))
        if not is_simple:
            fields = {field: printable(value) for field, value in fields.items()}
        in_text = in_html = {field: value.encode() for field, value in fields.items()}
        if not is_simple:
            in_html = {field: html.escape(value).encode() for field, value in fields.items()}
        subject = self._subject_line
        if self._subject.fields:
            subject = text_line("Subject", self._subject.fill(fields))
        return b"".join(
            [
                self._fixed,
                b"To: %b\r\n" % to.encode(),
                subject,
                date_line(date),
                b"Message-ID: %b\r\n" % message_id.encode("ascii"),
                headers,
                self._mime,
                *self._text.chunks(in_text),
                *self._html.chunks(in_html),
                self._close,
            ]
        )


def compile_mail(content: Content, headers: Sequence[Header] = ()) -> CompiledMail:
    """Encode the body of `content` and check its headers, once for all readers.

    A build calls this too, before it freezes an edition, so that nothing is refused later.

    Args:
        headers: what all readers get besides From, Subject, Reply-To and MIME headers.

    Raises:
        BadMessage: a header or a reader field is not valid.
    """
    subject = split_text(content.subject, content.marker)
    # Checked without the readers' values, so that it is refused now and not for one reader.
    subject_line = text_line("Subject", subject.fill(dict.fromkeys(ReaderField, "")))
    text = split_text(body_text(content.text), content.marker)
    page = split_text(body_text(content.html), content.marker)
    fixed = [mailbox_line("From", content.from_name, content.from_address)]
    if content.reply_to is not None:
        fixed.append(structured_line("Reply-To", wire_address(content.reply_to)))
    fixed += _lines(headers)
    # It cannot occur in quoted-printable or base64, and a retry has the same one.
    boundary = f"=_{content.marker}"
    return CompiledMail(
        fields=frozenset(subject.fields + text.fields + page.fields),
        _fixed=b"".join(fixed),
        _subject=subject,
        _subject_line=subject_line,
        _mime=(
            f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{boundary}"\r\n'
        ).encode("ascii"),
        _text=_Part.of("plain", text, boundary),
        _html=_Part.of("html", page, boundary),
        _close=f"\r\n--{boundary}--\r\n".encode("ascii"),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the mail: its headers, its encoded body, and for each gap the field and its frame."""

    head: bytes
    body: Body
    gaps: tuple[tuple[ReaderField, bytes, bytes], ...]

    @classmethod
    def of(cls, subtype: str, text: SplitText, boundary: str) -> "_Part":
        """Encode the part, ready to be joined with the readers' values."""
        body = encode_body([segment.encode() for segment in text.texts])
        head = (
            f"\r\n--{boundary}\r\n"
            f"Content-Type: text/{subtype}; charset=utf-8\r\n"
            f"Content-Transfer-Encoding: {body.encoding}\r\n\r\n"
        )
        gaps = [
            (field, before.encode(), behind.encode())
            for field, (before, behind) in zip(text.fields, text.frames, strict=True)
        ]
        return cls(head.encode("ascii"), body, tuple(gaps))

    def chunks(self, values: Mapping[ReaderField, bytes]) -> list[bytes]:
        """Encode the part for one reader, whose values are escaped already; the caller joins the chunks."""
        framed = [
            before + value + behind if (value := values[field]) else b""
            for field, before, behind in self.gaps
        ]
        return [self.head, *self.body.chunks(framed)]


def _lines(headers: Sequence[Header]) -> list[bytes]:
    names = [name.lower() for name, _ in headers]
    for (name, _), key in zip(headers, names, strict=True):
        if key in _RESERVED or names.count(key) > 1:
            raise BadMessage(f"the header {name} may occur only once in a mail; remove one")
    return [structured_line(name, value) for name, value in headers]
