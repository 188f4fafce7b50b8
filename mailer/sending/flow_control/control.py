"""Holds a sender back: what may begin, and what follows from each answer for the mails after it.

It is told what happened and returns what follows; it pauses, records and closes nothing itself. Its states
and rules are one table in `docs/design.md`. Pure: the clock and chance come in as arguments. Logs one line
for each change.
"""

import logging
import math
from dataclasses import replace
from typing import Final

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import RowId
from mailer.sending.flow_control.attempt import Attempt, Conclusion, SenderId
from mailer.sending.flow_control.back_off import BackOff, postponed_seconds
from mailer.sending.flow_control.breaker import Breaker
from mailer.sending.flow_control.refused_senders import RefusedSenders
from mailer.sending.flow_control.retry_plan import Random
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.verdict import OnDelivery, OnRun, Unopened, Verdict, verdict_on
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

REFUSALS_OF_US: Final = 3
"""So many in a row pause all sending: the relay may be in the middle of a change."""

BURST_SECONDS: Final = 1.0
"""A reply that asks us to slow down so soon after we did is about the mails from before."""

MOST_FAILURES: Final = 3
"""A mail on which a working relay has failed so often is one that it rejects."""

MOST_FAILURES_IN_ALL: Final = 10
"""The same if nothing shows that the relay works, because no other mail waits."""

_STEPS_OF_A_MAIL: Final = frozenset({Step.MAIL, Step.RCPT, Step.DATA, Step.BLOCK, Step.DOT})
_AFTER_MAIL: Final = frozenset({Step.RCPT, Step.DATA, Step.DOT})
_FAILURES: Final = (OnRun.BACK_OFF, OnRun.STOP)
_MAILS_KEPT: Final = 100


class FlowControl:
    """Holds one sender back. All times are seconds of one monotonic clock.

    Of the relay it knows three things, each with its own back-off: whether it works at all; on how many
    connections it keeps up (the throttle); and how many it lets us have at once (the ceiling). Senders,
    digests and single mails are counted beside.

    Args:
        connections: to the relay, at most; at least one.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self._connections = connections
        self._random = random
        self._why = ""
        self._down = BackOff(random)
        self._refusals_of_us = 0
        self._throttle = self._ceiling = connections
        self._halved_at = -math.inf
        self._accepted = 0
        self._overload = BackOff(random)
        self._one_more = BackOff(random)
        self._senders = RefusedSenders(random)
        self._breaker = Breaker(connections)
        self._failures: dict[RowId, tuple[int, int]] = {}
        """How often the relay failed on a mail, and how often of these while it took other mail."""

    # What may begin.

    @property
    def allowed(self) -> int:
        """How many connections may have a mail under way; after a failure one, to see if the relay works."""
        return min(self._throttle, self._ceiling) if self._works else 1

    @property
    def refused_addresses(self) -> frozenset[str]:
        """The From addresses, in lower case, whose last mail the relay refused."""
        return self._senders.addresses

    def may_begin(self, now: float) -> bool:
        """Tell whether a mail may begin, and a connection be opened for one."""
        return not self._paused_seconds(now)

    def room(self, now: float) -> int:
        """Return how many connections may be open after the next ones are opened."""
        if not self._works:
            return 1
        return min(self._throttle, self._ceiling + self._one_more.is_over(now))

    def admits(self, sender: SenderId, digest_id: int | None, now: float) -> bool:
        """Tell whether a mail may begin now. If the relay refuses its sender, it is a probe."""
        return self._senders.admits(sender, digest_id, now)

    def paused_digests(self, now: float) -> frozenset[int]:
        """Return the digests of which nothing is to be claimed now, as far as they are known."""
        return self._senders.paused_digests(now)

    def why_idle(self, connections: int, now: float) -> str | None:
        """Return why nothing is sent now, or less than could be, for people. Any thread may call it.

        A relay that failed is named until it takes mail again, also while it is being tried.

        Args:
            connections: how many are open. Without any, a slow relay holds nothing back.
        """
        if not self.may_begin(now):
            return f"{self._why}; next try in {self._paused_seconds(now):.0f} s"
        if not self._works:
            return f"{self._why}; the next mail will try again"
        if connections and self._is_slowed:
            return f"the relay is overloaded: using {self.allowed} connections"
        return None

    # What happened to a mail.

    def on_answer(
        self, attempt: Attempt, step: Step, verdict: Verdict, answer: str, now: float
    ) -> Conclusion:
        """Note how the relay answered for a mail at this step, or how the connection was lost.

        Args:
            verdict: what that means by itself.
            answer: what the relay said, or how it was lost.
        """
        found = Conclusion(verdict)
        if verdict.is_about_sender:
            found = self._senders.on_refused(attempt, step, verdict, answer, now)
        elif (
            step in _AFTER_MAIL
            and verdict.run not in _FAILURES
            and verdict.delivery is not OnDelivery.DOUBT
        ):
            self._senders.on_accepted(attempt.sender)
        verdict = found.verdict
        may_be_to_blame = step in _STEPS_OF_A_MAIL and verdict.run is OnRun.BACK_OFF
        if may_be_to_blame:
            verdict = self._count_failure(attempt.row, verdict)
        relay_pause = self._note_for_relay(attempt.digest_id, verdict, answer, now)
        digest_pause = self._breaker.note(attempt.digest_id, verdict, answer, now)
        wait = None
        if verdict.delivery is OnDelivery.RELEASE and (may_be_to_blame or verdict.is_about_sender):
            failures, _ = self._failures.get(attempt.row, (1, 0))
            wait = postponed_seconds(failures, self._paused_seconds(now), self._random)
        pauses = filter(None, (*found.pauses, relay_pause, digest_pause))
        return Conclusion(verdict, wait, tuple(pauses), found.turned_away)

    def on_unsendable(
        self, attempt: Attempt, verdict: Verdict, reason: str, now: float
    ) -> Pause | None:
        """Note that a mail cannot be sent by us, or not to this relay, and why."""
        return self._breaker.note(attempt.digest_id, verdict, reason, now)

    def _count_failure(self, row: RowId, verdict: Verdict) -> Verdict:
        """Return what becomes of a mail on which the relay failed: others must not wait for it for ever."""
        failures, while_working = self._failures.pop(row, (0, 0))
        failures, while_working = failures + 1, while_working + self._works
        if failures >= MOST_FAILURES_IN_ALL or while_working >= MOST_FAILURES:
            return replace(verdict, delivery=OnDelivery.DEFER)
        # The mail noted last is dropped last: nothing tells us that a mail is finished.
        self._failures[row] = failures, while_working
        if len(self._failures) > _MAILS_KEPT:
            del self._failures[next(iter(self._failures))]
        return verdict

    # What happened to connections.

    def on_lost(self, reason: str, now: float) -> None:
        """Note that a connection ended without any mail, or after its mail had ended."""
        self._on_failed(reason, now, refuses_us=False)

    def on_unopened(self, failure: Unopened, others: int, now: float) -> Pause | None:
        """Note that a connection could not be opened while `others` were open or being opened.

        Returns:
            What must be paused because of it.
        """
        stop = verdict_on(failure.step, failure.answer).run is OnRun.STOP
        # The others may have ended since, as each connection does after its last mail.
        others = max(failure.beside, others)
        if others and not stop:
            self._on_connection_refused(failure.reason, others, now)
            return None
        return self._on_failed(failure.reason, now, refuses_us=stop)

    def on_connections(self, number: int) -> None:
        """Note how many connections are open now. If it lets one more in, the next is tried at once."""
        if number > self._ceiling:
            self._ceiling = number
            self._one_more = BackOff(self._random)
            log.info("the relay allows %d connections at once", number)

    def _on_connection_refused(self, reason: str, others: int, now: float) -> None:
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

    # What is known of the relay.

    @property
    def _works(self) -> bool:
        return not self._down.failures

    @property
    def _is_slowed(self) -> bool:
        return self._throttle < self._connections or self._overload.failures > 0

    def _paused_seconds(self, now: float) -> float:
        return max(0.0, self._down.over_at - now, self._overload.over_at - now)

    def _note_for_relay(
        self, digest_id: int | None, verdict: Verdict, answer: str, now: float
    ) -> Pause | None:
        if verdict.run in _FAILURES:
            pause = self._on_failed(answer, now, refuses_us=verdict.run is OnRun.STOP)
            if pause and verdict.is_about_sender:
                return Pause(digest_id, pause.reason, self._senders.addresses)
            return pause
        if verdict.run is OnRun.SLOW_DOWN:
            self._on_overloaded(answer, now)
        elif verdict.delivery is not OnDelivery.DOUBT:
            self._on_answered(now, is_sent=verdict.delivery is OnDelivery.SENT)
        return None

    def _on_failed(self, reason: str, now: float, *, refuses_us: bool) -> Pause | None:
        """Note that it failed. What fails during the pause that follows is the same failure.

        Returns:
            That all sending is to be paused, if it is: only staff can end that it refuses us.
        """
        if not self._down.is_over(now):
            return None
        self._refusals_of_us += refuses_us
        what = "refuses us" if refuses_us else "failed"
        self._pause(self._down, f"the relay {what}: {redact(reason)}", now)
        # If staff resumed too early, it is asked as often again.
        is_to_pause = refuses_us and self._refusals_of_us % REFUSALS_OF_US == 0
        return Pause(None, self._why) if is_to_pause else None

    def _on_overloaded(self, answer: str, now: float) -> None:
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

    def _on_answered(self, now: float, *, is_sent: bool) -> None:
        """Note that it answered as it should, and perhaps took a mail.

        After one for each connection in use, another connection may be used.
        """
        # What was on its way when the relay failed says nothing about how it is since.
        if not self._works and self._down.is_over(now):
            log.info("the relay takes mail again")
            self._down.end()
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

    def _pause(self, back_off: BackOff, why: str, now: float) -> None:
        self._why, seconds = why, back_off.begin(now)
        log.warning("%s; next try in %.0f s", why, seconds)
