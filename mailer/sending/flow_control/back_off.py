"""Decides how long a relay that failed is left alone, and a mail on which it failed.

Pure: chance comes in as an argument.
"""

from typing import Final

from mailer.sending.flow_control.retry_plan import Random, jittered

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0


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
    return jittered(wait, random).total_seconds()


def postponed_seconds(failures: int, pause: float, random: Random) -> float:
    """Return how long a mail waits on which a relay that worked has failed so many times.

    Longer than the relay's own `pause`, so that another mail shows whether it is the relay.
    """
    return max(pause, pause_seconds(failures, random)) + FIRST_PAUSE_SECONDS
