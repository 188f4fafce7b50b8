"""Writes the addresses to which mail about one of our mails comes back. Pure.

With an envelope sender of its own for each mail (VERP), a mail that comes back names the one it is about,
whatever its text says. Never reads one: `mailer.bounces.reading` does.
"""

from typing import Final
from urllib.parse import quote

from mailer.address import Address
from mailer.tokens import MailReference

SEPARATORS: Final = ("+", "-", "_")
"""What may stand between the mailbox and the reference: mail servers know them, no reference has one, and
a mailto URL need not escape them."""

_UNSUBSCRIBE: Final = "u."
_LONGEST_REFERENCE: Final = len("d") + 12 + len(".") + 32
"""Of a trillion mails."""

LONGEST_MAILBOX: Final = 64 - len("+") - len(_UNSUBSCRIBE) - _LONGEST_REFERENCE
"""How long the mailbox's name may be, so that no local part is too long (RFC 5321 section 4.5.3.1.1)."""

LONGEST_DOMAIN: Final = 254 - len("@") - 64
"""How long its domain may be, so that no address is too long (RFC 5321 section 4.5.3.1.3)."""


class BounceAddress:
    """The mailbox to which mails come back, and the addresses in it that each mail has of its own (VERP).

    Args:
        mailbox: its local part, ASCII, of at most `LONGEST_MAILBOX` characters.
        domain: as A-labels, of at most `LONGEST_DOMAIN` characters.
        separator: one of `SEPARATORS`, behind which the mail server of `domain` ignores what follows.

    Attributes:
        address: of the mailbox itself.
    """

    def __init__(self, mailbox: str, domain: str, separator: str = SEPARATORS[0]) -> None:
        self.address = f"{mailbox}@{domain}"
        # Prepared once, because each mail needs them.
        self._sender_start = f"{mailbox}{separator}"
        self._sender_end = f"@{domain}"
        self._url_start = f"mailto:{quote(mailbox, safe='')}{separator}{_UNSUBSCRIBE}"
        self._url_end = f"@{domain}?subject=unsubscribe"

    @classmethod
    def of(cls, address: Address, separator: str) -> "BounceAddress":
        """Make one of an address that fits."""
        return cls(address.typed.rpartition("@")[0], address.domain, separator)

    def sender(self, reference: MailReference) -> str:
        """Return the envelope's sender of the mail with this reference."""
        return f"{self._sender_start}{reference}{self._sender_end}"

    def unsubscribe_url(self, reference: MailReference) -> str:
        """Return the URL to write to, in order to unsubscribe the reader of this mail (RFC 6068)."""
        return f"{self._url_start}{reference}{self._url_end}"
