"""Watches the digests: reads what the relay refused, stops one of which too much comes back, warns staff.

The scheduler calls it all the time. Never counts a digest that has long been finished, and never commits.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from mailer.bounces import effects, rates, refused_mails
from mailer.bounces.digest_counts import ATTEMPTED, counts_of, events_of, mails_at_most
from mailer.bounces.rates import COMPLAINTS_WARN, StopLimits
from mailer.ledger import digest_state
from mailer.models import (
    BounceEvent,
    DeliveryStatus,
    Digest,
    DigestStatus,
    EvidenceKind,
)
from mailer.notices.alert import Alerts, on_digest_paused
from mailer.notices.deliverability_alerts import on_bounces, on_complaints
from mailer.sending.flow_control.breaker import REFUSED_TOO_MANY

_OPEN: Final = (DigestStatus.SENDING, DigestStatus.PAUSED)
_SENT: Final = (DeliveryStatus.SENT,)
_WARNED_WITHIN: Final = timedelta(days=1)
"""Of complaints that were recorded longer ago, staff have been told, or there were too few."""


def watched(session: Session) -> Sequence[int]:
    """List the digests that are open, or whose failed mails have not been read since they were finished."""
    # Two questions, because each has an index.
    is_open = Digest.status.in_(_OPEN)
    ids = [session.scalars(select(Digest.id).where(which)) for which in (is_open, _is_unread())]
    return sorted({digest_id for some in ids for digest_id in some})


def watch_digest(
    session: Session, alerts: Alerts, digest_id: int, limits: StopLimits, *, now: datetime
) -> bool:
    """Read some of a digest's failed mails as bounces, and pause it if too much of it comes back.

    Returns:
        Whether more of its failed mails are to be read: then call it again.
    """
    _void_refusals(session, digest_id, now)
    if refused_mails.read_failed_deliveries(session, digest_id, now=now) == refused_mails.AT_ONCE:
        return True
    digest = session.get_one(Digest, digest_id, populate_existing=True)
    if digest.bounces_withheld_at is not None:
        # More mails have arrived since: what looked like a fault of ours may have been the first readers'.
        effects.judge_hard_bounces(session, digest_id, now=now)
    if digest.status is DigestStatus.SENDING:
        too_many = _too_many(session, digest_id, limits, since=digest.resumed_at)
        reason = too_many and rates.why_stop(
            counts_of(session, digest_id, since=digest.resumed_at), limits
        )
        if reason and on_digest_paused(session, alerts, digest_id, reason, now):
            # They need not be told once more of the same.
            if too_many is EvidenceKind.HARD:
                digest.bounces_told_at = now
            else:
                digest.complaints_warned_at = now
    if digest.finished_at is not None:
        session.execute(
            update(Digest)
            .where(Digest.id == digest_id, Digest.finished_at == digest.finished_at)
            .values(failures_read_at=digest.finished_at)
            .execution_options(synchronize_session=False)
        )
    return False


def resume_digest(session: Session, digest_id: int, *, now: datetime) -> bool:
    """Continue a paused digest, as staff want it. Return False if it is not paused.

    Why it was paused is forgotten then, so what follows from that for its readers comes first.
    """
    _void_refusals(session, digest_id, now)
    return digest_state.resume_digest(session, digest_id, now)


def warn_of_complaints(session: Session, alerts: Alerts, *, now: datetime) -> None:
    """Tell staff, once for each digest, that more readers than usual reported it as spam."""
    of_late = select(BounceEvent.digest_id).where(
        BounceEvent.recorded_at > now - _WARNED_WITHIN,
        BounceEvent.kind == EvidenceKind.COMPLAINT,
    )
    digests = session.scalars(
        select(Digest.id).where(Digest.id.in_(of_late), Digest.complaints_warned_at.is_(None))
    ).all()
    for digest_id in digests:
        _warn_of_complaints(session, alerts, digest_id, now)


def tell_of_bounces(session: Session, alerts: Alerts, *, now: datetime) -> None:
    """Tell staff, once for each digest, that much of one bounced that cannot be paused any more."""
    digests = session.scalars(
        update(Digest)
        .where(
            Digest.bounces_withheld_at.is_not(None),
            Digest.bounces_told_at.is_(None),
            Digest.status.in_((DigestStatus.SENT, DigestStatus.CANCELLED)),
        )
        .values(bounces_told_at=now)
        .returning(Digest.id)
        .execution_options(synchronize_session=False)
    ).all()
    for digest_id in digests:
        counts = counts_of(session, digest_id)
        reason = (
            f"{counts.hard} of {counts.attempts} mails bounced for good "
            f"({rates.percent(counts.hard_rate)})"
        )
        on_bounces(session, alerts, digest_id, reason, now)


def _void_refusals(session: Session, digest_id: int, now: datetime) -> None:
    """Let the refusals say nothing about the readers if they paused this digest.

    The relay refused so many in a row that it was no longer about single readers.
    """
    void = session.scalar(
        select(Digest.id).where(
            Digest.id == digest_id,
            or_(
                Digest.refusals_void_until.is_(None),
                Digest.refusals_void_until <= Digest.resumed_at,
            ),
            Digest.reason.startswith(REFUSED_TOO_MANY),
        )
    )
    if void is not None:
        effects.void_refusals(session, digest_id, now)


def _is_unread() -> ColumnElement[bool]:
    """Match as the partial index does."""
    return and_(
        Digest.finished_at.is_not(None),
        or_(Digest.failures_read_at.is_(None), Digest.failures_read_at < Digest.finished_at),
    )


def _warn_of_complaints(session: Session, alerts: Alerts, digest_id: int, now: datetime) -> None:
    complaints = events_of(session, digest_id).get(EvidenceKind.COMPLAINT, 0)
    if not _is_reached(session, digest_id, complaints, COMPLAINTS_WARN, _SENT):
        return
    is_first = session.scalar(
        update(Digest)
        .where(Digest.id == digest_id, Digest.complaints_warned_at.is_(None))
        .values(complaints_warned_at=now)
        .returning(Digest.id)
        .execution_options(synchronize_session=False)
    )
    if is_first is not None:
        counts = counts_of(session, digest_id)
        rate = rates.percent(counts.complaint_rate)
        on_complaints(
            session,
            alerts,
            digest_id,
            f"{counts.complaints} of {counts.sent} readers ({rate})",
            now,
        )


def _too_many(
    session: Session, digest_id: int, limits: StopLimits, *, since: datetime | None
) -> EvidenceKind | None:
    """Return of what too much comes back of a digest; None: of nothing."""
    events = events_of(session, digest_id, since=since)
    for kind, limit, statuses in (
        (EvidenceKind.HARD, limits.hard_bounces, ATTEMPTED),
        (EvidenceKind.COMPLAINT, limits.complaints, _SENT),
    ):
        if _is_reached(session, digest_id, events.get(kind, 0), limit, statuses, since=since):
            return kind
    return None


def _is_reached(
    session: Session,
    digest_id: int,
    events: int,
    limit: float,
    statuses: Collection[DeliveryStatus],
    *,
    since: datetime | None = None,
) -> bool:
    """Tell whether so many events reach `limit`, and count no more of the digest's mails than that takes."""
    most = rates.most_needed(events, limit)
    if not most:
        return False
    mails = mails_at_most(session, digest_id, most, statuses=statuses, since=since)
    return rates.is_reached(events, mails, limit)
