"""Holds a sender back: back-off of a relay that failed, ceiling, throttle, breaker, and refused senders.

The loop asks here before it begins a mail or opens a connection, and reports how every attempt ended.
Pure: the clock and chance come in as arguments. Counts, and logs one line for each change; it never pauses
anything itself.
"""

import logging
from dataclasses import replace
from typing import Final, NamedTuple

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import Claim, RowId
from mailer.notices.alert import TurnedAway
from mailer.sending.flow_control.back_off import BackOff, postponed_seconds
from mailer.sending.flow_control.breaker import Breaker
from mailer.sending.flow_control.ceiling import Ceiling
from mailer.sending.flow_control.refused_senders import Blame, RefusedSenders, SenderId
from mailer.sending.flow_control.retry_plan import Random
from mailer.sending.flow_control.throttle import Throttle
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.verdict import OnDelivery, OnRun, Verdict
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

MOST_FAILURES: Final = 3
"""A mail on which a working relay has failed so often is one that it rejects."""

MOST_FAILURES_IN_ALL: Final = 10
"""The same if nothing shows that the relay works, because no other mail waits."""

REFUSALS_OF_US: Final = 3
"""So many in a row pause all sending: the relay may be in the middle of a change."""

_STEPS_OF_A_MAIL: Final = frozenset({Step.MAIL, Step.RCPT, Step.DATA, Step.BLOCK, Step.DOT})
_AFTER_MAIL: Final = frozenset({Step.RCPT, Step.DATA, Step.DOT})
_SUSPECTS_KEPT: Final = 100


class _Failures(NamedTuple):
    """How often the relay failed on one mail: while it took other mail, and in all."""

    while_working: int = 0
    in_all: int = 0


class FlowControl:
    """Holds one sender back. All times are seconds of one monotonic clock.

    Args:
        connections: to the relay, at most.

    Attributes:
        senders: which senders the relay refuses.
        pauses: what is to be paused; the caller clears it after it has done so.
        turned_away: notices whose sender is refused; the caller clears it after it has dealt with them.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self._back_off = BackOff(random)
        self._ceiling = Ceiling(connections, random)
        self._throttle = Throttle(connections, random)
        self._breaker = Breaker(connections)
        self.senders = RefusedSenders(random)
        self._random = random
        self._failures: dict[RowId, _Failures] = {}
        self._why = ""
        self._paused_until = 0.0
        self.pauses: list[Pause] = []
        self.turned_away: list[TurnedAway] = []

    # What may begin.

    @property
    def allowed(self) -> int:
        """How many connections may be used now; after a failure one, which shows if the relay works."""
        return 1 if self._back_off.failures else min(self._throttle.allowed, self._ceiling.allowed)

    def may_begin(self, now: float) -> bool:
        """Tell whether a mail may begin, and a connection be opened for one."""
        return self._back_off.is_over(now) and self._throttle.may_begin(now)

    def room(self, now: float) -> int:
        """Return how many connections may be open after the next ones are opened."""
        if self._back_off.failures:
            return 1
        return min(self._throttle.allowed, self._ceiling.room(now))

    # What was answered. For each answer first `check_sender`, then `check_poison`, then `on_reply`.

    def check_sender(
        self, claim: Claim, sender: SenderId, step: Step, verdict: Verdict, answer: str, now: float
    ) -> Verdict:
        """Return what an answer means for the mail in hand, given how the relay takes other senders."""
        if not verdict.is_about_sender:
            if step in _AFTER_MAIL and verdict.run not in (OnRun.BACK_OFF, OnRun.STOP):
                self._on_sender_accepted(sender, verdict)
            return verdict
        permanent = verdict.run in (OnRun.STOP, OnRun.COUNT)
        blame, is_too_often, seconds = self.senders.on_refused(
            sender, claim.digest_id, now, permanent=permanent, knew_the_reader=step is not Step.MAIL
        )
        if blame is Blame.MAIL:
            return replace(verdict, is_about_sender=False)
        is_ours = blame is Blame.US
        delivery = OnDelivery.RELEASE
        if claim.digest_id is None:
            tell_staff = is_too_often or (permanent and not is_ours)
            self.turned_away.append(TurnedAway(claim.row, redact(answer) if tell_staff else None))
            if is_too_often or not is_ours:
                delivery = OnDelivery.DEFER
        elif is_too_often and not is_ours:
            reason = "the relay refuses mail from this newsletter's address, but accepts others"
            self.pauses.append(Pause(claim.digest_id, f"{reason}: {redact(answer)}"))
        if is_ours:
            run = OnRun.STOP if permanent else OnRun.BACK_OFF
            return Verdict(delivery, run=run, is_about_sender=True)
        if seconds is not None:
            log.warning(
                "the relay refuses the sender of %s and takes others: %s; it is tried again in %.0f s",
                claim.row if claim.digest_id is None else f"digest {claim.digest_id}",
                redact(answer),
                seconds,
            )
        return Verdict(delivery, is_about_sender=True)

    def _on_sender_accepted(self, sender: SenderId, verdict: Verdict) -> None:
        if verdict.delivery is not OnDelivery.DOUBT and self.senders.on_accepted(sender):
            log.info("the relay takes mail from an address at %s again", sender.domain)

    def check_poison(self, row: RowId, step: Step, verdict: Verdict) -> Verdict:
        """Return what becomes of a mail on which the relay fails every time: others must not wait for it.

        To be called before `on_reply`, which notes that the relay does not work any more.
        """
        if not self._may_be_poison(step, verdict):
            return verdict
        while_working, in_all = self._failures.pop(row, _Failures())
        failures = _Failures(while_working + (not self._back_off.failures), in_all + 1)
        if failures.while_working >= MOST_FAILURES or failures.in_all >= MOST_FAILURES_IN_ALL:
            return replace(verdict, delivery=OnDelivery.DEFER)
        # The mail noted last is dropped last: nothing tells us that a mail is finished.
        self._failures[row] = failures
        if len(self._failures) > _SUSPECTS_KEPT:
            del self._failures[next(iter(self._failures))]
        return verdict

    def _may_be_poison(self, step: Step, verdict: Verdict) -> bool:
        return step in _STEPS_OF_A_MAIL and verdict.run is OnRun.BACK_OFF

    def may_be_at_fault(self, step: Step, verdict: Verdict) -> bool:
        """Tell whether the relay may have failed because of the mail in hand: others should go first."""
        return verdict.is_about_sender or self._may_be_poison(step, verdict)

    def postponed_seconds(self, row: RowId, now: float) -> float:
        """Return how long this mail waits, on which the relay failed."""
        pause = max(0.0, self._paused_until - now)
        failures = self._failures.get(row, _Failures())
        return postponed_seconds(max(1, failures.in_all), pause, self._random)

    def on_reply(self, verdict: Verdict, digest_id: int | None, answer: str, now: float) -> None:
        """Note what the relay answered, or how the connection was lost."""
        if verdict.run in (OnRun.BACK_OFF, OnRun.STOP):
            refused = self.senders.addresses if verdict.is_about_sender else None
            stop = verdict.run is OnRun.STOP
            self.on_failure(answer, now, stop=stop, digest_id=digest_id, refused=refused)
        elif verdict.run is OnRun.SLOW_DOWN:
            self._slow_down(answer, now)
        elif verdict.delivery is not OnDelivery.DOUBT:
            self._note_success(verdict.delivery is OnDelivery.SENT, now)

    def count(self, verdict: Verdict, digest_id: int | None, answer: str, now: float) -> None:
        """Count an attempt for this digest that ended, with the relay or before it was asked.

        Args:
            digest_id: None for a notice.
            answer: what the relay said, how it was lost, or why the mail cannot be sent.
        """
        if digest_id is not None:
            reason = self._breaker.note(digest_id, verdict, answer, now)
            if reason is not None:
                self.pauses.append(Pause(digest_id, reason))

    # The relay as a whole.

    def on_failure(
        self,
        reason: str,
        now: float,
        *,
        stop: bool = False,
        digest_id: int | None = None,
        refused: frozenset[str] | None = None,
    ) -> None:
        """Note that the relay failed. What fails during a pause is the same failure.

        Args:
            stop: it refuses us.
            digest_id, refused: the mail's digest and all refused From addresses, if these may be the cause.
        """
        seconds = self._back_off.begin(now, stop=stop)
        if seconds is None:
            return
        why = f"the relay {'refuses us' if stop else 'failed'}: {redact(reason)}"
        self._pause(why, seconds, now)
        # If staff resumed too early, it is asked as often again.
        if stop and self._back_off.refusals % REFUSALS_OF_US == 0:
            self.pauses.append(Pause(digest_id if refused else None, why, refused))

    def on_connections(self, number: int) -> None:
        """Note how many connections are open now."""
        if self._ceiling.on_opened(number):
            log.info("the relay allows %d connections at once", number)

    def on_connection_refused(self, reason: str, others: int, now: float) -> None:
        """Note that the relay refused a connection while so many others were open or being opened."""
        before = self._ceiling.allowed
        seconds = self._ceiling.on_refused(others, now)
        if seconds is not None and self._ceiling.allowed < before:
            log.warning(
                "the relay allows no more than %d connections at once: %s; one more is tried in %.0f s",
                self._ceiling.allowed,
                redact(reason),
                seconds,
            )

    def why_idle(self, connections: int, now: float) -> str | None:
        """Return why nothing is sent now, or less than could be, for people to read.

        A relay that failed is named until it takes mail again, also while it is being tried.

        Args:
            connections: how many are open. Without any, a slow relay holds nothing back.
        """
        if not self.may_begin(now):
            return f"{self._why}; next try in {max(0.0, self._paused_until - now):.0f} s"
        if self._back_off.failures:
            return f"{self._why}; the next mail will try again"
        if connections and self._throttle.is_slowed:
            return f"the relay is overloaded: using {self.allowed} connections"
        return None

    def _slow_down(self, answer: str, now: float) -> None:
        before = self._throttle.allowed
        seconds = self._throttle.slow_down(now)
        why = f"the relay is overloaded: {redact(answer)}"
        if seconds:
            self._pause(why, seconds, now)
        elif self._throttle.allowed < before:
            log.warning("%s; using %d connections from now on", why, self._throttle.allowed)

    def _pause(self, why: str, seconds: float, now: float) -> None:
        self._why, self._paused_until = why, now + seconds
        log.warning("%s; next try in %.0f s", why, seconds)

    def _note_success(self, accepted: bool, now: float) -> None:
        # What was on its way when the relay failed says nothing about how it is since.
        if self._back_off.failures and self._back_off.is_over(now):
            log.info("the relay takes mail again")
            self._back_off.end()
        if accepted and self._throttle.is_slowed:
            self._throttle.on_accepted()
            if not self._throttle.is_slowed:
                log.info("the relay keeps up: all %d connections are used again", self.allowed)
