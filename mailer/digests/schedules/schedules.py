"""Schedules as staff make and change them: what is valid, and the rows.

When slots fall is the calendar's matter, which of them are due the timetable's.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from mailer.clock import zone as zone_named
from mailer.digests.schedules import timetable
from mailer.digests.schedules.calendar import Rule, Slot, slots
from mailer.digests.schedules.schedule_options import ScheduleLimits, check_terms
from mailer.errors import AlreadyExists, NotFound, Refused
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    Digest,
    DigestStatus,
    Newsletter,
    Schedule,
    ScheduleKind,
    Signup,
    SignupChoice,
    Subscriber,
    Subscription,
)
from mailer.text.english import pluralise

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
_DAY: Final = timedelta(days=1)
_WENT_OUT: Final = (DigestStatus.SENDING, DigestStatus.PAUSED, DigestStatus.SENT)


def add(
    session: Session,
    newsletter: Newsletter,
    name: str,
    rule: Rule,
    terms: ScheduleLimits,
    *,
    default: bool,
    now: datetime,
) -> Schedule:
    """Give the newsletter a schedule whose first slot is the first after `now`.

    The newsletter's first one is its default until another becomes that.

    Raises:
        AlreadyExists: it has one of that name.
        Refused: the name or the terms are not valid.
    """
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} is no name for a schedule; use up to 48 of a-z, 0-9 and -, such as daily"
        )
    check_terms(rule, terms)
    if named(session, newsletter.id, name) is not None:
        raise AlreadyExists(
            f"{newsletter.slug} has a schedule {name}; "
            f"change it with `mailer schedule edit {newsletter.slug}/{name}`"
        )
    schedule = put(session, newsletter, name, rule, terms, now)
    if default or default_of(session, newsletter.id) is None:
        make_default(session, schedule)
    return schedule


def put(
    session: Session,
    newsletter: Newsletter,
    name: str,
    rule: Rule,
    terms: ScheduleLimits,
    now: datetime,
) -> Schedule:
    """The row of a schedule whose first slot is the first after `now`. Nothing is checked."""
    schedule = Schedule(
        newsletter_id=newsletter.id,
        name=name,
        active_from=now,
        created_at=now,
        **_columns(rule, terms),
    )
    session.add(schedule)
    session.flush()
    return schedule


def edit(
    session: Session, schedule: Schedule, rule: Rule, terms: ScheduleLimits, *, now: datetime
) -> None:
    """Change a schedule.

    Where that moves its slots, only those after `now` count from here on, so that none in the past
    fires; and as many of the new rule's slots of today as went out today already count no more.

    Raises:
        Refused: the terms are not valid.
    """
    check_terms(rule, terms)
    # A builder that has just taken today's comes first, and is seen.
    session.refresh(schedule, with_for_update=True)
    moved = rule != Rule.of(schedule)
    for name, value in _columns(rule, terms).items():
        setattr(schedule, name, value)
    if moved:
        schedule.active_from = _not_before(session, schedule, now)
    session.flush()


def pause(session: Session, schedule: Schedule, *, now: datetime) -> None:
    """Let no slot fire until `resume`."""
    if schedule.paused_at is None:
        schedule.paused_at = now
        session.flush()


def resume(session: Session, schedule: Schedule, *, now: datetime) -> None:
    """Let slots fire again, those after `now`; a schedule that was not paused stays as it is."""
    if schedule.paused_at is not None:
        schedule.paused_at = None
        # An edit after today's went out has put it off to tomorrow: pausing must not undo that.
        schedule.active_from = max(now, schedule.active_from)
        session.flush()


def make_default(session: Session, schedule: Schedule) -> None:
    """Make this the schedule of those who choose none.

    Raises:
        Refused: it is a one-off.
    """
    if schedule.kind is ScheduleKind.ONCE:
        raise Refused("a one-off cannot be the default; nobody can be on it")
    session.execute(
        update(Schedule)
        .where(Schedule.newsletter_id == schedule.newsletter_id, Schedule.is_default)
        .values(is_default=False)
    )
    schedule.is_default = True
    session.flush()


def remove(session: Session, schedule: Schedule, target: Schedule | None, *, now: datetime) -> int:
    """End a schedule; its readers, and sign-ups that wait for confirmation, move to `target`.

    What it has queued is still sent. Where it was the default, `target` becomes that.

    Returns:
        How many readers moved.

    Raises:
        Refused: somebody is on it and there is no target, or the target is of another newsletter.
    """
    if target is not None and target.newsletter_id != schedule.newsletter_id:
        raise Refused("readers cannot move to another newsletter; name one of its own schedules")
    if target is not None and target.kind is ScheduleKind.ONCE:
        raise Refused("nobody can be on a one-off; name another schedule")
    if target is not None and target.id == schedule.id:
        raise Refused("readers cannot move to the schedule that is removed; name another one")
    # Whoever is being put on it just now comes first, and is counted; whoever comes later waits, and
    # finds it removed. All of the newsletter's are taken, in the order in which others take them.
    session.execute(
        select(Schedule.id)
        .where(Schedule.newsletter_id == schedule.newsletter_id)
        .order_by(Schedule.id)
        .with_for_update()
    )
    session.refresh(schedule)
    readers = _count_readers(session, schedule)
    waiting = session.scalar(
        select(func.count())
        .select_from(SignupChoice)
        .join(Signup, Signup.id == SignupChoice.signup_id)
        .where(
            SignupChoice.schedule_id == schedule.id,
            Signup.confirmed_at.is_(None),
            Signup.dropped_at.is_(None),
            Signup.expires_at > now,
        )
    )
    if target is None and (readers or waiting):
        raise Refused(
            f"{pluralise(readers, 'reader')} and {pluralise(waiting or 0, 'sign-up')} are on it; "
            "say with --move-to SLUG/OTHER where they go"
        )
    was_default = schedule.is_default
    schedule.removed_at = now
    schedule.is_default = False
    session.flush()
    if target is not None:
        # Schedules before readers, as imports lock them: the other way round both might wait for ever.
        if was_default:
            make_default(session, target)
        _move(session, schedule, target, now)
    return readers


def find(session: Session, reference: str) -> tuple[Newsletter, Schedule]:
    """The schedule that "SLUG/NAME" names, or NAME alone if nothing else can be meant; with its newsletter.

    Raises:
        NotFound: there is none, or a single word may mean several.
    """
    slug, slash, name = reference.partition("/")
    statement = (
        select(Newsletter, Schedule)
        .join(Schedule, Schedule.newsletter_id == Newsletter.id)
        .where(Schedule.removed_at.is_(None))
        .order_by(Newsletter.slug, Schedule.name)
    )
    if not slash:
        # A newsletter's own name may mean any of its schedules, so it is only suggested from.
        meant = or_(Schedule.name == reference, Newsletter.slug == reference)
        rows = [(row[0], row[1]) for row in session.execute(statement.where(meant))]
        if len(rows) == 1 and rows[0][1].name == reference:
            return rows[0]
        names = [f"{newsletter.slug}/{schedule.name}" for newsletter, schedule in rows]
        hint = (
            f"did you mean {' or '.join(names)}?" if names else "`mailer schedule list` shows them"
        )
        raise NotFound(f"{reference!r} names no schedule; write SLUG/NAME: {hint}")
    row = session.execute(
        statement.where(Newsletter.slug == slug, Schedule.name == name)
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no schedule {reference}; `mailer schedule list` shows them all")
    return row[0], row[1]


def of_newsletters(
    session: Session, slug: str | None = None
) -> list[tuple[Newsletter, Schedule, int]]:
    """All schedules, or those of one newsletter, each with how many readers are on it."""
    readers = (
        select(func.count())
        .where(Subscription.schedule_id == Schedule.id, Subscription.left_at.is_(None))
        .correlate(Schedule)
        .scalar_subquery()
    )
    statement = (
        select(Newsletter, Schedule, readers)
        .join(Schedule, Schedule.newsletter_id == Newsletter.id)
        .where(Schedule.removed_at.is_(None))
        .order_by(Newsletter.slug, Schedule.name)
    )
    if slug is not None:
        statement = statement.where(Newsletter.slug == slug)
    return [
        (newsletter, schedule, count) for newsletter, schedule, count in session.execute(statement)
    ]


def default_of(session: Session, newsletter_id: int) -> Schedule | None:
    """The schedule of those who choose none."""
    return session.scalar(
        select(Schedule).where(Schedule.newsletter_id == newsletter_id, Schedule.is_default)
    )


def todays(session: Session, schedule: Schedule, *, now: datetime) -> Digest | None:
    """The digest that went out for a slot of the schedule's present local date, if one did."""
    today = now.astimezone(zone_named(schedule.zone)).date().isoformat()
    return session.scalar(
        select(Digest)
        .where(
            Digest.schedule_id == schedule.id,
            Digest.slot.startswith(today),
            Digest.status.in_(_WENT_OUT),
        )
        .order_by(Digest.due_at.desc())
        .limit(1)
    )


def coming(session: Session, schedule: Schedule, *, now: datetime) -> Slot | None:
    """The slot that fires next: the first without a digest, or None while the schedule is paused."""
    if schedule.paused_at is not None:
        return None
    return timetable.next_free_slot(session, schedule, now=now)


def _columns(rule: Rule, terms: ScheduleLimits) -> Mapping[str, Any]:
    return {
        "kind": rule.kind,
        "zone": rule.zone,
        "at": rule.at,
        "days": rule.days,
        "monthday": rule.monthday,
        "cron": rule.cron,
        "once": rule.once,
        "min_articles": terms.min_articles,
        "max_articles": terms.max_articles,
        "max_age": terms.max_age,
        "max_lateness": terms.max_lateness,
        "newcomers": terms.newcomers,
        "review": terms.review or None,
    }


def _not_before(session: Session, schedule: Schedule, now: datetime) -> datetime:
    """`now`, or the last of those slots of today that would repeat what went out today.

    A schedule of one slot a day sends nothing more today. Of one with several, the first slots of today
    stand for what went out, however they are moved.
    """
    zone = zone_named(schedule.zone)
    today = now.astimezone(zone).date()
    midnight = datetime.combine(today, time(), zone).astimezone(UTC)
    taken = session.scalar(
        select(func.count())
        .select_from(Digest)
        .where(
            Digest.schedule_id == schedule.id,
            Digest.status.in_((*_WENT_OUT, DigestStatus.BUILDING)),
            or_(
                Digest.slot.startswith(today.isoformat()),
                # Where the zone was changed too, it is today's by the new one.
                and_(Digest.due_at >= midnight, Digest.due_at < midnight + _DAY),
            ),
        )
    )
    # In a gap around midnight a slot may fall on the date before its name or after it.
    around = slots(Rule.of(schedule), midnight - _DAY, midnight + 2 * _DAY)
    todays = [slot for slot in around if slot.name.startswith(today.isoformat())]
    return max([now, *(slot.due_at for slot in todays[: taken or 0])])


def named(session: Session, newsletter_id: int, name: str) -> Schedule | None:
    """The newsletter's schedule of that name, if it has one."""
    return session.scalar(
        select(Schedule).where(
            Schedule.newsletter_id == newsletter_id,
            Schedule.name == name,
            Schedule.removed_at.is_(None),
        )
    )


def _count_readers(session: Session, schedule: Schedule) -> int:
    return (
        session.scalar(
            select(func.count())
            .select_from(Subscription)
            .where(Subscription.schedule_id == schedule.id, Subscription.left_at.is_(None))
        )
        or 0
    )


def _move(session: Session, schedule: Schedule, target: Schedule, now: datetime) -> None:
    """Put everybody on `target`, and say so in the consent log: staff changed what they had chosen."""
    session.execute(
        insert(ConsentEvent).from_select(
            ["kind", "at", "address", "key_hash", "newsletter_id", "schedule_id", "source"],
            select(
                literal(ConsentKind.CHANGED, ConsentEvent.kind.type),
                literal(now, ConsentEvent.at.type),
                Subscriber.address,
                Subscriber.key_hash,
                Subscription.newsletter_id,
                literal(target.id),
                literal("mailer schedule remove"),
            )
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            .where(Subscription.schedule_id == schedule.id, Subscription.left_at.is_(None)),
        )
    )
    for table in (Subscription, SignupChoice):
        session.execute(
            update(table)
            .where(table.schedule_id == schedule.id)
            .values(schedule_id=target.id)
            .execution_options(synchronize_session=False)
        )
