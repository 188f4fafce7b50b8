"""Compiles the content of an edition or a notice, once for all its mails. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from mailer.errors import BadMessage
from mailer.message.compose import CompiledMail, compile_mail
from mailer.message.content import Content
from mailer.message.header_lines import wire_address
from mailer.message.headers import Header
from mailer.message.options.mail_options import NO_OPTIONS, MailOptions
from mailer.models import FrozenContent, Notice, NoticeKind
from mailer.sending.flow_control.attempt import NOBODY, SenderId, sender_id


@dataclass(frozen=True, slots=True)
class CompiledContent:
    """A content that is compiled, or the reason why it could not be.

    Attributes:
        sender: the envelope's, unless each mail has its own; its domain is the Message-ID's.
        sender_id: what refusals of the sender are counted by.
    """

    content: Content
    mail: CompiledMail | None = None
    fault: str = ""
    sender: str = ""
    sender_id: SenderId = NOBODY


UNREADABLE = CompiledContent(
    Content("en", "", "", None, "", "", "", ""),
    fault="a value of its content cannot be read; correct it in the database",
)
"""The content of a mail whose rows hold a value that does not fit its column's type."""


def content_of(row: FrozenContent) -> Content:
    """Return the frozen content of an edition or a notice."""
    return Content(**{field.name: getattr(row, field.name) for field in fields(Content)})


def compile_content(
    row: FrozenContent,
    headers: Callable[[], Sequence[Header]],
    options: MailOptions = NO_OPTIONS,
) -> CompiledContent:
    """Compile the content of this row. A fault in it, or in its headers, is part of the result.

    Args:
        options: what the operator has set for all mails.
    """
    content = content_of(row)
    try:
        mail = compile_mail(content, [*headers(), *_extra_headers(row, options)])
        sender = wire_address(content.from_address)
        envelope = options.bounce_address.address if options.bounce_address else sender
        return CompiledContent(
            content, mail, sender=sender, sender_id=sender_id(content.from_address, envelope)
        )
    except BadMessage as error:
        return CompiledContent(content, fault=str(error))


def _extra_headers(row: FrozenContent, options: MailOptions) -> tuple[Header, ...]:
    # A test copy shows what the relay does with a digest.
    if isinstance(row, Notice) and row.kind is not NoticeKind.TEST:
        return options.extra_headers_notice
    return options.extra_headers
