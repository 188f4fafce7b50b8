"""Defines what DNS answered, and how it is asked. Pure: the edge that asks is `mailer.doctor.dns.resolver`.

Never holds what nobody reads: texts and their number are cut, because strangers write them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

LONGEST_TEXT = 4096
"""How many characters of one record are kept: a DKIM key of 8192 bits needs 1,500."""
MOST_RECORDS = 100


class DnsStatus(Enum):
    """How a question was answered."""

    FOUND = "found"
    NO_DATA = "no such record"
    NO_DOMAIN = "no such domain"
    FAILED = "failed"


@dataclass(frozen=True)
class DnsAnswer:
    """The records of one name and type, as text; `error` says why the question FAILED.

    The strings of a TXT record are joined; an MX record is its preference, a space and its host. Host names
    are in lower case, without a dot at their end.
    """

    status: DnsStatus
    records: tuple[str, ...] = ()
    error: str = ""

    @property
    def is_void(self) -> bool:
        """Whether DNS says for certain that there is no such record (RFC 7208 section 4.6.4)."""
        return self.status in (DnsStatus.NO_DATA, DnsStatus.NO_DOMAIN)

    @property
    def failed(self) -> bool:
        """Whether nobody knows what the answer is."""
        return self.status is DnsStatus.FAILED


LookUp = Callable[[str, str], DnsAnswer]
"""Asks for a name, without a dot at its end, and a type such as "TXT". Never raises."""
