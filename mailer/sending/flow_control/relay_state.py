"""Learns how the relay takes connections and mails: how many at once, and when again after it failed.

Pure: the clock and chance come in as arguments. Logs one line for each change.
"""

import logging
import math
from typing import Final

from mailer.ledger.digest_state import Pause
from mailer.sending.flow_control.back_off import BackOff
from mailer.sending.flow_control.retry_plan import Random
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

REFUSALS_OF_US: Final = 3
"""So many in a row pause all sending: the relay may be in the middle of a change."""

BURST_SECONDS: Final = 1.0
"""A reply that asks us to slow down so soon after we did is about the mails from before."""


class RelayState:
    """How one sender finds the relay. All times are seconds of one monotonic clock.

    Three things are known of it, each with its own back-off: whether it works at all; on how many
    connections it keeps up (the throttle); and how many it lets us have at once (the ceiling).

    Args:
        connections: how many there may be, at least one.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self._connections = connections
        self._random = random
        self._why = ""
        self._failure = BackOff(random)
        self._refusals_of_us = 0
        self._throttle = connections
        self._halved_at = -math.inf
        self._accepted = 0
        self._overload = BackOff(random)
        self._ceiling = connections
        self._one_more = BackOff(random)

    @property
    def works(self) -> bool:
        """Whether it took mail, or at least answered, since it failed."""
        return not self._failure.failures

    @property
    def allowed(self) -> int:
        """How many connections may be used now; after a failure one, which shows if the relay works."""
        return min(self._throttle, self._ceiling) if self.works else 1

    @property
    def _is_slowed(self) -> bool:
        return self._throttle < self._connections or self._overload.failures > 0

    def may_begin(self, now: float) -> bool:
        """Tell whether a mail may begin, and a connection be opened for one."""
        return not self.paused_seconds(now)

    def paused_seconds(self, now: float) -> float:
        """Return for how long nothing begins."""
        return max(0.0, self._failure.over_at - now, self._overload.over_at - now)

    def room(self, now: float) -> int:
        """Return how many connections may be open after the next ones are opened."""
        if not self.works:
            return 1
        return min(self._throttle, self._ceiling + self._one_more.is_over(now))

    def why_idle(self, connections: int, now: float) -> str | None:
        """Return why nothing is sent now, or less than could be, for people to read.

        A relay that failed is named until it takes mail again, also while it is being tried.

        Args:
            connections: how many are open. Without any, a slow relay holds nothing back.
        """
        if not self.may_begin(now):
            return f"{self._why}; next try in {self.paused_seconds(now):.0f} s"
        if not self.works:
            return f"{self._why}; the next mail will try again"
        if connections and self._is_slowed:
            return f"the relay is overloaded: using {self.allowed} connections"
        return None

    def on_failed(self, reason: str, now: float, *, refuses_us: bool) -> Pause | None:
        """Note that it failed. What fails during the pause that follows is the same failure.

        Returns:
            That all sending is to be paused, if it is: only staff can end that it refuses us.
        """
        if not self._failure.is_over(now):
            return None
        self._refusals_of_us += refuses_us
        what = "refuses us" if refuses_us else "failed"
        self._pause(self._failure, f"the relay {what}: {redact(reason)}", now)
        # If staff resumed too early, it is asked as often again.
        is_to_pause = refuses_us and self._refusals_of_us % REFUSALS_OF_US == 0
        return Pause(None, self._why) if is_to_pause else None

    def on_overloaded(self, answer: str, now: float) -> None:
        """Halve the connections because it has too much to do; on the last one, pause."""
        if now < self._halved_at + BURST_SECONDS or not self._overload.is_over(now):
            return
        self._accepted = 0
        why = f"the relay is overloaded: {redact(answer)}"
        if self._throttle == 1:
            self._pause(self._overload, why, now)
            return
        self._throttle //= 2
        self._halved_at = now
        log.warning("%s; using %d connections from now on", why, self._throttle)

    def on_answered(self, now: float, *, is_sent: bool) -> None:
        """Note that it answered as it should, and perhaps took a mail.

        After one for each connection in use, another connection may be used.
        """
        # What was on its way when the relay failed says nothing about how it is since.
        if not self.works and self._failure.is_over(now):
            log.info("the relay takes mail again")
            self._failure.end()
            self._refusals_of_us = 0
        if not (is_sent and self._is_slowed):
            return
        self._overload.end()
        self._accepted += 1
        if self._throttle < self._connections and self._accepted >= self._throttle:
            self._throttle += 1
            self._accepted = 0
        if not self._is_slowed:
            log.info("the relay keeps up: all %d connections are used again", self.allowed)

    def on_connections(self, number: int) -> None:
        """Note how many connections are open now. If it lets one more in, the next is tried at once."""
        if number > self._ceiling:
            self._ceiling = number
            self._one_more = BackOff(self._random)
            log.info("the relay allows %d connections at once", number)

    def on_connection_refused(self, reason: str, others: int, now: float) -> None:
        """Note that a connection was refused while `others` (at least one) were open or being opened.

        That does not mean that the relay is down: it allows no more. One that ends below that number is
        replaced at once, and one more is tried after a while.
        """
        is_below = others < self._ceiling
        if not is_below and not self._one_more.is_over(now):
            # Several are opened at a time, so it is the same refusal.
            return
        if is_below:
            # It may have come too early: the relay may not have noticed yet that the one before it has ended.
            # So another is tried soon.
            self._ceiling = others
            self._one_more.end()
        seconds = self._one_more.begin(now)
        if is_below:
            log.warning(
                "the relay allows no more than %d connections at once: %s; one more is tried in %.0f s",
                others,
                redact(reason),
                seconds,
            )

    def _pause(self, back_off: BackOff, why: str, now: float) -> None:
        self._why, seconds = why, back_off.begin(now)
        log.warning("%s; next try in %.0f s", why, seconds)
