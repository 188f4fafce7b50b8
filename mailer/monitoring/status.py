"""Reads the state of the installation for people: what runs, what waits, and which slots come next.

Never decides anything: what it says of workers goes by the wall clock. `warnings` says what needs a person.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailer.bounces.history import AlarmingDigest, alarming_digests
from mailer.digests.schedules import schedule_lookup, slot_lookup
from mailer.ledger import in_doubt
from mailer.ledger.transitions import HELD, WAITING, is_in
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    Feed,
    Installation,
    Newsletter,
    Notice,
    Schedule,
    Worker,
    WorkerRole,
)
from mailer.monitoring.metrics import OPEN

_RECENT: Final = timedelta(days=1)
_ALARMING: Final = timedelta(days=7)
_NOTICES_SEARCHED: Final = 1000
"""The latest: no index finds those in doubt, and nobody has to decide about old ones."""


@dataclass(frozen=True)
class Process:
    """A worker, and whether its heartbeat is within the lease.

    `connections` are those to the relay; `note` says why it sends nothing now, if that is so.
    """

    role: str
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    alive: bool
    connections: int
    note: str | None


@dataclass(frozen=True)
class OpenDigest:
    """A digest that is being built or sent, or is paused.

    Attributes:
        reason: why it is paused, if it is.
        waiting_later, next_try_at: how many of `pending` wait for another try, and when the first is due.
        waiting_since: when the oldest due mail became due.
    """

    id: int
    newsletter: str
    schedule: str
    slot: str
    status: str
    reason: str | None
    pending: int
    waiting_later: int
    next_try_at: datetime | None
    waiting_since: datetime | None


@dataclass(frozen=True)
class FailingFeed:
    """A feed whose last fetches failed."""

    url: str
    since: datetime
    error: str


@dataclass(frozen=True)
class DigestInDoubt:
    """A digest with mails in doubt that staff must settle."""

    digest: int
    mails: int


@dataclass(frozen=True)
class ScheduleStatus:
    """A schedule's next slot, and the one that is overdue.

    Attributes:
        slot, due_at: the next slot; None while the schedule is paused, or if there is none.
        overdue: a slot that may still be built: its time has passed, and no scheduler has begun to.
        overdue_since: when that slot was; of several that were not built, the first.
    """

    schedule: str
    slot: str | None
    due_at: datetime | None
    zone: str
    paused: bool
    overdue: str | None
    overdue_since: datetime | None


@dataclass(frozen=True)
class Status:
    """The state at one moment; times are in UTC.

    Attributes:
        restored_at, restored_backup_at: when the database was restored, and when that backup was made;
            nothing is built or sent until `mailer resume`.
        waiting_later, next_try_at: how many mails wait for another try, and when the first is due.
        waiting_since: when the oldest due mail became due.
        relay_fails: why no running sender has a connection to the relay, if each says why.
        in_doubt: how many mails are in doubt that staff have not settled.
        notices_in_doubt: of the latest notices, how many ended in doubt within a day.
        alarming: the digests of which too much came back within a week.
    """

    paused_at: datetime | None
    paused_reason: str | None
    restored_at: datetime | None
    restored_backup_at: datetime | None
    processes: tuple[Process, ...]
    notices_waiting: int
    deliveries_waiting: int
    waiting_later: int
    next_try_at: datetime | None
    waiting_since: datetime | None
    relay_fails: str | None
    in_doubt: int
    notices_in_doubt: int
    doubtful: tuple[DigestInDoubt, ...]
    digests: tuple[OpenDigest, ...]
    failing_feeds: tuple[FailingFeed, ...]
    without_schedule: tuple[str, ...]
    alarming: tuple[AlarmingDigest, ...]
    next: tuple[ScheduleStatus, ...]

    def runs(self, role: WorkerRole) -> bool:
        """Tell whether a worker of this role is running."""
        return any(process.alive and process.role == role for process in self.processes)


def read_status(session: Session, *, lease: timedelta, now: datetime) -> Status:
    """Read the state of the installation at `now`.

    Args:
        lease: how long a worker may be silent before it is considered dead.

    Raises:
        BadSchedule: a schedule's rule cannot be parsed.
    """
    installation = session.scalars(select(Installation)).one()
    digests = tuple(_open_digests(session, now))
    doubtful = tuple(DigestInDoubt(*pair) for pair in in_doubt.by_digest(session).items())
    notices = _waiting(session, Notice, now)
    processes = tuple(_processes(session, now - lease))
    return Status(
        paused_at=installation.paused_at,
        paused_reason=installation.paused_reason,
        restored_at=installation.restored_at,
        restored_backup_at=installation.restored_backup_at,
        processes=processes,
        notices_waiting=notices.number,
        deliveries_waiting=sum(digest.pending for digest in digests),
        waiting_later=notices.later + sum(digest.waiting_later for digest in digests),
        next_try_at=_earliest(notices.next_at, *(digest.next_try_at for digest in digests)),
        waiting_since=_earliest(notices.since, *(digest.waiting_since for digest in digests)),
        relay_fails=_relay_fails(processes),
        in_doubt=sum(digest.mails for digest in doubtful),
        notices_in_doubt=_notices_in_doubt(session, now - _RECENT),
        doubtful=doubtful,
        digests=digests,
        failing_feeds=tuple(
            FailingFeed(url, since, error or "")
            for url, since, error in session.execute(
                select(Feed.url, Feed.failing_since, Feed.error)
                .where(Feed.failing_since.is_not(None))
                .order_by(Feed.failing_since)
            )
            if since is not None
        ),
        without_schedule=tuple(
            session.scalars(
                select(Newsletter.slug)
                .where(
                    ~select(Schedule.id)
                    .where(Schedule.newsletter_id == Newsletter.id, Schedule.is_default)
                    .exists()
                )
                .order_by(Newsletter.slug)
            )
        ),
        alarming=tuple(alarming_digests(session, now - _ALARMING)),
        next=tuple(_schedules(session, now)),
    )


def _processes(session: Session, heard_since: datetime) -> Iterable[Process]:
    rows = session.execute(
        select(
            Worker.role,
            Worker.host,
            Worker.pid,
            Worker.started_at,
            Worker.heartbeat_at,
            Worker.heartbeat_at >= heard_since,
            Worker.connections,
            Worker.note,
        )
        .where(Worker.stopped_at.is_(None))
        .order_by(Worker.id)
    )
    return (Process(*row) for row in rows)


def _relay_fails(processes: Iterable[Process]) -> str | None:
    senders = [row for row in processes if row.alive and row.role == WorkerRole.SENDER]
    if any(sender.connections or not sender.note for sender in senders):
        return None
    return next((sender.note for sender in senders), None)


@dataclass(frozen=True)
class _Waiting:
    """What waits among some rows of one table.

    Attributes:
        number: how many wait in all.
        later, next_at: how many of these are due only later, and when the first of them is.
        since: when the oldest due one became due.
    """

    number: int
    later: int
    next_at: datetime | None
    since: datetime | None


def _waiting(
    session: Session, table: type[Delivery | Notice], now: datetime, *which: ColumnElement[bool]
) -> _Waiting:
    """Count what waits among these rows; reads the partial indexes, and never what has been sent."""
    count_and_first = func.count(), func.min(table.next_attempt_at)
    waits = is_in(table, WAITING)
    due, since = session.execute(
        select(*count_and_first).where(waits, table.next_attempt_at <= now, *which)
    ).one()
    later, next_at = session.execute(
        select(*count_and_first).where(waits, table.next_attempt_at > now, *which)
    ).one()
    held = session.scalar(select(func.count()).select_from(table).where(is_in(table, HELD), *which))
    return _Waiting(due + later + (held or 0), later, next_at, since)


def _notices_in_doubt(session: Session, since: datetime) -> int:
    latest = (
        select(Notice.status, Notice.outcome_at)
        .order_by(Notice.id.desc())
        .limit(_NOTICES_SEARCHED)
        .subquery()
    )
    number = session.scalar(
        select(func.count())
        .select_from(latest)
        .where(latest.c.status == DeliveryStatus.UNKNOWN, latest.c.outcome_at > since)
    )
    return number or 0


def _open_digests(session: Session, now: datetime) -> Iterable[OpenDigest]:
    rows = session.execute(
        select(Newsletter.slug, Schedule.name, Digest)
        .select_from(Digest)
        .join(Schedule, Schedule.id == Digest.schedule_id)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .where(Digest.status.in_(OPEN))
        .order_by(Digest.due_at, Digest.id)
    )
    for slug, name, digest in rows:
        waiting = _waiting(session, Delivery, now, Delivery.digest_id == digest.id)
        yield OpenDigest(
            id=digest.id,
            newsletter=slug,
            schedule=name,
            slot=digest.slot,
            status=digest.status.value,
            reason=digest.reason,
            pending=waiting.number,
            waiting_later=waiting.later,
            next_try_at=waiting.next_at,
            waiting_since=waiting.since,
        )


def _schedules(session: Session, now: datetime) -> Iterable[ScheduleStatus]:
    for newsletter, schedule, _ in schedule_lookup.of_newsletters(session):
        if slot_lookup.is_over(session, schedule, now=now):
            continue
        slot = slot_lookup.coming_slot(session, schedule, now=now)
        due = slot_lookup.due(session, schedule, now=now)
        missed = [skipped.slot for skipped in due.skipped] + ([due.build] if due.build else [])
        yield ScheduleStatus(
            schedule=f"{newsletter.slug}/{schedule.name}",
            slot=slot.name if slot else None,
            due_at=slot.due_at if slot else None,
            zone=schedule.zone,
            paused=schedule.paused_at is not None,
            overdue=due.build.name if due.build else None,
            overdue_since=min((slot.due_at for slot in missed), default=None),
        )


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)
