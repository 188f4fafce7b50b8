"""Holds a sender back: what may begin, and what follows from each answer for the mails after it.

It is told what happened and returns what follows; it pauses, records and closes nothing itself. Its states
and rules are one table in `docs/design.md`. Pure: the clock and chance come in as arguments.
"""

from dataclasses import replace
from typing import Final

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import RowId
from mailer.sending.flow_control.attempt import Attempt, Conclusion, SenderId
from mailer.sending.flow_control.back_off import postponed_seconds
from mailer.sending.flow_control.breaker import Breaker
from mailer.sending.flow_control.refused_senders import RefusedSenders
from mailer.sending.flow_control.relay_state import RelayState
from mailer.sending.flow_control.retry_plan import Random
from mailer.sending.smtp.connection import Unopened
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.verdict import OnDelivery, OnRun, Verdict, verdict_on

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

    Args:
        connections: to the relay, at most.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self._relay = RelayState(connections, random)
        self._senders = RefusedSenders(random)
        self._breaker = Breaker(connections)
        self._failures: dict[RowId, tuple[int, int]] = {}
        """How often the relay failed on a mail, and how often of these while it took other mail."""
        self._random = random

    # What may begin.

    @property
    def allowed(self) -> int:
        """How many connections may have a mail under way now."""
        return self._relay.allowed

    @property
    def refused_addresses(self) -> frozenset[str]:
        """The From addresses, in lower case, whose last mail the relay refused."""
        return self._senders.addresses

    def may_begin(self, now: float) -> bool:
        """Tell whether a mail may begin, and a connection be opened for one."""
        return self._relay.may_begin(now)

    def room(self, now: float) -> int:
        """Return how many connections may be open after the next ones are opened."""
        return self._relay.room(now)

    def admits(self, sender: SenderId, digest_id: int | None, now: float) -> bool:
        """Tell whether a mail may begin now. If the relay refuses its sender, it is a probe."""
        return self._senders.admits(sender, digest_id, now)

    def paused_digests(self, now: float) -> frozenset[int]:
        """Return the digests of which nothing is to be claimed now, as far as they are known."""
        return self._senders.paused_digests(now)

    def why_idle(self, connections: int, now: float) -> str | None:
        """Return why nothing is sent now, or less than could be, for people. May be called by any thread."""
        return self._relay.why_idle(connections, now)

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
        may_be_at_fault = step in _STEPS_OF_A_MAIL and verdict.run is OnRun.BACK_OFF
        if may_be_at_fault:
            verdict = self._count_failure(attempt.row, verdict)
        relay_pause = self._note_for_relay(attempt.digest_id, verdict, answer, now)
        digest_pause = self._breaker.note(attempt.digest_id, verdict, answer, now)
        wait = None
        if verdict.delivery is OnDelivery.RELEASE and (may_be_at_fault or verdict.is_about_sender):
            failures, _ = self._failures.get(attempt.row, (1, 0))
            wait = postponed_seconds(failures, self._relay.paused_seconds(now), self._random)
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
        failures, while_working = failures + 1, while_working + self._relay.works
        if failures >= MOST_FAILURES_IN_ALL or while_working >= MOST_FAILURES:
            return replace(verdict, delivery=OnDelivery.DEFER)
        # The mail noted last is dropped last: nothing tells us that a mail is finished.
        self._failures[row] = failures, while_working
        if len(self._failures) > _MAILS_KEPT:
            del self._failures[next(iter(self._failures))]
        return verdict

    def _note_for_relay(
        self, digest_id: int | None, verdict: Verdict, answer: str, now: float
    ) -> Pause | None:
        if verdict.run in _FAILURES:
            pause = self._relay.on_failed(answer, now, refuses_us=verdict.run is OnRun.STOP)
            if pause and verdict.is_about_sender:
                return Pause(digest_id, pause.reason, self._senders.addresses)
            return pause
        if verdict.run is OnRun.SLOW_DOWN:
            self._relay.on_overloaded(answer, now)
        elif verdict.delivery is not OnDelivery.DOUBT:
            self._relay.on_answered(now, is_sent=verdict.delivery is OnDelivery.SENT)
        return None

    # What happened to connections.

    def on_lost(self, reason: str, now: float) -> None:
        """Note that a connection ended without any mail, or after its mail was concluded."""
        self._relay.on_failed(reason, now, refuses_us=False)

    def on_unopened(self, failure: Unopened, others: int, now: float) -> Pause | None:
        """Note that a connection could not be opened while `others` were open or being opened.

        Returns:
            What must be paused because of it.
        """
        stop = verdict_on(failure.step, failure.answer).run is OnRun.STOP
        # The others may have ended since, as each connection does after its last mail.
        others = max(failure.beside, others)
        if others and not stop:
            self._relay.on_connection_refused(failure.reason, others, now)
            return None
        return self._relay.on_failed(failure.reason, now, refuses_us=stop)

    def on_connections(self, number: int) -> None:
        """Note how many connections are open now."""
        self._relay.on_connections(number)
