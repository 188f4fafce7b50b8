"""Decides how long something that failed is left alone: twice as long each time, up to five minutes.

Pure: the clock and chance come in as arguments.
"""

from typing import Final

from mailer.sending.flow_control.retry_plan import Random, jittered

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0


class BackOff:
    """One thing that is left alone after it failed. All times are seconds of one monotonic clock.

    Attributes:
        failures: in a row.
        over_at: until when it is left alone.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self.failures = 0
        self.over_at = 0.0

    def begin(self, now: float) -> float:
        """Note that it failed. Return for how many seconds it is left alone."""
        self.failures += 1
        seconds = pause_seconds(self.failures, self._random)
        self.over_at = now + seconds
        return seconds

    def end(self) -> None:
        """Note that it works. A pause that has begun goes on."""
        self.failures = 0

    def is_over(self, now: float) -> bool:
        """Tell whether it may be tried."""
        return now >= self.over_at


def pause_seconds(failures: int, random: Random) -> float:
    """Return how long something is left alone after so many failures in a row: doubling, to 5 minutes."""
    wait = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE_SECONDS)
    return jittered(wait, random).total_seconds()


def postponed_seconds(failures: int, pause: float, random: Random) -> float:
    """Return how long a mail waits on which a relay that worked has failed so many times.

    Longer than the relay's own `pause`, so that another mail shows whether it is the relay.
    """
    return max(pause, pause_seconds(failures, random)) + FIRST_PAUSE_SECONDS
