"""Decides when a mail that was deferred is tried again: the table of waits, and when to give up.

Pure: the clock and chance come in as arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

JITTER: Final = 0.2
"""A wait is up to this share shorter or longer, so that what failed together does not come back together."""

Random = Callable[[], float]
"""Returns a number from 0 up to, but not including, 1. Spreads waits and pauses."""


@dataclass(frozen=True)
class RetryPlan:
    """How long to wait after each attempt; the last wait repeats until `give_up_after` is over."""

    waits: tuple[timedelta, ...]
    give_up_after: timedelta

    def next_attempt(
        self, attempts: int, first_attempt_at: datetime, now: datetime, random: Random
    ) -> datetime | None:
        """Return when to try again after the attempt number `attempts` (from 1); None: give up.

        Gives up if the next attempt would be later than `give_up_after` after the first.
        """
        wait = self.waits[min(attempts, len(self.waits)) - 1]
        at = now + jittered(wait.total_seconds(), random)
        return None if at > first_attempt_at + self.give_up_after else at

    def longest_waits(self) -> list[timedelta]:
        """Return how long a mail waits at most that was attempted 0, 1, 2, … times, and more often.

        One that was never attempted is due at once: a pause of the relay does not count.
        """
        return [timedelta(), *((1 + JITTER) * wait for wait in self.waits)]


def jittered(seconds: float, random: Random) -> timedelta:
    return timedelta(seconds=seconds * (1 - JITTER + 2 * JITTER * random()))
