"""Defines what flow control is told of an attempt, and what it concludes from an answer. Pure."""

from typing import Final, NamedTuple

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import RowId
from mailer.notices.alert import TurnedAway
from mailer.sending.smtp.verdict import Verdict


class SenderId(NamedTuple):
    """Who a mail is from, as a relay judges it.

    Only the domain of the envelope counts: with an address for each mail, its local part says nothing.
    """

    from_address: str
    domain: str


NOBODY: Final = SenderId("", "")
"""The sender of a mail that cannot be made."""


def sender_id(from_address: str, envelope_sender: str) -> SenderId:
    """Return the sender of mails from this address, with this envelope."""
    return SenderId(from_address.lower(), envelope_sender.rpartition("@")[2].lower())


class Attempt(NamedTuple):
    """A mail under way: its row, its digest (None for a notice), and who it is from."""

    row: RowId
    digest_id: int | None
    sender: SenderId


class Conclusion(NamedTuple):
    """What follows from an answer.

    Attributes:
        verdict: what it means, given how the relay takes this sender and how often it failed on this mail.
        wait_seconds: if the mail may be to blame, how long it waits at least, so that others go first.
        pauses: what must be paused because of it.
        turned_away: set if it is a notice whose sender the relay refuses.
    """

    verdict: Verdict
    wait_seconds: float | None = None
    pauses: tuple[Pause, ...] = ()
    turned_away: TurnedAway | None = None
