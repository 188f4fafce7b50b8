"""Counts what a digest sent and what came back of it. Only reads, and only rows of that digest.

Of a purged digest the numbers are those that were kept.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import Session

from mailer.bounces.rates import DomainCounts, ReturnCounts
from mailer.ledger.history.kept_counts import RETURNED, RETURNED_REASON, kept_counts, with_prefix
from mailer.models import BounceEvent, Delivery, DeliveryStatus, EvidenceKind, Subscriber

ATTEMPTED: Final = (DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN)
"""The statuses of a mail of which an attempt has ended. One that is deferred has not."""


def mails_at_most(
    session: Session,
    digest_id: int,
    most: int,
    *,
    statuses: Collection[DeliveryStatus] = ATTEMPTED,
    since: datetime | None = None,
) -> int:
    """Count the mails of a digest in these statuses, and stop counting at `most`.

    Args:
        since: only mails that were first tried later.
    """
    some = select(literal(1).label("one")).where(
        Delivery.digest_id == digest_id, Delivery.status.in_(statuses)
    )
    if since is not None:
        some = some.where(Delivery.first_attempt_at > since)
    return session.scalar(select(func.count()).select_from(some.limit(most).subquery())) or 0


def counts_of(session: Session, digest_id: int, *, since: datetime | None = None) -> ReturnCounts:
    """Count all that a digest sent, and what came back of it.

    Args:
        since: only mails that were first tried later.
    """
    statement = (
        select(Delivery.status, func.count())
        .where(Delivery.digest_id == digest_id, Delivery.status.in_(ATTEMPTED))
        .group_by(Delivery.status)
    )
    if since is not None:
        statement = statement.where(Delivery.first_attempt_at > since)
    kept = kept_counts(session, digest_id)
    mails: Mapping[str, int] = (
        {status.value: number for status, number in session.execute(statement)}
        if kept is None
        else {status.value: kept.get(status.value, 0) for status in ATTEMPTED}
    )
    events = events_of(session, digest_id, since=since)
    return ReturnCounts(
        attempts=sum(mails.values()),
        sent=mails.get(DeliveryStatus.SENT.value, 0),
        hard=events.get(EvidenceKind.HARD, 0),
        soft=events.get(EvidenceKind.SOFT, 0),
        complaints=events.get(EvidenceKind.COMPLAINT, 0),
    )


def events_of(
    session: Session, digest_id: int, *, since: datetime | None = None
) -> Mapping[EvidenceKind, int]:
    """Count what came back of a digest, by kind.

    Args:
        since: only of mails that were first tried later.
    """
    kept = kept_counts(session, digest_id)
    if kept is not None:
        returned = with_prefix(kept, RETURNED)
        return {EvidenceKind(kind): number for kind, number in returned.items()}
    statement = (
        select(BounceEvent.kind, func.count())
        .where(BounceEvent.digest_id == digest_id)
        .group_by(BounceEvent.kind)
    )
    if since is not None:
        statement = statement.where(BounceEvent.mailed_at > since)
    return {kind: number for kind, number in session.execute(statement)}  # noqa: C416


def domain_counts(session: Session, digest_id: int, *, most: int) -> list[DomainCounts]:
    """Count what came back of a digest by the domains of its readers, the worst first; at most `most`."""
    worst = session.execute(
        select(
            func.coalesce(BounceEvent.domain, ""),
            _number_of(EvidenceKind.HARD),
            _number_of(EvidenceKind.SOFT),
            _number_of(EvidenceKind.COMPLAINT),
        )
        .where(
            BounceEvent.digest_id == digest_id,
            BounceEvent.domain.is_not(None),
            BounceEvent.kind != EvidenceKind.UNSUBSCRIBE,
        )
        .group_by(BounceEvent.domain)
        .order_by(func.count().desc(), BounceEvent.domain)
        .limit(most)
    ).all()
    if not worst:
        return []
    domain = address_domain(session)
    mails = dict(
        session.execute(
            select(domain, func.count())
            .select_from(Delivery)
            .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
            .where(
                Delivery.digest_id == digest_id,
                Delivery.status.in_(ATTEMPTED),
                domain.in_([row[0] for row in worst]),
            )
            .group_by(domain)
        ).all()
    )
    return [
        DomainCounts(name, mails.get(name, 0), hard, soft, complaints)
        for name, hard, soft, complaints in worst
    ]


def reason_counts(session: Session, digest_id: int) -> list[tuple[str, int]]:
    """Count why mails of a digest came back: pairs of a reason and a number, the most frequent first."""
    kept = kept_counts(session, digest_id)
    if kept is not None:
        reasons = with_prefix(kept, RETURNED_REASON)
        return sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    number = func.count()
    rows = session.execute(
        select(BounceEvent.reason, number)
        .where(BounceEvent.digest_id == digest_id, BounceEvent.kind != EvidenceKind.UNSUBSCRIBE)
        .group_by(BounceEvent.reason)
        .order_by(number.desc(), BounceEvent.reason)
    )
    return [(reason, number) for reason, number in rows]


def _number_of(kind: EvidenceKind) -> ColumnElement[int]:
    return func.count().filter(BounceEvent.kind == kind)


def address_domain(session: Session) -> ColumnElement[str]:
    """Select the part of a reader's address key after the @."""
    key = Subscriber.address_key
    if session.get_bind().dialect.name == "postgresql":
        return func.split_part(key, "@", 2)
    return func.substr(key, func.instr(key, "@") + 1)
