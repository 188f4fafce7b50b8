"""Holds a sender back: what may begin, and what follows from each answer for the mails after it.

It is told what happened and returns what follows: it pauses, records and closes nothing itself. Its states
and rules are one table in `docs/design.md`. Pure: the clock and chance come in as arguments. Logs one line
for each change.
"""

import logging
from dataclasses import replace
from typing import Final, NamedTuple

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import RowId
from mailer.notices.alert import TurnedAway
from mailer.sending.flow_control.back_off import postponed_seconds
from mailer.sending.flow_control.breaker import Breaker
from mailer.sending.flow_control.refused_senders import RefusedSenders, SenderId
from mailer.sending.flow_control.relay_state import RelayState
from mailer.sending.flow_control.retry_plan import Random
from mailer.sending.smtp.connection import Unopened
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.verdict import OnDelivery, OnRun, Verdict, verdict_on
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

MOST_FAILURES: Final = 3
"""A mail on which a working relay has failed so often is one that it rejects."""

MOST_FAILURES_IN_ALL: Final = 10
"""The same if nothing shows that the relay works, because no other mail waits."""

_STEPS_OF_A_MAIL: Final = frozenset({Step.MAIL, Step.RCPT, Step.DATA, Step.BLOCK, Step.DOT})
_AFTER_MAIL: Final = frozenset({Step.RCPT, Step.DATA, Step.DOT})
_SUSPECTS_KEPT: Final = 100


class Attempt(NamedTuple):
    """A mail under way: its row, its digest (None for a notice), and who it is from."""

    row: RowId
    digest_id: int | None
    sender: SenderId


class Conclusion(NamedTuple):
    """What follows from an answer.

    Attributes:
        verdict: what it means, given how the relay takes this sender and how often it failed on this mail.
        wait_seconds: if the mail may be at fault, how long it waits at least, so that others go first.
        pauses: what must be paused because of it.
        turned_away: set if it is a notice whose sender the relay refuses.
    """

    verdict: Verdict
    wait_seconds: float | None = None
    pauses: tuple[Pause, ...] = ()
    turned_away: TurnedAway | None = None


class _Failures(NamedTuple):
    """How often the relay failed on one mail: while it took other mail, and in all."""

    while_working: int = 0
    in_all: int = 0


class FlowControl:
    """Holds one sender back. All times are seconds of one monotonic clock.

    Args:
        connections: to the relay, at most.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self._relay = RelayState(connections, random)
        self._senders = RefusedSenders(random)
        self._breaker = Breaker(connections)
        self._failures: dict[RowId, _Failures] = {}
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
        pause, turned_away = None, None
        if verdict.is_about_sender:
            verdict, pause, turned_away = self._on_sender_refused(
                attempt, step, verdict, answer, now
            )
        elif (
            step in _AFTER_MAIL
            and verdict.delivery is not OnDelivery.DOUBT
            and not _is_failure(verdict)
        ):
            self._senders.on_accepted(attempt.sender)
        may_be_poison = step in _STEPS_OF_A_MAIL and verdict.run is OnRun.BACK_OFF
        if may_be_poison:
            verdict = self._check_poison(attempt.row, verdict)
        failed = self._on_verdict(attempt.digest_id, verdict, answer, now)
        wait = None
        if verdict.delivery is OnDelivery.RELEASE and (verdict.is_about_sender or may_be_poison):
            wait = self._postponed_seconds(attempt.row, now)
        counted = self._breaker.note(attempt.digest_id, verdict, answer, now)
        pauses = tuple(one for one in (pause, failed, counted) if one)
        return Conclusion(verdict, wait, pauses, turned_away)

    def on_unsendable(
        self, attempt: Attempt, verdict: Verdict, reason: str, now: float
    ) -> Pause | None:
        """Note that a mail cannot be sent by us, or not to this relay, and why."""
        return self._breaker.note(attempt.digest_id, verdict, reason, now)

    def _on_sender_refused(
        self, attempt: Attempt, step: Step, verdict: Verdict, answer: str, now: float
    ) -> tuple[Verdict, Pause | None, TurnedAway | None]:
        row, digest_id, sender = attempt
        permanent = verdict.run in (OnRun.STOP, OnRun.COUNT)
        refusal = self._senders.on_refused(
            sender, digest_id, now, permanent=permanent, knew_the_reader=step is not Step.MAIL
        )
        if refusal is None:
            return replace(verdict, is_about_sender=False), None, None
        is_ours, is_too_often, seconds = refusal
        delivery, run = OnDelivery.RELEASE, OnRun.GO_ON
        pause, turned_away = None, None
        if is_ours:
            run = OnRun.STOP if permanent else OnRun.BACK_OFF
        elif seconds is not None:
            log.warning(
                "the relay refuses the sender of %s and takes others: %s; it is tried again in %.0f s",
                row if digest_id is None else f"digest {digest_id}",
                redact(answer),
                seconds,
            )
        if digest_id is None:
            tell_staff = is_too_often or (permanent and not is_ours)
            turned_away = TurnedAway(row, redact(answer) if tell_staff else None)
            if is_too_often or not is_ours:
                delivery = OnDelivery.DEFER
        elif is_too_often and not is_ours:
            reason = "the relay refuses mail from this newsletter's address, but accepts others"
            pause = Pause(digest_id, f"{reason}: {redact(answer)}")
        return Verdict(delivery, run=run, is_about_sender=True), pause, turned_away

    def _check_poison(self, row: RowId, verdict: Verdict) -> Verdict:
        """Return what becomes of a mail on which the relay failed: others must not wait for it for ever."""
        while_working, in_all = self._failures.pop(row, _Failures())
        failures = _Failures(while_working + self._relay.works, in_all + 1)
        if failures.while_working >= MOST_FAILURES or failures.in_all >= MOST_FAILURES_IN_ALL:
            return replace(verdict, delivery=OnDelivery.DEFER)
        # The mail noted last is dropped last: nothing tells us that a mail is finished.
        self._failures[row] = failures
        if len(self._failures) > _SUSPECTS_KEPT:
            del self._failures[next(iter(self._failures))]
        return verdict

    def _postponed_seconds(self, row: RowId, now: float) -> float:
        failures = self._failures.get(row, _Failures(in_all=1)).in_all
        return postponed_seconds(failures, self._relay.paused_seconds(now), self._random)

    def _on_verdict(
        self, digest_id: int | None, verdict: Verdict, answer: str, now: float
    ) -> Pause | None:
        """Note what this answer says of the relay."""
        if _is_failure(verdict):
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


def _is_failure(verdict: Verdict) -> bool:
    return verdict.run in (OnRun.BACK_OFF, OnRun.STOP)
