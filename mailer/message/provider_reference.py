"""Knows in which header each mail provider keeps what it gives back when it reports about a mail. Pure.

Amazon SES, Postmark and Brevo write a Message-ID of their own, so their reports do not name ours. Never
reads a report: what a provider's body looks like is for those who take it.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

from mailer.tokens import MailReference

KEY: Final = "reference"
"""The name under which Postmark, Mailgun and Brevo give a mail's reference back."""


class ReferenceHeader(NamedTuple):
    """A header, and what stands around the reference in it."""

    name: str
    before: str = ""
    behind: str = ""

    def value(self, reference: MailReference) -> str:
        """Write the header's value for the mail with this reference."""
        return f"{self.before}{reference}{self.behind}"


REFERENCE_HEADERS: Final = {
    # Notifications hold the headers as they were sent, up to 10 KB of them ("Amazon SNS notification
    # contents for Amazon SES"; "Amazon SES header fields" says that Message-ID is replaced).
    "ses": ReferenceHeader("X-Mailer-Reference"),
    # A map in JSON, which events and webhooks hold as user variables; several such headers are combined
    # ("Attaching Metadata to Messages"). Without a blank, so that it cannot be folded.
    "mailgun": ReferenceHeader("X-Mailgun-Variables", f'{{"{KEY}":"', '"}'),
    # At most 80 characters, which all webhooks hold as metadata; it is taken out of the mail ("Custom
    # metadata FAQ").
    "postmark": ReferenceHeader(f"X-PM-Metadata-{KEY}"),
    # One text, which webhooks hold under the header's own name ("Transactional webhooks").
    "brevo": ReferenceHeader("X-Mailin-custom", f"{KEY}:"),
}
"""The header of each provider; the pages named here are the providers' own."""


class ReferenceLines:
    """The headers of some providers as lines, prepared once, because each mail has them.

    Args:
        providers: names from `REFERENCE_HEADERS`; none makes no line.
    """

    def __init__(self, providers: Collection[str] = ()) -> None:
        mark = MailReference("\0")
        headers = [header for name, header in REFERENCE_HEADERS.items() if name in providers]
        lines = "".join(f"{header.name}: {header.value(mark)}\r\n" for header in headers)
        self._pieces = lines.encode("ascii").split(mark.encode())

    def write(self, reference: MailReference) -> bytes:
        """Write the lines for the mail with this reference."""
        return reference.encode("ascii").join(self._pieces)
