"""Reads the figures of the installation for monitoring, from the database that all processes share.

Only reads, and reads little: a million mails may wait, and many more have been sent. Every label of a figure
comes from a fixed set; their format is not decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select
from sqlalchemy.orm import Session

from mailer.ledger.in_doubt import is_in_doubt
from mailer.ledger.transitions import HELD, WAITING, is_in
from mailer.models import (
    PENDING,
    BounceEvent,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    EvidenceKind,
    Feed,
    Installation,
    Notice,
    Tally,
    Worker,
    WorkerRole,
)

OPEN: Final = (DigestStatus.BUILDING, DigestStatus.SENDING, DigestStatus.PAUSED)
"""The statuses of an unfinished digest."""

_DAY: Final = timedelta(days=1)
_PENDING: Final = {status: HELD if status in HELD else WAITING for status in sorted(PENDING)}
"""Each pending status, and the index that has its rows."""


@dataclass(frozen=True)
class Metrics:
    """The figures at one moment.

    Attributes:
        deliveries_waiting, notices_waiting: by pending status, zeros included; only of unfinished digests.
        oldest_delivery, oldest_notice: how long the oldest due mail has been due; zero if none is due.
            Paused digests are left out.
        in_doubt: deliveries in doubt that staff have not settled.
        digests: the unfinished ones, by status.
        workers: those with a heartbeat within the lease, by role.
        connections: those of these workers to the relay.
        came_back: bounces, complaints and unsubscriptions by mail of the last day, by kind.
        mails: attempts since the installation began, by outcome and reason.
    """

    paused: bool
    deliveries_waiting: Mapping[str, int]
    notices_waiting: Mapping[str, int]
    oldest_delivery: timedelta
    oldest_notice: timedelta
    in_doubt: int
    digests: Mapping[str, int]
    workers: Mapping[str, int]
    connections: int
    failing_feeds: int
    came_back: Mapping[str, int]
    mails: Mapping[tuple[str, str], int]


def read_metrics(session: Session, *, lease: timedelta, now: datetime) -> Metrics:
    """Read the figures at `now`; `lease` is how long a worker may be silent before it is considered dead."""
    workers = {
        role: (number, connections)
        for role, number, connections in session.execute(
            select(Worker.role, func.count(), func.sum(Worker.connections))
            .where(Worker.stopped_at.is_(None), Worker.heartbeat_at >= now - lease)
            .group_by(Worker.role)
        )
    }
    digests = _count_by_status(
        session,
        select(Digest.status, func.count()).where(Digest.status.in_(OPEN)).group_by(Digest.status),
    )
    return Metrics(
        paused=session.scalar(select(Installation.paused_at)) is not None,
        deliveries_waiting=_deliveries_waiting(session),
        notices_waiting=_notices_waiting(session),
        oldest_delivery=_age(session.scalar(_oldest_delivery()), now),
        oldest_notice=_age(
            session.scalar(select(func.min(Notice.next_attempt_at)).where(is_in(Notice, WAITING))),
            now,
        ),
        in_doubt=_count(session, Delivery, is_in_doubt()),
        digests={status.value: digests.get(status, 0) for status in OPEN},
        workers={role.value: workers.get(role, (0, 0))[0] for role in WorkerRole},
        connections=sum(int(connections) for _, connections in workers.values()),
        failing_feeds=_count(session, Feed, Feed.failing_since.is_not(None)),
        came_back=_came_back(session, now - _DAY),
        mails={
            (outcome, reason): int(number)
            for outcome, reason, number in session.execute(
                select(Tally.outcome, Tally.reason, func.sum(Tally.number)).group_by(
                    Tally.outcome, Tally.reason
                )
            )
        },
    )


def _count_by_status(session: Session, statement: Select[Any, int]) -> dict[Any, int]:
    return {status: number for status, number in session.execute(statement)}  # noqa: C416


def _deliveries_in(status: DeliveryStatus) -> ScalarSelect[int]:
    """Count the deliveries of the outer statement's digest in `status`.

    It reads only what is pending. Grouping by status would make SQLite read the whole table.
    """
    return (
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.digest_id == Digest.id,
            is_in(Delivery, _PENDING[status]),
            Delivery.status == status,
        )
        .correlate(Digest)
        .scalar_subquery()
    )


def _deliveries_waiting(session: Session) -> dict[str, int]:
    numbers = session.execute(
        select(*(func.sum(_deliveries_in(status)) for status in _PENDING)).where(
            Digest.status.in_(OPEN)
        )
    ).one()
    return {
        status.value: int(number or 0) for status, number in zip(_PENDING, numbers, strict=True)
    }


def _notices_waiting(session: Session) -> dict[str, int]:
    numbers: dict[Any, int] = {}
    for statuses in (WAITING, HELD):
        numbers |= _count_by_status(
            session,
            select(Notice.status, func.count())
            .where(is_in(Notice, statuses))
            .group_by(Notice.status),
        )
    return {status.value: numbers.get(status, 0) for status in _PENDING}


def _came_back(session: Session, since: datetime) -> dict[str, int]:
    numbers = _count_by_status(
        session,
        select(BounceEvent.kind, func.count())
        .where(BounceEvent.recorded_at > since)
        .group_by(BounceEvent.kind),
    )
    return {kind.value: numbers.get(kind, 0) for kind in EvidenceKind}


def _count(session: Session, table: type[Any], which: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(which)) or 0


def _oldest_delivery() -> Select[datetime | None]:
    oldest = (
        select(func.min(Delivery.next_attempt_at))
        .where(Delivery.digest_id == Digest.id, is_in(Delivery, WAITING))
        .scalar_subquery()
    )
    return select(func.min(oldest)).where(Digest.status == DigestStatus.SENDING)


def _age(due: datetime | None, now: datetime) -> timedelta:
    # What is deferred is due in the future.
    return timedelta() if due is None else max(timedelta(), now - due)
