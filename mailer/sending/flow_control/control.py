"""What holds a sender back: the rest of a relay that failed, its ceiling, the throttle, and the breaker.

The loop asks here before it begins a mail or opens a connection, and tells how every attempt ended.
Keeps count and logs, one line for each turn of events; it never pauses anything itself.
"""

import logging
from dataclasses import replace
from typing import Final, NamedTuple

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import Claim, RowId
from mailer.notices.alert import TurnedAway
from mailer.sending.flow_control.back_off import Ceiling, Random, Rest, postponed_seconds
from mailer.sending.flow_control.pace import Breaker, Throttle, why_pause_all, why_pause_sender
from mailer.sending.flow_control.refused_senders import Blame, SenderId, Senders
from mailer.sending.smtp.conversation import Step
from mailer.sending.smtp.verdict import OnDelivery, OnRun, Verdict
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

MOST_FAILURES: Final = 3
"""A mail at which the relay failed so often, and was well before each time, is one that it turns away."""

MOST_FAILURES_IN_ALL: Final = 10
"""The same where it was not well before: when no other mail waits, nothing shows that it is."""

_KNOWING_THE_MAIL: Final = frozenset({Step.MAIL, Step.RCPT, Step.DATA, Step.BLOCK, Step.DOT})
_AFTER_MAIL: Final = frozenset({Step.RCPT, Step.DATA, Step.DOT})
_SUSPECTS_KEPT: Final = 100


class _Failures(NamedTuple):
    """How often the relay failed at one mail: when it was well before, and in all."""

    well: int = 0
    in_all: int = 0


class FlowControl:
    """Holds one sender back. All times are seconds of one monotonic clock.

    Args:
        connections: to the relay, at most.
        random: spreads waits.

    Attributes:
        pauses: what is to be paused; whoever has done so takes it away.
        turned_away: notices whose sender is refused; whoever has dealt with them takes them away.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self._rest = Rest(random)
        self._ceiling = Ceiling(connections, random)
        self._throttle = Throttle(connections, random)
        self._breaker = Breaker(connections)
        self._senders = Senders(random)
        self._random = random
        self._suspects: dict[RowId, _Failures] = {}
        self._why = ""
        self._resting_until = 0.0
        self.pauses: list[Pause] = []
        self.turned_away: list[TurnedAway] = []

    @property
    def allowed(self) -> int:
        """How many connections may be used now; after a failure one finds out if all is well again."""
        return 1 if self._rest.failures else min(self._throttle.allowed, self._ceiling.allowed)

    def may_begin(self, now: float) -> bool:
        """Whether a mail may begin, and a connection be opened for one."""
        return self._rest.is_over(now) and self._throttle.may_begin(now)

    def room(self, now: float) -> int:
        """How many connections may be open once the next ones are opened."""
        if self._rest.failures:
            return 1
        return min(self._throttle.allowed, self._ceiling.room(now))

    def are_open(self, number: int) -> None:
        """So many connections are open now."""
        if self._ceiling.reach(number):
            log.info("the relay lets us have %d connections at once", number)

    def lets(self, sender: SenderId, digest_id: int | None, now: float) -> bool:
        """Whether a mail of this sender may begin. A notice always may: all it costs is one refusal."""
        return digest_id is None or self._senders.admits(sender, digest_id, now)

    def resting_digests(self, now: float) -> frozenset[int]:
        """Of these nothing needs to be claimed: their sender is refused, and rests."""
        return self._senders.resting(now)

    @property
    def refused_senders(self) -> frozenset[str]:
        """The From addresses whose last mail the relay refused."""
        return self._senders.refused

    def judge(
        self, claim: Claim, sender: SenderId, step: Step, found: Verdict, answer: str, now: float
    ) -> Verdict:
        """What an answer means for the mail in hand, as the relay takes other senders or not.

        To be asked first of all.
        """
        if not found.of_sender:
            if step in _AFTER_MAIL and found.run not in (OnRun.BACK_OFF, OnRun.STOP):
                self._takes(sender, found)
            return found
        for_good = found.run in (OnRun.STOP, OnRun.COUNT)
        blame, is_too_often, seconds = self._senders.refuses(
            sender, claim.digest_id, now, for_good=for_good, knew_the_reader=step is not Step.MAIL
        )
        if blame is Blame.MAIL:
            return replace(found, of_sender=False)
        is_ours = blame is Blame.US
        delivery = OnDelivery.RELEASE
        if claim.digest_id is None:
            is_told = is_too_often or (for_good and not is_ours)
            self.turned_away.append(TurnedAway(claim.row, redact(answer) if is_told else None))
            if is_too_often or not is_ours:
                delivery = OnDelivery.DEFER
        elif is_too_often and not is_ours:
            self.pauses.append(Pause(claim.digest_id, why_pause_sender(answer)))
        if is_ours:
            run = OnRun.STOP if for_good else OnRun.BACK_OFF
            return Verdict(delivery, run=run, of_sender=True)
        if seconds is not None:
            what = claim.row if claim.digest_id is None else f"digest {claim.digest_id}"
            log.warning(
                "the relay refuses the sender of %s and takes others: %s; it rests for %.0f s",
                what,
                redact(answer),
                seconds,
            )
        return Verdict(delivery, of_sender=True)

    def _takes(self, sender: SenderId, found: Verdict) -> None:
        if found.delivery is not OnDelivery.DOUBT and self._senders.took(sender):
            log.info("the relay takes mail from an address at %s again", sender.domain)

    def on_reply(self, found: Verdict, digest_id: int | None, answer: str, now: float) -> None:
        """The relay has answered, or was lost: `answer` is what it said, or how."""
        if found.run in (OnRun.BACK_OFF, OnRun.STOP):
            refused = self._senders.refused if found.of_sender else None
            stop = found.run is OnRun.STOP
            self.fails(answer, now, stop=stop, digest_id=digest_id, refused=refused)
        elif found.run is OnRun.SLOW_DOWN:
            self._slow_down(answer, now)
        elif found.delivery is not OnDelivery.DOUBT:
            self._is_well(found.delivery is OnDelivery.SENT, now)

    def count(self, found: Verdict, digest_id: int | None, answer: str, now: float) -> None:
        """An attempt for this digest has ended, with the relay or before it was asked.

        Args:
            digest_id: None for a notice.
            answer: what the relay said, how it was lost, or why the mail cannot be sent.
        """
        if digest_id is not None:
            reason = self._breaker.note(digest_id, found, answer, now)
            if reason is not None:
                self.pauses.append(Pause(digest_id, reason))

    def fails(
        self,
        reason: str,
        now: float,
        *,
        stop: bool = False,
        digest_id: int | None = None,
        refused: frozenset[str] | None = None,
    ) -> None:
        """The relay failed; what fails while it rests is the same failure.

        Args:
            stop: it refuses us.
            digest_id, refused: where it may be for their senders: of what the mail is, and the senders.
        """
        seconds = self._rest.begin(now, stop=stop)
        if seconds is None:
            return
        self._rests(
            f"the relay {'refuses us' if stop else 'failed'}: {redact(reason)}", seconds, now
        )
        if stop and (why := why_pause_all(self._rest.refusals, reason)) is not None:
            self.pauses.append(Pause(digest_id if refused else None, why, refused))

    def refuses_more(self, reason: str, others: int, now: float) -> None:
        """The relay refused a connection while so many others were open or being opened."""
        before = self._ceiling.allowed
        seconds = self._ceiling.refuse(others, now)
        if seconds is not None and self._ceiling.allowed < before:
            log.warning(
                "the relay lets us have no more than %d connections at once: %s; one more is tried in %.0f s",
                self._ceiling.allowed,
                redact(reason),
                seconds,
            )

    def may_be_at_fault(self, step: Step, found: Verdict) -> bool:
        """Whether the relay may have failed because of the mail in hand: others had better go first."""
        return found.of_sender or self._may_be_its_own(step, found)

    def _may_be_its_own(self, step: Step, found: Verdict) -> bool:
        return step in _KNOWING_THE_MAIL and found.run is OnRun.BACK_OFF

    def suspect(self, row: RowId, step: Step, found: Verdict) -> Verdict:
        """What becomes of a mail in hand: what the relay has against one, all others must not wait for.

        To be asked before `on_reply`, which notes that the relay is not well any more.
        """
        if not self._may_be_its_own(step, found):
            return found
        well, in_all = self._suspects.pop(row, _Failures())
        failures = _Failures(well + (not self._rest.failures), in_all + 1)
        if failures.well >= MOST_FAILURES or failures.in_all >= MOST_FAILURES_IN_ALL:
            return replace(found, delivery=OnDelivery.DEFER)
        # The one noted last is the last to be dropped: nobody tells us that a mail is done with.
        self._suspects[row] = failures
        if len(self._suspects) > _SUSPECTS_KEPT:
            del self._suspects[next(iter(self._suspects))]
        return found

    def postponed(self, row: RowId, now: float) -> float:
        """For how many seconds this mail waits, at which the relay failed."""
        rest = max(0.0, self._resting_until - now)
        failures = self._suspects.get(row, _Failures())
        return postponed_seconds(max(1, failures.in_all), rest, self._random)

    def why(self, connections: int, now: float) -> str | None:
        """Why nothing is sent now, or less than could be, for people to read.

        Of a relay that failed it is said until it takes mail again, also while it is being tried.

        Args:
            connections: how many are open. Without one, a relay that is slow holds nothing back.
        """
        if not self.may_begin(now):
            return f"{self._why}; next try in {max(0.0, self._resting_until - now):.0f} s"
        if self._rest.failures:
            return f"{self._why}; the next mail will try again"
        if connections and self._throttle.is_slowed:
            return f"the relay is overloaded: using {self.allowed} connections"
        return None

    def _slow_down(self, answer: str, now: float) -> None:
        before = self._throttle.allowed
        seconds = self._throttle.slow_down(now)
        if seconds:
            self._rests(f"the relay is overloaded: {redact(answer)}", seconds, now)
        elif self._throttle.allowed < before:
            log.warning(
                "the relay is overloaded: %s; using %d connections from now on",
                redact(answer),
                self._throttle.allowed,
            )

    def _rests(self, why: str, seconds: float, now: float) -> None:
        self._why, self._resting_until = why, now + seconds
        log.warning("%s; next try in %.0f s", why, seconds)

    def _is_well(self, accepted: bool, now: float) -> None:
        # What was on its way when the relay failed says nothing of how it is since.
        if self._rest.failures and self._rest.is_over(now):
            log.info("the relay takes mail again")
            self._rest.end()
        if accepted and self._throttle.is_slowed:
            self._throttle.went_well()
            if not self._throttle.is_slowed:
                log.info("the relay keeps up: all %d connections are used again", self.allowed)
