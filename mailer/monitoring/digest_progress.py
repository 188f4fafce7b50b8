"""Reads how far a digest is, how fast it is being sent, and why it may have stopped. Only reads."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.bounces.digest_counts import events_of
from mailer.digests import listings
from mailer.digests.listings import DigestSummary
from mailer.ledger import digest_state, in_doubt
from mailer.ledger.digest_state import Counts
from mailer.ledger.transitions import WAITING, is_in
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus, Installation
from mailer.text.english import pluralise

SOON: Final = timedelta(seconds=60)
"""How long `digest send --wait` waits for a mail that must be tried again."""

_RATE_WINDOW: Final = timedelta(seconds=60)


@dataclass(frozen=True)
class LaterMails:
    """Mails that wait for another try, and when the first of them is due (UTC)."""

    number: int
    next_at: datetime | None


@dataclass(frozen=True)
class Progress:
    """How a digest progresses, beside its counts.

    Attributes:
        rate: mails a second that the relay took over the last minute; None while it is not being sent.
        remaining_seconds: until all are sent that need not wait, at this rate; None if it is unknown.
        waiting_later, next_try_at: how many wait for another try, and when the first is due.
        dropped: how many of the `unknown` ones staff left as they are.
    """

    rate: float | None
    remaining_seconds: int | None
    waiting_later: int
    next_try_at: datetime | None
    dropped: int


@dataclass(frozen=True)
class Standing:
    """What decides whether to go on waiting for a digest.

    Attributes:
        reason: the digest's.
        stopped: why all sending is paused; None while it is not.
        later: what waits for longer than `SOON`.
    """

    status: DigestStatus
    reason: str | None
    stopped: str | None
    counts: Counts
    later: LaterMails

    @property
    def goes_on(self) -> bool:
        """Whether a sender has, or will soon have, something to do for it."""
        counts = self.counts
        return (
            self.status in (DigestStatus.BUILDING, DigestStatus.SENDING)
            and self.stopped is None
            and (counts.pending == 0 or counts.pending > self.later.number)
        )


def describe_digest(
    session: Session, digest_id: int, *, give_up_after: timedelta, now: datetime
) -> dict[str, Any]:
    """Read a digest with its editions, counts and progress, as `digest show --json` prints it.

    Args:
        give_up_after: how long after its first attempt a mail is given up.

    Raises:
        NotFound: there is no such digest.
    """
    digest = listings.find(session, digest_id)
    counts = digest_state.counts(session, digest_id)
    waits = _why_still_sending(session, digest, counts, give_up_after)
    deliveries = asdict(counts)
    times_in_doubt = deliveries.pop("in_doubt")
    return {
        **asdict(digest),
        "reason": digest.reason or waits,
        "editions": listings.editions(session, digest_id),
        "deliveries": deliveries,
        "in_doubt": times_in_doubt,
        "returned": {kind.value: number for kind, number in events_of(session, digest_id).items()},
        **asdict(read_progress(session, digest_id, digest.status, counts, now=now)),
    }


def later_mails(session: Session, digest_id: int, after: datetime) -> LaterMails:
    """Count the mails of a digest that are next tried after that instant."""
    number, next_at = session.execute(
        select(func.count(), func.min(Delivery.next_attempt_at)).where(
            Delivery.digest_id == digest_id,
            is_in(Delivery, WAITING),
            Delivery.next_attempt_at > after,
        )
    ).one()
    return LaterMails(number, next_at)


def read_progress(
    session: Session, digest_id: int, status: DigestStatus, counts: Counts, *, now: datetime
) -> Progress:
    """Read the progress of a digest with these counts."""
    waiting = later_mails(session, digest_id, now)
    rate = _rate(session, digest_id, now) if status is DigestStatus.SENDING else None
    return Progress(
        rate=rate,
        remaining_seconds=remaining_seconds(counts.pending - waiting.number, rate),
        waiting_later=waiting.number,
        next_try_at=waiting.next_at,
        dropped=counts.unknown - in_doubt.count_of(session, digest_id) if counts.unknown else 0,
    )


def _why_still_sending(
    session: Session, digest: DigestSummary, counts: Counts, give_up_after: timedelta
) -> str | None:
    """Explain why a digest that looks done is still being sent; None if it does not look done."""
    if digest.status is not DigestStatus.SENDING or not counts.pending:
        return None
    number, last = session.execute(
        select(func.count(), func.max(Delivery.first_attempt_at)).where(
            Delivery.digest_id == digest.id,
            is_in(Delivery, WAITING),
            Delivery.status == DeliveryStatus.DEFERRED,
        )
    ).one()
    if number < counts.pending or last is None:
        return None
    until = f"{last + give_up_after:%Y-%m-%d %H:%M} UTC"
    return f"{pluralise(number, 'mail waits', 'mails wait')} for another try, until {until} at the latest"


def remaining_seconds(mails: int, rate: float | None) -> int | None:
    """Compute how long so many mails take at this rate; None if none are being sent."""
    return None if not rate else round(max(mails, 0) / rate)


def read_standing(session: Session, digest_id: int, *, now: datetime) -> Standing:
    """Read what decides whether to go on waiting for a digest."""
    status, reason = session.execute(
        select(Digest.status, Digest.reason).where(Digest.id == digest_id)
    ).one()
    paused_at, paused_reason = session.execute(
        select(Installation.paused_at, Installation.paused_reason)
    ).one()
    return Standing(
        status=status,
        reason=reason,
        stopped=None if paused_at is None else paused_reason or "no reason given",
        counts=digest_state.counts(session, digest_id),
        later=later_mails(session, digest_id, now + SOON),
    )


def why_not_sent(standing: Standing, digest_id: int) -> str | None:
    """Say what keeps a digest from being sent, and what to do about it; None if it is finished."""
    counts, status = standing.counts, standing.status
    if status in (DigestStatus.SENT, DigestStatus.SKIPPED):
        return None
    doubt = f", {counts.unknown} in doubt" if counts.unknown else ""
    sums = f"{counts.sent} of {counts.total} sent, {counts.failed} failed{doubt}"
    sums += f", {pluralise(counts.pending, 'waits', 'wait')}"
    if status is DigestStatus.CANCELLED:
        return f"digest {digest_id} was cancelled: {sums}; see `mailer digest show {digest_id}`"
    if status is DigestStatus.PAUSED:
        return (
            f"digest {digest_id} is paused ({standing.reason}): {sums}; "
            f"run `mailer digest resume {digest_id}`, then repeat this command"
        )
    if standing.stopped is not None:
        return (
            f"all sending is paused ({standing.stopped}): {sums}; "
            "run `mailer resume`, then repeat this command"
        )
    if not standing.goes_on and standing.later.next_at is not None:
        return (
            f"{sums} for another try, the next at {standing.later.next_at:%Y-%m-%d %H:%M} UTC; "
            "run workers (`mailer run`), or repeat this command then"
        )
    return f"stopped before the end: {sums}; repeating the command continues"


def ways_out(digest_id: int) -> str:
    """Name the commands that end the pause of a digest."""
    return f"`mailer digest resume {digest_id}` continues it, `mailer digest cancel {digest_id}` ends it"


def _rate(session: Session, digest_id: int, now: datetime) -> float:
    number, first = session.execute(
        select(func.count(), func.min(Delivery.outcome_at)).where(
            Delivery.digest_id == digest_id,
            Delivery.status == DeliveryStatus.SENT,
            Delivery.outcome_at > now - _RATE_WINDOW,
        )
    ).one()
    # A digest that has just begun is not measured by the time before it.
    span = 1.0 if first is None else max((now - first).total_seconds(), 1.0)
    return round(number / span, 1)
