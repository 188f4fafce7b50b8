"""When a mail that was turned away for now is tried again, and when the relay is.

Pure: the clock and chance come in as arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

JITTER = 0.2
"""A wait is up to this share shorter or longer, so that what failed together does not come together."""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0

Random = Callable[[], float]
"""Returns a number from 0 up to, but not including, 1."""


@dataclass(frozen=True)
class RetryPlan:
    """How long to wait after each attempt; the last wait repeats until `give_up_after` is over."""

    waits: tuple[timedelta, ...]
    give_up_after: timedelta

    def next_attempt(
        self, attempts: int, first_attempt_at: datetime, now: datetime, random: Random
    ) -> datetime | None:
        """When to try again after the attempt number `attempts` (from 1); None: give up.

        It is given up when the next attempt would be later than `give_up_after` after the first.
        """
        wait = self.waits[min(attempts, len(self.waits)) - 1]
        at = now + _jittered(wait.total_seconds(), random)
        return None if at > first_attempt_at + self.give_up_after else at


class Rest:
    """How long a relay that failed is left alone: twice as long each time, up to five minutes.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._open_after = 0.0
        self._begin_after = 0.0
        self.failures = 0
        """In a row."""
        self.refusals = 0
        """In a row: failures by which the relay refuses us. `mailer.delivery.pace` says when to give up."""

    def begin(self, now: float, *, stop: bool = False, only_opening: bool = False) -> float | None:
        """The relay failed. What fails while it rests is the same failure.

        Args:
            stop: it refuses us, which it may do until staff mend that.
            only_opening: other connections work, only no further one can be opened.

        Returns:
            For how many seconds it rests from now; None where it rests already.
        """
        if now < (self._open_after if only_opening else self._begin_after):
            return None
        self.failures += 1
        self.refusals += stop
        seconds = pause_seconds(self.failures, self._random)
        self._open_after = now + seconds
        if not only_opening:
            self._begin_after = now + seconds
        return seconds

    def end(self) -> None:
        """The relay has answered as it should."""
        self.failures = self.refusals = 0

    def may_open(self, now: float) -> bool:
        """Whether a connection may be opened."""
        return now >= self._open_after

    def may_begin(self, now: float) -> bool:
        """Whether a mail may begin on a connection that is open."""
        return now >= self._begin_after


def pause_seconds(failures: int, random: Random) -> float:
    """How long the relay is left alone after it failed so many times in a row: doubling, to 5 minutes."""
    wait = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE_SECONDS)
    return _jittered(wait, random).total_seconds()


def postponed_seconds(failures: int, rest_seconds: float, random: Random) -> float:
    """How long a mail waits at which a relay that was well has failed so many times.

    Longer than the relay rests: so another mail shows whether it is the relay.
    """
    return max(rest_seconds, pause_seconds(failures, random)) + FIRST_PAUSE_SECONDS


def _jittered(seconds: float, random: Random) -> timedelta:
    return timedelta(seconds=seconds * (1 - JITTER + 2 * JITTER * random()))
