"""Decides when bounces suppress a reader. Pure.

| what came back | what follows |
|---|---|
| a hard bounce | suppressed at once, unless so much of that digest bounced that the fault must be ours |
| refusals by the relay of all mails of a digest, or of so many in a row that it was paused | nothing |
| soft bounces of five digests, on five days, over two weeks, with no mail that arrived between | suppressed |
| soft bounces of a digest of which too much bounced softly | nothing |
| a refusal that is about the mail, the sender or the hosts | nothing, however often |

Never knows where bounces are stored; `mailer.bounces.effects` does what follows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from mailer.bounces.reasons import AGAINST_READER, BounceKind

ONE_OF: Final = 20
"""If more than one mail in so many of a digest bounces the same way, that suppresses nobody: over 5 %."""

FEWEST_ATTEMPTS: Final = 200
FEWEST_EVENTS: Final = 3
"""With fewer attempts or events a rate says nothing."""

SOFT_DAYS: Final = 5
"""So many digests, of different days, must have bounced softly."""

SOFT_SPAN: Final = timedelta(days=14)
"""And the last of them so many days after the first."""

ARRIVED_AFTER: Final = timedelta(days=5)
"""A mail has arrived if nothing came back in the time that mail servers keep trying (RFC 5321 section
4.5.4.1)."""

HARD_REASONS: Final = frozenset(
    reason for reason in AGAINST_READER if reason.kind is BounceKind.HARD
)
SOFT_REASONS: Final = frozenset(
    reason for reason in AGAINST_READER if reason.kind is BounceKind.SOFT
)


def attempts_that_acquit(bounced: int) -> int:
    """Return from how many attempts on so many bounces are those of single readers; 0: always."""
    enough = bounced * ONE_OF
    return enough if bounced >= FEWEST_EVENTS and enough > FEWEST_ATTEMPTS else 0


def is_at_fault(bounced: int, attempts: int) -> bool:
    """Tell whether so much of a digest bounced, all hard or all soft, that it cannot be the mailboxes."""
    return FEWEST_ATTEMPTS <= attempts < attempts_that_acquit(bounced)


def relay_is_at_fault(refused: int, sent: int) -> bool:
    """Tell whether the relay refuses all mails of a digest, so that it cannot be the readers' mailboxes.

    Args:
        refused: those that it refused for good, as if the reader's mailbox were gone.
    """
    return refused >= FEWEST_EVENTS and sent == 0


def soft_bounces_suppress(
    bounced: Sequence[datetime], arrived: Sequence[datetime], now: datetime
) -> bool:
    """Tell whether these mails to one reader show that the mailbox is given up.

    Args:
        bounced: when the mails were sent that bounced softly and speak against the reader, in UTC.
        arrived: when those were sent of which nothing came back.
        now: a mail that was sent a short time ago, after the last bounce, may still come back.
    """
    if not bounced:
        return False
    last = max(bounced)
    reset = max(
        (sent for sent in arrived if sent < last or now - sent >= ARRIVED_AFTER),
        default=None,
    )
    days = {sent.date() for sent in bounced if reset is None or sent > reset}
    return len(days) >= SOFT_DAYS and max(days) - min(days) >= SOFT_SPAN
