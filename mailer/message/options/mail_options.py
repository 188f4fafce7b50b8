"""Holds what an installation adds to all the mails that it sends. Pure."""

from dataclasses import dataclass, field
from typing import Final

from mailer.message.headers import Header
from mailer.message.provider_reference import ReferenceLines
from mailer.message.return_address import BounceAddress


@dataclass(frozen=True)
class MailOptions:
    """What the operator has set for all mails.

    Args:
        bounce_address: where mails come back to; None: to the address that they are from.
        reference_lines: the headers that a provider gives back when it reports about a mail.
        extra_headers: what the relay asks for on digests.
        extra_headers_notice: the same on notices.
    """

    bounce_address: BounceAddress | None = None
    reference_lines: ReferenceLines = field(default_factory=ReferenceLines)
    extra_headers: tuple[Header, ...] = ()
    extra_headers_notice: tuple[Header, ...] = ()


NO_OPTIONS: Final = MailOptions()
