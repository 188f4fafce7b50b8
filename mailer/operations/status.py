"""The state of the installation for people to read: what runs, what waits, and what needs somebody.

Only reads. What it says of workers goes by the wall clock and decides nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.models import (
    PENDING,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Feed,
    Installation,
    Newsletter,
    Notice,
    Schedule,
    Worker,
)


@dataclass(frozen=True)
class Process:
    """A process that sends or builds, and whether it has been heard of within the lease."""

    role: str
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    alive: bool


@dataclass(frozen=True)
class OpenDigest:
    """A digest that is being built or sent, or that is held up."""

    id: int
    newsletter: str
    schedule: str
    slot: str
    status: str
    pending: int


@dataclass(frozen=True)
class Failing:
    """A feed that could not be fetched or read lately."""

    url: str
    since: datetime
    error: str


@dataclass(frozen=True)
class Status:
    """The state at one moment; times are in UTC."""

    paused_at: datetime | None
    paused_reason: str | None
    processes: tuple[Process, ...]
    notices_waiting: int
    deliveries_waiting: int
    in_doubt: int
    digests: tuple[OpenDigest, ...]
    failing_feeds: tuple[Failing, ...]
    without_schedule: tuple[str, ...]

    @property
    def sends(self) -> bool:
        """Whether somebody is there to send."""
        return any(process.alive and process.role == "sender" for process in self.processes)


def read_status(session: Session, *, lease: timedelta, now: datetime) -> Status:
    """The state of the installation at `now`."""
    installation = session.scalars(select(Installation)).one()
    return Status(
        paused_at=installation.paused_at,
        paused_reason=installation.paused_reason,
        processes=tuple(_processes(session, now - lease)),
        notices_waiting=_count(session, Notice, PENDING),
        deliveries_waiting=_count(session, Delivery, PENDING),
        in_doubt=_count(session, Delivery, {DeliveryStatus.UNKNOWN}),
        digests=tuple(_open_digests(session)),
        failing_feeds=tuple(
            Failing(url, since, error or "")
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
    )


def warnings(status: Status) -> list[str]:
    """What needs somebody, each with the next step."""
    found = []
    if status.paused_at is not None:
        found.append("sending is paused; `mailer resume` starts it again")
    waiting = status.notices_waiting + status.deliveries_waiting
    if waiting and status.paused_at is None and not status.sends:
        found.append(f"{waiting} mails wait and nothing sends them; start `mailer run`")
    if status.in_doubt:
        found.append(
            f"{status.in_doubt} mails are in doubt; `mailer delivery list --status unknown` shows them"
        )
    found += [
        f"feed {feed.url} fails since {feed.since:%Y-%m-%d %H:%M} UTC: {feed.error}; "
        "`mailer feed refresh` tries again"
        for feed in status.failing_feeds
    ]
    found += [
        f"newsletter {slug} has no schedule, so nobody can sign up; `mailer schedule add {slug} …`"
        for slug in status.without_schedule
    ]
    return found


def _processes(session: Session, heard_since: datetime) -> Iterable[Process]:
    for worker in session.scalars(
        select(Worker).where(Worker.stopped_at.is_(None)).order_by(Worker.id)
    ):
        yield Process(
            role=worker.role.value,
            host=worker.host,
            pid=worker.pid,
            started_at=worker.started_at,
            heartbeat_at=worker.heartbeat_at,
            alive=worker.heartbeat_at >= heard_since,
        )


def _count(
    session: Session, kind: type[Delivery | Notice], statuses: Iterable[DeliveryStatus]
) -> int:
    found = session.scalar(
        select(func.count()).select_from(kind).where(kind.status.in_(list(statuses)))
    )
    return found or 0


def _open_digests(session: Session) -> Iterable[OpenDigest]:
    pending = (
        select(func.count())
        .select_from(Delivery)
        .where(Delivery.digest_id == Digest.id, Delivery.status.in_(PENDING))
        .scalar_subquery()
    )
    rows = session.execute(
        select(Digest.id, Newsletter.slug, Schedule.name, Digest.slot, Digest.status, pending)
        .join(Schedule, Schedule.id == Digest.schedule_id)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .where(
            Digest.status.in_([DigestStatus.BUILDING, DigestStatus.SENDING, DigestStatus.PAUSED])
        )
        .order_by(Digest.due_at, Digest.id)
    )
    for digest_id, slug, name, slot, status, left in rows:
        yield OpenDigest(digest_id, slug, name, slot, status.value, left)
