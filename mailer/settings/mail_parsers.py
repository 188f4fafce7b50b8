"""Parses the settings of what each mail carries: where it comes back to, and headers for the relay.

Pure: never reads or opens anything.
"""

from typing import TYPE_CHECKING

from mailer.address import Address
from mailer.errors import BadMessage
from mailer.message.return_address import LONGEST_DOMAIN, LONGEST_MAILBOX
from mailer.settings import parsers

if TYPE_CHECKING:
    from mailer.message.headers import Header


def bounce_address(text: str) -> Address:
    """Parse the mailbox for mails that come back, of which each mail's own address is made.

    Raises:
        ValueError: it is not valid, or there is no room in it for a mail's reference.
    """
    value = parsers.mail_address(text)
    mailbox = value.typed.rpartition("@")[0]
    if not mailbox.isascii():
        raise ValueError("must have only ASCII characters before the @")
    if len(mailbox) > LONGEST_MAILBOX:
        raise ValueError(
            f"must have at most {LONGEST_MAILBOX} characters before the @, because each mail's own "
            "address is longer, and RFC 5321 allows 64"
        )
    if len(value.key.rpartition("@")[2]) > LONGEST_DOMAIN:
        raise ValueError(
            f"must have at most {LONGEST_DOMAIN} characters behind the @, because each mail's own "
            "address is longer, and RFC 5321 allows 254"
        )
    return value


def extra_headers(text: str) -> "tuple[Header, ...]":
    """Parse headers for all mails: `name=value,name=value`.

    Raises:
        ValueError: one is not valid, is there twice, or is not the operator's to write.
    """
    if not text:
        return ()
    # Most commands have no header to check, and must not wait for what writes one.
    from mailer.message.options.extra_headers import check_extra_headers

    items = [item.partition("=") for item in text.split(",") if item.strip()]
    headers = tuple((name.strip(), value.strip()) for name, _, value in items)
    try:
        check_extra_headers(headers)
    except BadMessage as error:
        raise ValueError(
            f"must be headers such as X-PM-Message-Stream=broadcast,X-Mailgun-Tag=digest, but {error}"
        ) from error
    return headers


def problems(address: Address | None, separator: str) -> list[str]:
    """Say whether the separator does not fit the bounce address."""
    if address is None or separator not in address.typed.rpartition("@")[0]:
        return []
    problem = (
        f"bounce_separator {separator} must not occur in bounce_address before the @, because mail "
        "servers separate an address at the first one; use another mailbox or separator"
    )
    return [problem]
