"""Says which headers an operator may add to mails. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from mailer.errors import BadMessage
from mailer.message.header_lines import structured_line
from mailer.message.headers import Header
from mailer.message.provider_reference import REFERENCE_HEADERS

_OURS: Final = frozenset(
    {
        *("from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id"),
        *(
            "mime-version",
            "auto-submitted",
            "precedence",
            "feedback-id",
            "x-auto-response-suppress",
        ),
        *("list-id", "list-post", "list-help", "list-unsubscribe", "list-unsubscribe-post"),
        *("return-path", "received", "dkim-signature", "authentication-results"),
        *("delivered-to", "x-original-to", "envelope-to"),
        *(header.name.lower() for header in REFERENCE_HEADERS.values()),
    }
)
"""What the mailer writes itself, or a mail must not have, or mail servers write."""

_OUR_PREFIXES: Final = ("content-", "resent-", "arc-", "x-mailer-")


def check_extra_headers(headers: Sequence[Header]) -> None:
    """Refuse headers that may not be added to every mail.

    Raises:
        BadMessage: a name or value is not valid, or the mailer writes such a header itself.
    """
    counts = Counter(name.lower() for name, _ in headers)
    for name, value in headers:
        structured_line(name, value)
        if counts[name.lower()] > 1:
            raise BadMessage(f"the header {name} may be added only once; remove one")
        if name.lower() in _OURS or name.lower().startswith(_OUR_PREFIXES):
            raise BadMessage(
                f"the header {name} is written by the mailer or by mail servers; remove it"
            )
