"""Decides from what came back of a digest whether staff must be warned, and whether it must stop. Pure.

Never counts: `mailer.bounces.digest_counts` does.
"""

from dataclasses import dataclass
from typing import Final

from mailer.bounces.policy import FEWEST_ATTEMPTS, FEWEST_EVENTS

COMPLAINTS_WARN: Final = 0.001
"""From this rate on mail providers think less of a sender; docs/deliverability.md names their pages."""


@dataclass(frozen=True)
class StopLimits:
    """From which share of a digest's mails on it is paused while it is being sent."""

    complaints: float = 0.003
    hard_bounces: float = 0.05


@dataclass(frozen=True)
class ReturnCounts:
    """What a digest sent, and what came back of it.

    Attributes:
        attempts: mails of which an attempt has ended for good: sent, failed or in doubt.
        sent: those that the relay took.
        hard, soft, complaints: mails of which that was reported, by the relay or later.
    """

    attempts: int
    sent: int
    hard: int
    soft: int
    complaints: int

    @property
    def hard_rate(self) -> float:
        """The share of all attempts that bounced hard."""
        return self.hard / max(self.attempts, self.hard, 1)

    @property
    def complaint_rate(self) -> float:
        """The share of the mails that the relay took about which readers complained."""
        return self.complaints / max(self.sent, self.complaints, 1)


@dataclass(frozen=True)
class DomainCounts:
    """The same for the readers of one domain."""

    domain: str
    attempts: int
    hard: int
    soft: int
    complaints: int


def most_needed(events: int, limit: float) -> int:
    """Return how many mails must be counted to know whether so many events reach `limit`.

    Returns:
        0 if there are too few events for any number of mails.
    """
    if events < FEWEST_EVENTS:
        return 0
    return max(FEWEST_ATTEMPTS, int(events / limit) + 2)


def is_reached(events: int, mails: int, limit: float) -> bool:
    """Tell whether so many events among so many mails reach `limit`; with few of either they never do."""
    if events < FEWEST_EVENTS or mails < FEWEST_ATTEMPTS:
        return False
    # A percentage is hardly ever exact as a binary fraction.
    return events >= limit * mails - 1e-6


def why_stop(counts: ReturnCounts, limits: StopLimits) -> str | None:
    """Say, in words for staff, why a digest must stop with these counts; None if it need not."""
    if is_reached(counts.hard, counts.attempts, limits.hard_bounces):
        return (
            f"{counts.hard} of {counts.attempts} mails bounced for good "
            f"({percent(counts.hard_rate)}; `stop_at_hard_bounces` is {percent(limits.hard_bounces)}): "
            "look at the reasons before you go on, the addresses may be old or the sender blocked"
        )
    if is_reached(counts.complaints, counts.sent, limits.complaints):
        return (
            f"{counts.complaints} readers of {counts.sent} reported it as spam "
            f"({percent(counts.complaint_rate)}; `stop_at_complaints` is {percent(limits.complaints)}): "
            "find out who did not expect it before you go on, mail providers may block the rest"
        )
    return None


def percent(rate: float) -> str:
    """Write a share such as "0.3%", with at most two digits after the point."""
    return f"{rate * 100:.2f}".rstrip("0").rstrip(".") + "%"
