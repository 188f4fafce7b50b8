"""Writes and reads the addresses to which mail about one of our mails comes back. Pure.

With an envelope sender of its own for each mail (VERP), a mail that comes back names the one it is about,
whatever its text says. Never decides whether a reference is ours: that needs the row it names.
"""

from typing import Final, NamedTuple

from mailer.tokens import referenced_row

SEPARATORS: Final = "+-=_"
"""What may stand between the mailbox and the reference; none of them occurs in a reference."""

_UNSUBSCRIBE: Final = "u."
_LONGEST_LOCAL_PART: Final = 320
"""Far longer than ours, because a forwarder may have put its own address around it (SRS)."""


class ReturnedTo(NamedTuple):
    """What an address says to which a mail came.

    Attributes:
        reference: of the mail that it is about, in lower case; anybody may have written it.
        is_unsubscribe: it is the address in List-Unsubscribe.
    """

    reference: str
    is_unsubscribe: bool


def read_return_address(address: str) -> ReturnedTo | None:
    """Read an address such as `bounce+d12.TAG@news.example`; None if it has no reference.

    The mailbox before the reference and the domain do not matter: they may have changed since.
    """
    local = address.rpartition("@")[0]
    if len(local) > _LONGEST_LOCAL_PART:
        return None
    start = max(map(local.rfind, SEPARATORS)) + 1
    text = local[start:].lower()
    reference = text.removeprefix(_UNSUBSCRIBE)
    if not start or referenced_row(reference) is None:
        return None
    return ReturnedTo(reference, reference != text)
