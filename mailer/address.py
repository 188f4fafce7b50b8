"""Parses mail addresses: whether one is valid, how it is written, and which belong to the same person.

Pure. The only module that imports email-validator, and only when there is an address to check: most commands
have none, and must not wait for it. Never looks anything up on the network: a sign-up must not wait for DNS.
"""

import unicodedata
from dataclasses import dataclass

from mailer.errors import BadAddress


@dataclass(frozen=True)
class Address:
    """A valid address.

    Attributes:
        typed: as its owner wrote it, normalised to NFC; mail is sent to this.
        key: the same for all spellings that are one person: NFKC, case-folded local part, and the domain
            as lower-case A-labels. Dots and +tags count, because only the owner's provider knows whether
            they matter.
    """

    typed: str
    key: str

    @property
    def domain(self) -> str:
        """Its domain, as lower-case A-labels."""
        return self.key.rpartition("@")[2]


def parse(text: str) -> Address:
    """Parse the address in `text`; surrounding blanks are ignored.

    Raises:
        BadAddress: it is not valid; the message says why, for the person who typed it.
    """
    from email_validator import EmailNotValidError, validate_email

    if "\ufffd" in text:
        raise BadAddress("A character in it was lost in transit.")
    try:
        valid = validate_email(text.strip(), check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise BadAddress(str(error)) from error
    local = unicodedata.normalize("NFKC", valid.local_part).casefold()
    domain = valid.ascii_domain.lower()
    return Address(typed=valid.normalized, key=f"{local}@{domain}")


def rate_key(address: Address) -> str:
    """Return the key under which mails to one person are counted for the limits on sign-ups.

    Coarser than `Address.key`: without the +tag, and without dots if the provider is known to ignore them, so
    that one inbox cannot be flooded under many spellings.
    """
    local, _, domain = address.key.rpartition("@")
    local = local.split("+", 1)[0] or local
    if domain in {"gmail.com", "googlemail.com"}:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def mask(text: str) -> str:
    """Hide all but the first letter of an address's local part, for logs."""
    local, at, domain = text.rpartition("@")
    return f"{local[:1]}***{at}{domain}" if at else "***"
