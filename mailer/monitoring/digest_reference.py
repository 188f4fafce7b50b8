"""Finds the digest that a command means: a schedule, and one of its slots. Only reads."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.digests.schedules import schedule_lookup, slot_lookup
from mailer.digests.schedules.calendar import Slot
from mailer.errors import Refused
from mailer.models import Digest, Newsletter, Schedule, ScheduleKind


@dataclass(frozen=True)
class DigestTarget:
    """The digest of a schedule at a slot, whether it exists yet or not."""

    newsletter: Newsletter
    schedule: Schedule
    slot: Slot

    @property
    def reference(self) -> str:
        """The schedule's name as commands take it: SLUG/NAME."""
        return f"{self.newsletter.slug}/{self.schedule.name}"


def coming_target(
    session: Session, reference: str, slot_name: str | None, *, now: datetime
) -> DigestTarget:
    """Find a digest to plan, preview or test: of the named coming slot, else of the first without one.

    Raises:
        NotFound: there is no such schedule.
        Refused: it has no such slot, or none is to come.
    """
    newsletter, schedule = schedule_lookup.find(session, reference)
    if slot_name is None:
        slot = slot_lookup.next_free_slot(session, schedule, now=now)
    else:
        slot = slot_lookup.parse_slot(schedule, slot_name)
        if slot.due_at <= max(now, schedule.active_from):
            raise Refused(_is_past(reference, slot))
    if slot is None:
        raise Refused(_no_slot(session, reference, schedule))
    return DigestTarget(newsletter, schedule, slot)


def target_to_send(
    session: Session, reference: str, slot_name: str | None, *, now: datetime
) -> tuple[DigestTarget, Digest | None]:
    """Find a digest to send now: of the named slot, else of the next one by the clock.

    Returns:
        The target, and its digest if there is one already.

    Raises:
        NotFound: there is no such schedule.
        Refused: it has no such slot, none is to come, or the digest of this slot may not be built now.
    """
    newsletter, schedule = schedule_lookup.find(session, reference)
    if slot_name is None:
        slot = slot_lookup.next_slot(schedule, now=now)
    else:
        slot = slot_lookup.parse_slot(schedule, slot_name)
    if slot is None:
        raise Refused(_no_slot(session, reference, schedule))
    digest = slot_lookup.digest_at(session, schedule, slot)
    if digest is None:
        if schedule.paused_at is not None:
            raise Refused(f"{reference} is paused; run `mailer schedule resume {reference}` first")
        if now - slot.due_at > schedule.max_lateness or slot.due_at <= schedule.active_from:
            raise Refused(_is_past(reference, slot))
    return DigestTarget(newsletter, schedule, slot), digest


def _is_past(reference: str, slot: Slot) -> str:
    return f"slot {slot.name} is past; `mailer schedule next {reference}` lists those to come"


def _no_slot(session: Session, reference: str, schedule: Schedule) -> str:
    """Say that a schedule has no coming slot: most often it is a one-off that is over."""
    digest = session.scalars(
        select(Digest)
        .where(Digest.schedule_id == schedule.id)
        .order_by(Digest.due_at.desc())
        .limit(1)
    ).one_or_none()
    if schedule.kind is ScheduleKind.ONCE and digest is not None:
        return (
            f"{reference} was for {digest.slot} only, and that is digest {digest.id} "
            f"({digest.status}); see `mailer digest show {digest.id}`"
        )
    return f"{reference} has no more slots; see `mailer schedule show {reference}`"
