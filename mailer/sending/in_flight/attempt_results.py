"""Turns the verdict on one claimed row into the result that the ledger records, and counts it.

Decides nothing: verdicts and waits come from elsewhere. Nothing here touches the database.
"""

from datetime import datetime, timedelta

from mailer.clock import ClockJumps
from mailer.ledger.transitions import AttemptResult, Claim
from mailer.models import DeliveryStatus
from mailer.sending import counters
from mailer.sending.flow_control.retry_plan import Random, RetryPlan
from mailer.sending.in_flight.events import Moment
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import Lost, OnDelivery, Verdict
from mailer.text.untrusted import redact


class Attempts:
    """Makes the results of one sender's attempts.

    Args:
        plan: when a deferred mail is tried again.
        began: when the sender began, by both clocks, because the wall clock may be set.
        resend: whether a mail in doubt is sent once more.
        counts: where results are counted.
    """

    def __init__(
        self,
        plan: RetryPlan,
        *,
        resend: bool,
        began: Moment,
        random: Random,
        counts: counters.Counters,
    ) -> None:
        self._plan = plan
        self._resend = resend
        self._clock_jumps = ClockJumps()
        self._clock_jumps.observe(began.wall, began.monotonic)
        self._random = random
        self._counts = counts

    def result(
        self,
        claim: Claim,
        step: str,
        verdict: Verdict,
        answer: Reply | Lost | str,
        reason: str,
        moment: Moment,
        *,
        wait_seconds: float = 0.0,
    ) -> AttemptResult:
        """Return what the ledger records about an attempt that ended now, and count it.

        Args:
            answer: the relay's, how it was lost, or a word of `counters` that says why there is none.
            reason: in words, if there is no reply.
            moment: when it ended.
            wait_seconds: before it goes out again, if the mail is not to blame.
        """
        now = moment.wall
        later = None
        if verdict.delivery is not OnDelivery.SENT:
            self._clock_jumps.observe(now, moment.monotonic)
            # A clock that was set forward must not use up the time in which the mail is tried.
            first = claim.first_attempt_at + self._clock_jumps.since(claim.first_attempt_at)
            later = self._plan.next_attempt(claim.attempts + 1, first, now, self._random)
        code, text = (answer.code, answer.text) if isinstance(answer, Reply) else (None, reason)
        soon = now + timedelta(seconds=wait_seconds)
        status, again = next_status(verdict.delivery, soon=soon, later=later, resend=self._resend)
        result = AttemptResult(
            claim.row, claim.worker_id, claim.attempts + 1, status, step, code, redact(text), again
        )
        why = counters.reason(answer) if isinstance(answer, Reply | Lost) else answer
        self._counts.note(result.status, why)
        return result


def next_status(
    delivery: OnDelivery, *, soon: datetime, later: datetime | None, resend: bool
) -> tuple[DeliveryStatus, datetime | None]:
    """Return the row's next status, and when it goes out again, if it does.

    Args:
        soon: when it goes out again if the mail is not to blame.
        later: when the plan tries it again; None: it is given up.
        resend: whether a mail in doubt is sent once more.
    """
    match delivery:
        case OnDelivery.SENT:
            return DeliveryStatus.SENT, None
        case OnDelivery.RELEASE:
            return DeliveryStatus.DEFERRED, soon
        case OnDelivery.DEFER if later is not None:
            return DeliveryStatus.DEFERRED, later
        case OnDelivery.DOUBT:
            return DeliveryStatus.UNKNOWN, later if resend else None
        case _:
            return DeliveryStatus.FAILED, None
