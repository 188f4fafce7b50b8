"""Mail addresses: what is valid, what is written on the envelope, what makes two the same person.

The only importer of email-validator, and that only once there is an address to check: most commands have
none, and must not wait for it. Never looks anything up on the network: a sign-up must not wait
for DNS, and only `mailer doctor` asks whether a domain takes mail.
"""

import unicodedata
from dataclasses import dataclass

from mailer.errors import BadAddress


@dataclass(frozen=True)
class Address:
    """A valid address.

    Attributes:
        typed: as its owner wrote it, normalised to NFC; mail is sent to this.
        key: decides whether two addresses are one person: NFKC, case-folded local part, and the
            domain as lower-case A-labels. Dots and +tags count, because only the owner's provider
            knows whether they matter.
    """

    typed: str
    key: str


def parse(text: str) -> Address:
    """The address in `text`, surrounding blanks ignored.

    Raises:
        BadAddress: it is none; the message says why, for the person who typed it.
    """
    from email_validator import EmailNotValidError, validate_email

    if "\ufffd" in text:
        raise BadAddress("A letter in it was lost on its way here.")
    try:
        found = validate_email(text.strip(), check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise BadAddress(str(error)) from error
    local = unicodedata.normalize("NFKC", found.local_part).casefold()
    domain = found.ascii_domain.lower()
    return Address(typed=found.normalized, key=f"{local}@{domain}")


def rate_key(address: Address) -> str:
    """The key under which mails to one person are counted when sign-ups are limited.

    Coarser than `Address.key`: a +tag is cut, and dots too where the provider is known to ignore
    them, so that one inbox cannot be flooded under many spellings.
    """
    local, _, domain = address.key.rpartition("@")
    local = local.split("+", 1)[0] or local
    if domain in {"gmail.com", "googlemail.com"}:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def mask(text: str) -> str:
    """`text` with all but the first letter of its local part hidden, for logs."""
    local, at, domain = text.rpartition("@")
    return f"{local[:1]}***{at}{domain}" if at else "***"
