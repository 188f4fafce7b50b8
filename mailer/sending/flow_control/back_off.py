"""When a mail that was turned away for now is tried again, when the relay is, and when a further connection.

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

    def longest_waits(self) -> list[timedelta]:
        """How long a mail waits at most that was attempted 0, 1, 2, … times; the last is of all after it.

        One that was never attempted is due at once: what has the relay rest does not count.
        """
        return [timedelta(), *((1 + JITTER) * wait for wait in self.waits)]


class Rest:
    """How long a relay that failed is left alone: twice as long each time, up to five minutes.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._over_at = 0.0
        self.failures = 0
        """In a row."""
        self.refusals = 0
        """In a row: failures by which the relay refuses us. `why_pause_all` says when to give up."""

    def begin(self, now: float, *, stop: bool = False) -> float | None:
        """The relay failed. What fails while it rests is the same failure.

        Args:
            stop: it refuses us, which it may do until staff mend that.

        Returns:
            For how many seconds it rests from now; None where it rests already.
        """
        if not self.is_over(now):
            return None
        self.failures += 1
        self.refusals += stop
        seconds = pause_seconds(self.failures, self._random)
        self._over_at = now + seconds
        return seconds

    def end(self) -> None:
        """The relay has answered as it should."""
        self.failures = self.refusals = 0

    def is_over(self, now: float) -> bool:
        """Whether a mail may begin, and a connection be opened."""
        return now >= self._over_at


class Ceiling:
    """How many connections the relay lets us have at once, found out by what it refuses.

    One that it refuses while others work is no sign that it is down: so many are what it allows, and
    one that ends below that number is opened anew at once. One more is tried after a wait that doubles
    up to five minutes, and where it is let in, the next one at once: the relay may allow more by now.

    All times are seconds of one monotonic clock.

    Args:
        connections: how many there may be, at least one.
        random: spreads the waits.

    Attributes:
        allowed: how many may be open; never more than `connections`.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self.allowed = connections
        self._connections = connections
        self._random = random
        self._refusals = 0
        self._try_after = 0.0

    def refuse(self, others: int, now: float) -> float | None:
        """A connection was refused while so many others were open or being opened, at least one.

        Returns:
            In how many seconds one more is tried; None where it is the same refusal as the last one,
            since connections are opened several at a time.
        """
        if others >= self.allowed and now < self._try_after:
            return None
        # One that is refused below the number may have come too early: the relay may not have noticed yet
        # that the one before it has ended. So that one is tried soon.
        self._refusals = 1 if others < self.allowed else self._refusals + 1
        self.allowed = min(others, self.allowed)
        seconds = pause_seconds(self._refusals, self._random)
        self._try_after = now + seconds
        return seconds

    def reach(self, number: int) -> bool:
        """So many are open now; whether that is more than was known to be allowed."""
        if number <= self.allowed:
            return False
        self.allowed = number
        self._refusals, self._try_after = 0, 0.0
        return True

    def room(self, now: float) -> int:
        """How many may be open once the next ones are opened."""
        return min(self._connections, self.allowed + (now >= self._try_after))


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
