"""Learns how many connections at once the relay allows, from those that it refuses.

Pure: the clock and chance come in as arguments.
"""

from mailer.sending.flow_control.back_off import pause_seconds
from mailer.sending.flow_control.retry_plan import Random


class Ceiling:
    """How many connections the relay lets us have at once. All times are seconds of one monotonic clock.

    A connection that is refused while others work does not mean that the relay is down: it allows no more,
    and one that ends below that number is replaced at once. One more is tried after a wait that doubles up
    to five minutes. If it is let in, the next one is tried at once: the relay may allow more by now.

    Args:
        connections: how many there may be, at least one.

    Attributes:
        allowed: how many may be open; never more than `connections`.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self.allowed = connections
        self._connections = connections
        self._random = random
        self._refusals = 0
        self._try_after = 0.0

    def on_refused(self, others: int, now: float) -> float | None:
        """Note that a connection was refused while `others` (at least one) were open or being opened.

        Returns:
            In how many seconds one more is tried; None if it is the same refusal as the last one, since
            several connections are opened at a time.
        """
        if others >= self.allowed and now < self._try_after:
            return None
        # One that is refused below the number may have come too early: the relay may not have noticed yet
        # that the one before it has ended. So another is tried soon.
        self._refusals = 1 if others < self.allowed else self._refusals + 1
        self.allowed = min(others, self.allowed)
        seconds = pause_seconds(self._refusals, self._random)
        self._try_after = now + seconds
        return seconds

    def on_opened(self, number: int) -> bool:
        """Note that `number` are open now. Return whether that is more than was known to be allowed."""
        if number <= self.allowed:
            return False
        self.allowed = number
        self._refusals, self._try_after = 0, 0.0
        return True

    def room(self, now: float) -> int:
        """Return how many may be open after the next ones are opened."""
        return min(self._connections, self.allowed + (now >= self._try_after))
