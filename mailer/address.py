"""Parses mail addresses: whether one is valid, how it is written, and which belong to the same person.

Pure. The only module that imports email-validator, and only when there is an address to check: most commands
have none, and must not wait for it. Never looks anything up on the network: a sign-up must not wait for DNS.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final

from mailer.errors import BadAddress

_PLAIN: Final = re.compile(
    r"[a-z0-9_+-]++(?:\.[a-z0-9_+-]++)*+@(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)++[a-z]++"
)
"""Addresses as nearly all of a long list are. A label with two hyphens in a row may be Punycode."""

_LONGEST_PLAIN: Final = 64
"""In characters: no part of so short an address is too long."""


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
    text = text.strip()
    return Address(text, text) if is_plain(text) else validated(text)


def is_plain(text: str) -> bool:
    """Tell whether `text` is an address that is its own key, and that `validated` returns as it is.

    It takes a tenth of the time, which counts in a file of a million rows.
    """
    return (
        len(text) <= _LONGEST_PLAIN
        and _PLAIN.fullmatch(text) is not None
        and not text.endswith(_special_domains())
    )


@cache
def _special_domains() -> tuple[str, ...]:
    """Return the ends of addresses at which there is no mail, such as ".test"."""
    from email_validator import SPECIAL_USE_DOMAIN_NAMES

    return tuple(f"{mark}{name}" for name in SPECIAL_USE_DOMAIN_NAMES for mark in ".@")


def validated(text: str) -> Address:
    """Parse any address as `parse` does, which spares plain ones this.

    Raises:
        BadAddress: it is not valid.
    """
    from email_validator import EmailNotValidError, validate_email

    if "\ufffd" in text:
        raise BadAddress("A character in it was lost in transit.")
    try:
        valid = validate_email(text, check_deliverability=False, strict=True)
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
