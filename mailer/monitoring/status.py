"""The state of the installation for people to read: what runs, what waits, and what needs somebody.

Only reads. What it says of workers goes by the wall clock and decides nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailer.ledger.in_doubt import in_doubt
from mailer.ledger.transitions import HELD, WAITING, is_in
from mailer.models import (
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
    WorkerRole,
)
from mailer.text.english import pluralise

_WAIT = ("mail waits", "mails wait")
_DOUBTFUL_NAMED = 5
"""So many digests with mails in doubt are named, the latest; there may be years of them."""

_LATELY = timedelta(days=1)
_NOTICES_LOOKED_AT = 1000
"""The latest: no index leads to those in doubt, and nobody has to decide on one that is old."""


@dataclass(frozen=True)
class Process:
    """A process that sends or builds, and whether it has been heard of within the lease.

    `connections` are those to the relay, `note` says why it sends nothing now, where it does not.
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
    """A digest that is being built or sent, or that is held up.

    Attributes:
        reason: why it is paused, where it is.
        waiting_later, next_try_at: how many of `pending` wait for another try, and when the first is due.
        waiting_since: since when the one waits that has been due the longest.
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
class Failing:
    """A feed that could not be fetched or read lately."""

    url: str
    since: datetime
    error: str


@dataclass(frozen=True)
class Doubtful:
    """A digest of which staff must say what happens to mails in doubt."""

    digest: int
    mails: int


@dataclass(frozen=True)
class Status:
    """The state at one moment; times are in UTC.

    Attributes:
        waiting_later, next_try_at: how many mails wait for another try, and when the first is due.
        waiting_since: since when the mail waits that has been due the longest.
        relay_fails: why no sender that lives has a connection to the relay, where each says why.
        in_doubt: how many mails are in doubt of which staff have not said what happens.
        notices_in_doubt: of the latest notices, how many stayed in doubt within a day.
    """

    paused_at: datetime | None
    paused_reason: str | None
    processes: tuple[Process, ...]
    notices_waiting: int
    deliveries_waiting: int
    waiting_later: int
    next_try_at: datetime | None
    waiting_since: datetime | None
    relay_fails: str | None
    in_doubt: int
    notices_in_doubt: int
    doubtful: tuple[Doubtful, ...]
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
    digests = tuple(_open_digests(session, now))
    doubtful = tuple(Doubtful(*pair) for pair in in_doubt(session).items())
    notices = _waiting(session, Notice, now)
    processes = tuple(_processes(session, now - lease))
    return Status(
        paused_at=installation.paused_at,
        paused_reason=installation.paused_reason,
        processes=processes,
        notices_waiting=notices.number,
        deliveries_waiting=sum(one.pending for one in digests),
        waiting_later=notices.later + sum(one.waiting_later for one in digests),
        next_try_at=_first(notices.next_at, *(one.next_try_at for one in digests)),
        waiting_since=_first(notices.since, *(one.waiting_since for one in digests)),
        relay_fails=_relay_fails(processes),
        in_doubt=sum(one.mails for one in doubtful),
        notices_in_doubt=_notices_in_doubt(session, now - _LATELY),
        doubtful=doubtful,
        digests=digests,
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
        why = f" ({status.paused_reason})" if status.paused_reason else ""
        found.append(f"sending is paused{why}; `mailer resume` starts it again")
    paused = [one for one in status.digests if one.status == DigestStatus.PAUSED]
    found += [
        f"digest {one.id} of {one.newsletter}/{one.schedule} is paused ({one.reason}), "
        f"{pluralise(one.pending, *_WAIT)}; `mailer digest resume {one.id}` goes on, "
        f"`mailer digest cancel {one.id}` ends it"
        for one in paused
    ]
    waiting = status.notices_waiting + status.deliveries_waiting
    waiting -= sum(one.pending for one in paused)
    if waiting and status.paused_at is None and not status.sends:
        what = ("mail waits and nothing sends it", "mails wait and nothing sends them")
        found.append(f"{pluralise(waiting, *what)}; start `mailer run`")
    found += [
        f"the {one.role} {one.pid} on {one.host} sends nothing now: {one.note}"
        for one in status.processes
        if one.alive and one.note
    ]
    if status.doubtful:
        which = ", ".join(
            f"{one.mails} of digest {one.digest}" for one in status.doubtful[:_DOUBTFUL_NAMED]
        )
        more = ", …" if len(status.doubtful) > _DOUBTFUL_NAMED else ""
        found.append(
            f"{pluralise(status.in_doubt, 'mail is', 'mails are')} in doubt ({which}{more}); "
            "`mailer delivery list --status unknown` shows which, "
            "`mailer delivery resolve --digest ID` with --resend or --drop settles it"
        )
    if status.notices_in_doubt:
        what = ("confirmation or other notice", "confirmations or other notices")
        found.append(
            f"{pluralise(status.notices_in_doubt, *what)} of the last day stayed in doubt: the relay may "
            "have lost them, and its log may tell; who misses one can ask for it again"
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
            connections=worker.connections,
            note=worker.note,
        )


def _relay_fails(processes: Iterable[Process]) -> str | None:
    senders = [one for one in processes if one.alive and one.role == WorkerRole.SENDER]
    if any(one.connections or not one.note for one in senders):
        return None
    return next((one.note for one in senders), None)


@dataclass(frozen=True)
class _Waiting:
    """Rows of one table: those that are due or held, those for later, and the two times of interest."""

    number: int
    later: int
    next_at: datetime | None
    since: datetime | None


def _waiting(
    session: Session, table: type[Delivery | Notice], now: datetime, *which: ColumnElement[bool]
) -> _Waiting:
    """What waits among these rows; reads the partial indexes, and never what has been sent."""
    pluralise = func.count(), func.min(table.next_attempt_at)
    waits = is_in(table, WAITING)
    due, since = session.execute(
        select(*pluralise).where(waits, table.next_attempt_at <= now, *which)
    ).one()
    later, next_at = session.execute(
        select(*pluralise).where(waits, table.next_attempt_at > now, *which)
    ).one()
    held = session.scalar(select(func.count()).select_from(table).where(is_in(table, HELD), *which))
    return _Waiting(due + later + (held or 0), later, next_at, since)


def _notices_in_doubt(session: Session, since: datetime) -> int:
    latest = (
        select(Notice.status, Notice.outcome_at)
        .order_by(Notice.id.desc())
        .limit(_NOTICES_LOOKED_AT)
        .subquery()
    )
    found = session.scalar(
        select(func.count())
        .select_from(latest)
        .where(latest.c.status == DeliveryStatus.UNKNOWN, latest.c.outcome_at > since)
    )
    return found or 0


def _open_digests(session: Session, now: datetime) -> Iterable[OpenDigest]:
    rows = session.execute(
        select(Newsletter.slug, Schedule.name, Digest)
        .select_from(Digest)
        .join(Schedule, Schedule.id == Digest.schedule_id)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .where(
            Digest.status.in_([DigestStatus.BUILDING, DigestStatus.SENDING, DigestStatus.PAUSED])
        )
        .order_by(Digest.due_at, Digest.id)
    )
    for slug, name, digest in rows:
        found = _waiting(session, Delivery, now, Delivery.digest_id == digest.id)
        yield OpenDigest(
            id=digest.id,
            newsletter=slug,
            schedule=name,
            slot=digest.slot,
            status=digest.status.value,
            reason=digest.reason,
            pending=found.number,
            waiting_later=found.later,
            next_try_at=found.next_at,
            waiting_since=found.since,
        )


def _first(*instants: datetime | None) -> datetime | None:
    return min((one for one in instants if one is not None), default=None)
