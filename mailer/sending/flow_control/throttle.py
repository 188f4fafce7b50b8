"""Decides how many connections are used while the relay is overloaded.

Pure: the clock and chance come in as arguments.
"""

from typing import Final

from mailer.sending.flow_control.back_off import pause_seconds
from mailer.sending.flow_control.retry_plan import Random

BURST_SECONDS: Final = 1.0
"""A reply that asks us to slow down so soon after we did is about the mails from before."""


class Throttle:
    """Uses fewer connections when the relay is overloaded, and gradually all of them again.

    All times are seconds of one monotonic clock.

    Args:
        connections: how many there may be, at least one.

    Attributes:
        allowed: on how many connections a mail may be under way now.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self.allowed = connections
        self._connections = connections
        self._random = random
        self._accepted = 0
        self._pauses = 0
        self._ignore_until = 0.0
        self._begin_after = 0.0

    @property
    def is_slowed(self) -> bool:
        """Whether mail goes out more slowly than the settings allow."""
        return self.allowed < self._connections or self._pauses > 0

    def slow_down(self, now: float) -> float:
        """Halve the connections because the relay has too much to do; on the last one, pause.

        Returns:
            For how many seconds no mail is to begin: twice as long each time, 0 if there is no pause.
        """
        if now < self._ignore_until:
            return 0.0
        self._accepted = 0
        if self.allowed > 1:
            self.allowed //= 2
            self._ignore_until = now + BURST_SECONDS
            return 0.0
        self._pauses += 1
        seconds = pause_seconds(self._pauses, self._random)
        self._ignore_until = self._begin_after = now + seconds
        return seconds

    def on_accepted(self) -> None:
        """Note that the relay took a mail. After one for each connection in use, another one may be used."""
        self._pauses = 0
        if self.allowed == self._connections:
            return
        self._accepted += 1
        if self._accepted >= self.allowed:
            self.allowed += 1
            self._accepted = 0

    def may_begin(self, now: float) -> bool:
        """Tell whether there is no pause now."""
        return now >= self._begin_after
