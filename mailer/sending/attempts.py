"""What an attempt comes to: a verdict on one claimed row becomes what the ledger enters, and is counted.

Decides nothing: verdicts and waits come from elsewhere, and nothing here touches the database.
"""

from datetime import datetime, timedelta

from mailer.clock import ClockJumps, Times
from mailer.ledger.transitions import AttemptResult, Claim
from mailer.models import DeliveryStatus
from mailer.sending import counters
from mailer.sending.flow_control.back_off import Random, RetryPlan
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import Lost, OnDelivery, Verdict
from mailer.text.untrusted import redact


class Attempts:
    """Concludes the attempts of one sender.

    Args:
        plan: when what was turned away is tried again.
        times: a wall clock that is set is noticed by the other one.
        resend: whether a mail in doubt is sent once more.
        counting: where it is noted what they came to.
    """

    def __init__(
        self,
        plan: RetryPlan,
        *,
        resend: bool,
        times: Times,
        random: Random,
        counting: counters.Counters,
    ) -> None:
        self._plan = plan
        self._resend = resend
        self._times = times
        self._leaps = ClockJumps()
        self._leaps.look(times.wall(), times.monotonic())
        self._random = random
        self._counting = counting

    def conclude(
        self,
        claim: Claim,
        step: str,
        found: Verdict,
        answer: Reply | Lost | str,
        reason: str = "",
        *,
        wait_seconds: float = 0.0,
    ) -> AttemptResult:
        """What the ledger enters of an attempt that ended now.

        Args:
            answer: the relay's, how it was lost, or in one word of `tally` why it did not come to that.
            reason: in words, where there is no reply.
            wait_seconds: before it goes out again, where the fault may not be its own.
        """
        now = self._times.wall()
        later = None
        if found.delivery is not OnDelivery.SENT:
            self._leaps.look(now, self._times.monotonic())
            # A clock that was set forward must not use up the time in which the mail is tried.
            first = claim.first_attempt_at + self._leaps.since(claim.first_attempt_at)
            later = self._plan.next_attempt(claim.attempts + 1, first, now, self._random)
        code, text = (answer.code, answer.text) if isinstance(answer, Reply) else (None, reason)
        outcome = concluded(
            claim,
            found,
            step,
            code,
            text,
            soon=now + timedelta(seconds=wait_seconds),
            later=later,
            resend=self._resend,
        )
        why = counters.reason(answer) if isinstance(answer, Reply | Lost) else answer
        self._counting.note(outcome.status, why)
        return outcome


def concluded(
    claim: Claim,
    found: Verdict,
    step: str,
    code: int | None,
    text: str,
    *,
    soon: datetime,
    later: datetime | None,
    resend: bool,
) -> AttemptResult:
    """The entry for an attempt; pure.

    Args:
        text: the relay's words or ours; addresses are taken out of it.
        soon: when it goes out again where the fault was not its own.
        later: when the plan has this row tried again; None: it is given up.
        resend: whether a mail in doubt is sent once more.
    """
    status, again = DeliveryStatus.FAILED, None
    match found.delivery:
        case OnDelivery.SENT:
            status = DeliveryStatus.SENT
        case OnDelivery.RELEASE:
            status, again = DeliveryStatus.DEFERRED, soon
        case OnDelivery.DEFER if later is not None:
            status, again = DeliveryStatus.DEFERRED, later
        case OnDelivery.DOUBT:
            status, again = DeliveryStatus.UNKNOWN, later if resend else None
    attempt = claim.attempts + 1
    return AttemptResult(
        claim.row, claim.worker_id, attempt, status, step, code, redact(text), again
    )
