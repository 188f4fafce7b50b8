"""Looks up a schedule's slots beside its digests: what is due, what comes next, which slot a name means.

Never writes. `calendar` computes the slots, and `due_slots` decides about them.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from mailer.clock import YEARS
from mailer.clock import zone as zone_named
from mailer.digests.schedules.calendar import SLOT_FORMAT, Rule, Slot, slot_named, slots
from mailer.digests.schedules.due_slots import DueSlots, RecordedSlots, due_slots
from mailer.errors import Refused
from mailer.models import Digest, Review, Schedule, ScheduleKind


def due(session: Session, schedule: Schedule, *, now: datetime) -> DueSlots:
    """Decide what to do now about the schedule's slots; nothing while it is paused or removed.

    Raises:
        BadSchedule: its rule cannot be parsed.
    """
    if schedule.paused_at is not None or schedule.removed_at is not None:
        return DueSlots()
    # All before the latest slot that was handled in time has been decided. A digest that staff had built
    # before its slot says nothing about the slots before it.
    settled = session.scalar(
        select(func.max(Digest.due_at)).where(
            Digest.schedule_id == schedule.id,
            Digest.due_at <= now,
            Digest.created_at >= Digest.due_at,
        )
    )
    after = schedule.active_from if settled is None else max(settled, schedule.active_from)
    return due_slots(
        Rule.of(schedule),
        after=after,
        recorded=_recorded(session, schedule, after),
        max_lateness=schedule.max_lateness,
        now=now,
    )


def digest_at(session: Session, schedule: Schedule, slot: Slot) -> Digest | None:
    """Find the digest of that slot, or of its instant under another name after the rule was edited."""
    return session.scalar(
        select(Digest)
        .where(
            Digest.schedule_id == schedule.id,
            or_(Digest.slot == slot.name, Digest.due_at == slot.due_at),
        )
        .order_by((Digest.slot == slot.name).desc())
        .limit(1)
    )


def next_slot(schedule: Schedule, *, now: datetime) -> Slot | None:
    """Find the schedule's first slot after `now`, whether it has a digest or not.

    Raises:
        BadSchedule: its rule cannot be parsed.
    """
    return next(slots(Rule.of(schedule), max(now, schedule.active_from)), None)


def next_free_slot(session: Session, schedule: Schedule, *, now: datetime) -> Slot | None:
    """Find the schedule's first slot after `now` that has no digest yet.

    Raises:
        BadSchedule: its rule cannot be parsed.
    """
    after = max(now, schedule.active_from)
    recorded = _recorded(session, schedule, after)
    return next((slot for slot in slots(Rule.of(schedule), after) if not recorded.has(slot)), None)


def coming_slot(session: Session, schedule: Schedule, *, now: datetime) -> Slot | None:
    """Find the slot that goes out next: as `next_free_slot`, but None while the schedule is paused.

    Raises:
        BadSchedule: its rule cannot be parsed.
    """
    return None if schedule.paused_at else next_free_slot(session, schedule, now=now)


def is_over(session: Session, schedule: Schedule, *, now: datetime) -> bool:
    """Whether it is a one-off whose one slot was built or skipped.

    Raises:
        BadSchedule: its rule cannot be parsed.
    """
    return (
        schedule.kind is ScheduleKind.ONCE
        and next_free_slot(session, schedule, now=now) is None
        and due(session, schedule, now=now).build is None
    )


def slot_of(record: Digest | Review, schedule: Schedule) -> Slot:
    """Return the slot that a digest or a review is about, whatever the schedule's rule is by now.

    Raises:
        Refused: the schedule's zone does not exist any more.
    """
    local = record.due_at.astimezone(zone_named(schedule.zone))
    return Slot(due_at=record.due_at, name=record.slot, local=local)


def parse_slot(schedule: Schedule, text: str) -> Slot:
    """Find the slot that staff name: by its local date and time, or by its instant with an offset.

    Raises:
        BadSchedule: the schedule's rule cannot be parsed.
        Refused: the schedule has no such slot.
    """
    rule = Rule.of(schedule)
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise Refused(
            f"{text!r} is not a slot; name it as `mailer schedule next` does, such as 2026-11-24T06:00"
        ) from error
    if parsed.year not in YEARS:
        slot = None
    elif parsed.tzinfo is None:
        slot = slot_named(rule, parsed.strftime(SLOT_FORMAT))
    else:
        at = parsed.astimezone(UTC)
        slot = next(slots(rule, at - timedelta(seconds=1), at), None)
    if slot is None:
        raise Refused(f"the schedule has no slot {text!r}; `mailer schedule next` lists them")
    return slot


def _recorded(session: Session, schedule: Schedule, after: datetime) -> RecordedSlots:
    """Find the slots that have a digest and are after `after`, by their instants or by their names."""
    # Names are local times, which are never more than a day from UTC.
    names_from = (after.astimezone(UTC) - timedelta(days=2)).strftime(SLOT_FORMAT)
    rows = session.execute(
        select(Digest.slot, Digest.due_at).where(
            Digest.schedule_id == schedule.id,
            or_(Digest.due_at > after, Digest.slot > names_from),
        )
    ).all()
    return RecordedSlots(
        names=frozenset(name for name, _ in rows),
        instants=frozenset(due_at for _, due_at in rows),
    )
