"""Says what every mailbox can do: give its unread mails, and settle those that were taken in.

Never records anything. A mail leaves its mailbox only in `settle`, after what it reports is committed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

BATCH: Final = 20
"""How many mails are read at once, taken in, and then removed."""


@dataclass(frozen=True)
class UnreadMail:
    """A mail in a mailbox.

    Attributes:
        id: by which the mailbox finds it again.
        raw: its first bytes, at most `LONGEST_READ`.
    """

    id: str
    raw: bytes = field(repr=False)


class OpenMailbox(Protocol):
    """A mailbox that is open."""

    def batches(self) -> Iterator[Sequence[UnreadMail]]:
        """Yield the unread mails, a few at a time; each mail once."""

    def settle(self, *, remove: Sequence[str], leave: Sequence[str]) -> None:
        """Remove the mails that are recorded, and mark as read those that say nothing to us."""
