"""Decides when a mail that was deferred is tried again, and how long a relay that failed is left alone.

Pure: the clock and chance come in as arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

JITTER: Final = 0.2
"""A wait is up to this share shorter or longer, so that what failed together does not come back together."""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0

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
        at = now + _jittered(wait.total_seconds(), random)
        return None if at > first_attempt_at + self.give_up_after else at

    def longest_waits(self) -> list[timedelta]:
        """Return how long a mail waits at most that was attempted 0, 1, 2, … times, and more often.

        One that was never attempted is due at once: a pause of the relay does not count.
        """
        return [timedelta(), *((1 + JITTER) * wait for wait in self.waits)]


class BackOff:
    """Leaves a relay that failed alone: twice as long each time, up to five minutes.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._over_at = 0.0
        self.failures = 0
        """In a row."""
        self.refusals = 0
        """In a row: failures by which the relay refuses us."""

    def begin(self, now: float, *, stop: bool = False) -> float | None:
        """Note that the relay failed. What fails during a pause is the same failure.

        Args:
            stop: it refuses us, which it may do until staff mend that.

        Returns:
            For how many seconds it is left alone from now; None if it is already.
        """
        if not self.is_over(now):
            return None
        self.failures += 1
        self.refusals += stop
        seconds = pause_seconds(self.failures, self._random)
        self._over_at = now + seconds
        return seconds

    def end(self) -> None:
        """Note that the relay has answered as it should."""
        self.failures = self.refusals = 0

    def is_over(self, now: float) -> bool:
        """Tell whether a mail may begin, and a connection be opened."""
        return now >= self._over_at


def pause_seconds(failures: int, random: Random) -> float:
    """Return how long the relay is left alone after so many failures in a row: doubling, to 5 minutes."""
    wait = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE_SECONDS)
    return _jittered(wait, random).total_seconds()


def postponed_seconds(failures: int, pause: float, random: Random) -> float:
    """Return how long a mail waits on which a relay that worked has failed so many times.

    Longer than the relay's own `pause`, so that another mail shows whether it is the relay.
    """
    return max(pause, pause_seconds(failures, random)) + FIRST_PAUSE_SECONDS


def _jittered(seconds: float, random: Random) -> timedelta:
    return timedelta(seconds=seconds * (1 - JITTER + 2 * JITTER * random()))
