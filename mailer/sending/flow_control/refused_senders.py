"""Judges refusals that may be about who a mail is from: whether the relay means that sender, or all of us.

Pure: the clock and chance come in as arguments. It says which senders are left alone; others pause.
"""

import logging
from dataclasses import dataclass, field, replace
from typing import Final

from mailer.ledger.digest_state import Pause
from mailer.notices.alert import TurnedAway
from mailer.sending.flow_control.attempt import Attempt, Conclusion, SenderId
from mailer.sending.flow_control.back_off import postponed_seconds
from mailer.sending.flow_control.retry_plan import Random
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.verdict import OnDelivery, OnRun, Verdict
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

PERMANENT_REFUSALS: Final = 3
"""So many in a row stop a sender. Not the first: the relay may be in the middle of a change."""

TEMPORARY_REFUSALS: Final = 6
"""The same for refusals that may pass, such as of a domain that could not be looked up: for half a minute."""

_SENDERS_KEPT: Final = 1000


@dataclass
class _Record:
    """How the last mails of one sender went."""

    is_accepted: bool = False
    is_doubted: bool = False
    refusals: int = 0
    is_probed: bool = False
    paused_until: float = 0.0
    digests: set[int] = field(default_factory=set)

    def is_paused(self, now: float) -> bool:
        return self.refusals > 0 and now < self.paused_until


class RefusedSenders:
    """How the relay takes the senders of one worker. All times are seconds of one monotonic clock.

    A sender that was refused is left alone, and then sends one mail at a time, until the relay takes one.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._records: dict[SenderId, _Record] = {}

    @property
    def addresses(self) -> frozenset[str]:
        """The From addresses whose last mail the relay refused."""
        return frozenset(
            sender.from_address for sender, record in self._records.items() if record.refusals
        )

    def on_accepted(self, sender: SenderId) -> None:
        """Note that the relay has nothing against this sender."""
        record = self._record(sender)
        if record.refusals:
            log.info("the relay takes mail from an address at %s again", sender.domain)
            record.refusals, record.is_probed = 0, False
            record.digests.clear()
        record.is_accepted, record.is_doubted = True, False

    def on_refused(
        self, attempt: Attempt, step: Step, verdict: Verdict, answer: str, now: float
    ) -> Conclusion:
        """Note that the relay refused a mail, it seems because of its sender.

        If it accepts others it means this sender, otherwise all of us as far as one can tell.
        """
        record = self._record(attempt.sender)
        if step is not Step.MAIL and record.is_accepted and not record.is_doubted:
            # It took this sender's mail until now and knew the reader: it may be one reader's system.
            record.is_doubted = True
            return Conclusion(replace(verdict, is_about_sender=False))
        record.is_accepted = False
        if attempt.digest_id is not None:
            record.digests.add(attempt.digest_id)
        permanent = verdict.run in (OnRun.STOP, OnRun.COUNT)
        most = PERMANENT_REFUSALS if permanent else TEMPORARY_REFUSALS
        others = any(other.is_accepted for other in self._records.values())
        # What was on its way when the sender was refused is refused with it: that counts once.
        if record.is_probed or not record.is_paused(now):
            record.refusals, record.is_probed = record.refusals + 1, False
            seconds = self._pause(record, min(record.refusals, most), now)
            if others:
                log.warning(
                    "the relay refuses the sender of %s and takes others: %s; it is tried again in %.0f s",
                    attempt.row if attempt.digest_id is None else f"digest {attempt.digest_id}",
                    redact(answer),
                    seconds,
                )
        return _conclusion(
            attempt,
            redact(answer),
            permanent=permanent,
            is_too_often=record.refusals >= most,
            others=others,
        )

    def admits(self, sender: SenderId, digest_id: int | None, now: float) -> bool:
        """Tell whether a mail of this digest may begin now. If its sender is refused, it is a probe.

        A notice, without a digest, always may: it costs one refusal at most.
        """
        record = self._records.get(sender)
        if digest_id is None or record is None or not record.refusals:
            return True
        record.digests.add(digest_id)
        if record.is_paused(now):
            return False
        record.is_probed = True
        # No other begins before it is answered. If no answer ever comes, the next one probes.
        self._pause(record, min(record.refusals, TEMPORARY_REFUSALS), now)
        return True

    def paused_digests(self, now: float) -> frozenset[int]:
        """Return the digests whose sender is left alone, as far as they are known."""
        return frozenset(
            digest_id
            for record in self._records.values()
            if record.is_paused(now)
            for digest_id in record.digests
        )

    def _pause(self, record: _Record, refusals: int, now: float) -> float:
        # Longer than a relay that refuses us is left alone, so that others go first, and show whom it means.
        seconds = postponed_seconds(refusals, 0.0, self._random)
        record.paused_until = now + seconds
        return seconds

    def _record(self, sender: SenderId) -> _Record:
        if (record := self._records.get(sender)) is None:
            record = self._records[sender] = _Record()
            if len(self._records) > _SENDERS_KEPT:
                del self._records[next(iter(self._records))]
        return record


def _conclusion(
    attempt: Attempt, answer: str, *, permanent: bool, is_too_often: bool, others: bool
) -> Conclusion:
    """Return what follows for a mail whose sender is refused, and for its digest.

    Args:
        is_too_often: it was refused so often in a row that waiting alone will not mend it.
        others: the relay accepts other senders.
    """
    run = OnRun.GO_ON if others else OnRun.STOP if permanent else OnRun.BACK_OFF
    verdict = Verdict(OnDelivery.RELEASE, run=run, is_about_sender=True)
    if attempt.digest_id is None:
        tell_staff = is_too_often or (permanent and others)
        turned_away = TurnedAway(attempt.row, answer if tell_staff else None)
        if is_too_often or others:
            verdict = replace(verdict, delivery=OnDelivery.DEFER)
        return Conclusion(verdict, turned_away=turned_away)
    if not (is_too_often and others):
        return Conclusion(verdict)
    reason = "the relay refuses mail from this newsletter's address, but accepts others"
    return Conclusion(verdict, pauses=(Pause(attempt.digest_id, f"{reason}: {answer}"),))
