"""Adds, edits, pauses and removes schedules.

Never decides when slots are: see `calendar` and `slot_lookup`. Schedules are found in `schedule_lookup`.
"""

import re
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, insert, literal, null, or_, select, update
from sqlalchemy.orm import Session

from mailer.clock import zone as zone_named
from mailer.digests.schedules.calendar import Rule, slots
from mailer.digests.schedules.schedule_lookup import WENT_OUT, default_of, find_named, has_reader
from mailer.digests.schedules.schedule_options import ScheduleLimits, check_limits
from mailer.errors import AlreadyExists, Refused
from mailer.journal.record import record_selected
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    Digest,
    DigestStatus,
    JournalEntry,
    JournalKind,
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


def add(
    session: Session,
    newsletter: Newsletter,
    name: str,
    rule: Rule,
    limits: ScheduleLimits,
    *,
    default: bool,
    now: datetime,
) -> Schedule:
    """Add a schedule to the newsletter; its first slot is the first after `now`.

    The newsletter's first schedule is its default until another becomes it.

    Raises:
        AlreadyExists: the newsletter has one of that name.
        BadSchedule: the rule cannot be parsed.
        Refused: the name or the limits are not valid.
    """
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} is not a valid schedule name; use up to 48 of a-z, 0-9 and -, such as daily"
        )
    check_limits(rule, limits)
    if find_named(session, newsletter.id, name) is not None:
        raise AlreadyExists(
            f"{newsletter.slug} has a schedule {name}; "
            f"change it with `mailer schedule edit {newsletter.slug}/{name}`"
        )
    schedule = insert_schedule(session, newsletter, name, rule, limits, now)
    if default or default_of(session, newsletter.id) is None:
        make_default(session, schedule)
    return schedule


def insert_schedule(
    session: Session,
    newsletter: Newsletter,
    name: str,
    rule: Rule,
    limits: ScheduleLimits,
    now: datetime,
) -> Schedule:
    """Insert the row of a schedule whose first slot is the first after `now`, without any check."""
    schedule = Schedule(
        newsletter_id=newsletter.id,
        name=name,
        active_from=now,
        created_at=now,
        **_columns(rule, limits),
    )
    session.add(schedule)
    session.flush()
    return schedule


def edit(
    session: Session, schedule: Schedule, rule: Rule, limits: ScheduleLimits, *, now: datetime
) -> None:
    """Change a schedule.

    If that moves its slots, only those after `now` count from then on, so that none in the past goes
    out. As many of the new rule's slots of today are left out as went out today already.

    Raises:
        BadSchedule: the rule cannot be parsed.
        Refused: the limits are not valid.
    """
    check_limits(rule, limits)
    # A builder that is just claiming today's slot commits first, and is seen.
    session.refresh(schedule, with_for_update=True)
    moved = rule != Rule.of(schedule)
    for name, value in _columns(rule, limits).items():
        setattr(schedule, name, value)
    if moved:
        schedule.active_from = _not_before(session, schedule, now)
    session.flush()


def pause(session: Session, schedule: Schedule, *, now: datetime) -> None:
    """Stop the schedule until `resume`."""
    if schedule.paused_at is None:
        schedule.paused_at = now
        session.flush()


def resume(session: Session, schedule: Schedule, *, now: datetime) -> None:
    """Start a paused schedule again, with the slots after `now`."""
    if schedule.paused_at is not None:
        schedule.paused_at = None
        # An edit after today's digest may have put it off to tomorrow: pausing must not undo that.
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
    """Remove a schedule; its readers, and sign-ups that wait for confirmation, move to `target`.

    What it has queued is still sent. If it was the default, `target` becomes the default.

    Returns:
        How many readers moved.

    Raises:
        Refused: it has readers and there is no target, or nobody can move to that target.
    """
    if target is not None and target.newsletter_id != schedule.newsletter_id:
        raise Refused("readers cannot move to another newsletter; name one of its own schedules")
    if target is not None and target.kind is ScheduleKind.ONCE:
        raise Refused("nobody can be on a one-off; name another schedule")
    if target is not None and target.id == schedule.id:
        raise Refused("readers cannot move to the schedule that is being removed; name another one")
    # A reader who is being added just now comes first and is counted; one who comes later waits, and
    # finds it removed. All of the newsletter's schedules are locked, in the order in which others do so.
    session.execute(
        select(Schedule.id)
        .where(Schedule.newsletter_id == schedule.newsletter_id)
        .order_by(Schedule.id)
        .with_for_update()
    )
    session.refresh(schedule)
    readers = session.scalars(
        select(func.count()).where(has_reader(), Schedule.id == schedule.id)
    ).one()
    waiting = session.scalars(
        select(func.count())
        .select_from(SignupChoice)
        .join(Signup, Signup.id == SignupChoice.signup_id)
        .where(
            SignupChoice.schedule_id == schedule.id,
            Signup.confirmed_at.is_(None),
            Signup.dropped_at.is_(None),
            Signup.expires_at > now,
        )
    ).one()
    if target is None and (readers or waiting):
        raise Refused(
            f"{pluralise(readers, 'reader')} and {pluralise(waiting, 'sign-up')} are on it; "
            "name their new schedule with --move-to SLUG/OTHER"
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


def _columns(rule: Rule, limits: ScheduleLimits) -> dict[str, object]:
    return {**asdict(rule), **asdict(limits), "review": limits.review or None}


def _not_before(session: Session, schedule: Schedule, now: datetime) -> datetime:
    """Return `now`, or the last of those slots of today that would repeat what went out today.

    A schedule with one slot a day sends nothing more today. Of one with several, the first slots of today
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
            Digest.status.in_((*WENT_OUT, DigestStatus.BUILDING)),
            or_(
                Digest.slot.startswith(today.isoformat()),
                # If the zone was changed too, it is today's by the new zone.
                and_(Digest.due_at >= midnight, Digest.due_at < midnight + _DAY),
            ),
        )
    )
    # In a gap around midnight a slot may fall on the date before its name or after it.
    around = slots(Rule.of(schedule), midnight - _DAY, midnight + 2 * _DAY)
    todays = [slot for slot in around if slot.name.startswith(today.isoformat())]
    return max([now, *(slot.due_at for slot in todays[: taken or 0])])


def _move(session: Session, schedule: Schedule, target: Schedule, now: datetime) -> None:
    """Move all readers to `target`, with an event in the consent log: staff changed what they chose.

    A restored database has to know it, because from now on they get the digests of `target`.
    """
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
    columns: list[Any] = [
        literal(now, JournalEntry.at.type),
        literal(JournalKind.MOVED, JournalEntry.kind.type),
        Subscriber.key_hash,
        Newsletter.slug,
        null(),
        literal(target.name),
    ]
    entries = (
        select(*columns)
        .select_from(Subscription)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .join(Newsletter, Newsletter.id == Subscription.newsletter_id)
        .where(Subscription.schedule_id == schedule.id, Subscription.left_at.is_(None))
        .order_by(Subscription.id)
    )
    record_selected(session, entries)
    for table in (Subscription, SignupChoice):
        session.execute(
            update(table)
            .where(table.schedule_id == schedule.id)
            .values(schedule_id=target.id)
            .execution_options(synchronize_session=False)
        )
