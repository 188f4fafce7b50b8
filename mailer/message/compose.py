"""Composes the bytes of a mail from encoded segments, fast enough to do so for each reader.

An edition is compiled once; a reader's mail is a join. Never invents a value: the same arguments give the
same bytes, so that a retry is the same mail (RFC 5322 3.6.4).
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from mailer.errors import BadMessage
from mailer.message.content import Content
from mailer.message.header_lines import (
    date_line,
    mailbox_line,
    message_id_line,
    printable,
    structured_line,
    text_line,
    to_line,
    wire_address,
)
from mailer.message.headers import Header
from mailer.message.reader_fields import ReaderField, SplitText, split_text
from mailer.message.transfer_encoding import Body, body_text, encode_body

_RESERVED = {
    *("from", "to", "cc", "bcc", "sender", "subject", "date", "message-id", "reply-to"),
    *("mime-version", "content-type", "content-transfer-encoding", "content-disposition"),
}
"""Headers that no caller may add: they are composed here, or a mail must not have them."""


@dataclass(frozen=True, slots=True)
class CompiledMail:
    """A content, prepared as far as it is the same for all its readers.

    Attributes:
        fields: the reader fields that occur in it, and need a value.
    """

    fields: frozenset[ReaderField]
    _fixed: bytes
    _names: frozenset[str]
    _subject: SplitText
    _subject_line: bytes
    _mime: bytes
    _text: "_Part"
    _between: bytes
    _html: "_Part"
    _close: bytes

    def render(
        self,
        *,
        to: str,
        message_id: str,
        date: datetime,
        headers: Sequence[Header] = (),
        fields: Mapping[ReaderField, str],
        utf8: bool = False,
    ) -> bytes:
        """Compose one reader's mail: complete RFC 5322 bytes, 7-bit with CRLF, not dot-stuffed.

        Args:
            to: the reader's address as they typed it.
            message_id: `<dot-atom@domain>`, the same at every attempt.
            date: aware; the same at every attempt.
            headers: the reader's own, such as List-Unsubscribe.
            fields: a value for each of `self.fields`; escaped here for their place.
            utf8: the relay offers SMTPUTF8, so that the local part of `to` need not be ASCII.

        Raises:
            NeedsSmtputf8: `to` needs SMTPUTF8, and `utf8` is false.
            BadMessage: a value is missing, or cannot stand in a header.
        """
        try:
            values = {field: printable(fields[field]) for field in self.fields}
        except KeyError as missing:
            raise BadMessage(
                f"the reader field {missing.args[0]} has no value; report this as a bug"
            ) from None
        subject = self._subject_line
        if self._subject.fields:
            subject = text_line("Subject", self._subject.fill(values))
        return b"".join(
            [
                self._fixed,
                to_line(to, utf8=utf8),
                subject,
                date_line(date),
                message_id_line(message_id),
                _lines(headers, self._names),
                self._mime,
                *self._text.chunks(values),
                self._between,
                *self._html.chunks({field: html.escape(value) for field, value in values.items()}),
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
    fixed.append(_lines(headers, frozenset()))
    # It cannot occur in quoted-printable or base64, and a retry has the same one.
    boundary = f"=_{content.marker}"
    return CompiledMail(
        fields=frozenset(subject.fields + text.fields + page.fields),
        _fixed=b"".join(fixed),
        _names=frozenset(name.lower() for name, _ in headers),
        _subject=subject,
        _subject_line=subject_line,
        _mime=(
            "MIME-Version: 1.0\r\n"
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n'
            f"\r\n--{boundary}\r\n"
        ).encode("ascii"),
        _text=_Part.of("plain", text),
        _between=f"\r\n--{boundary}\r\n".encode("ascii"),
        _html=_Part.of("html", page),
        _close=f"\r\n--{boundary}--\r\n".encode("ascii"),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the mail: its headers, its encoded body, and the text that this was made from."""

    head: bytes
    body: Body
    text: SplitText

    @classmethod
    def of(cls, subtype: str, text: SplitText) -> "_Part":
        """Encode the part, ready to be joined with the readers' values."""
        body = encode_body([segment.encode() for segment in text.texts])
        head = (
            f"Content-Type: text/{subtype}; charset=utf-8\r\n"
            f"Content-Transfer-Encoding: {body.encoding}\r\n\r\n"
        )
        return cls(head.encode("ascii"), body, text)

    def chunks(self, values: Mapping[ReaderField, str]) -> list[bytes]:
        """Encode the part for one reader, whose values are escaped already; the caller joins the chunks."""
        framed = [value.encode() for value in self.text.framed(values)]
        return [self.head, *self.body.chunks(framed)]


def _lines(headers: Sequence[Header], taken: frozenset[str]) -> bytes:
    _check_names(tuple(name for name, _ in headers), taken)
    return b"".join([structured_line(name, value) for name, value in headers])


@lru_cache(maxsize=64)
def _check_names(names: tuple[str, ...], taken: frozenset[str]) -> None:
    # Cached, because all readers of an edition have the same names.
    seen = set(taken)
    for name in names:
        key = name.lower()
        if key in _RESERVED or key in seen:
            raise BadMessage(f"the header {name} may occur only once in a mail; remove one")
        seen.add(key)
