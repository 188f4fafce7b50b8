"""Which schedule, slot and reader a command of `mailer digest` is about."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.digests.schedules import schedule_lookup, slot_lookup
from mailer.digests.schedules.calendar import Slot
from mailer.errors import Refused
from mailer.models import Digest, Newsletter, Schedule, ScheduleKind

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Target:
    """What a command is about."""

    newsletter: Newsletter
    schedule: Schedule
    slot: Slot

    @property
    def reference(self) -> str:
        """SLUG/NAME."""
        return f"{self.newsletter.slug}/{self.schedule.name}"


def slot_options(command: Command) -> Command:
    """Gives a command the parameters `reference` and `slot`."""
    command = click.option(
        "--slot", metavar="ISO", help="As `mailer schedule next` prints it; else the next one."
    )(command)
    return click.argument("reference", metavar="SLUG/NAME")(command)


def find_target(session: Session, reference: str, slot: str | None, *, now: datetime) -> Target:
    """What `plan`, `preview` and `test` are about: a coming slot, else the first without a digest.

    Raises:
        NotFound: there is no such schedule.
        Refused: it has no such slot, or none is to come.
    """
    newsletter, schedule = schedule_lookup.find(session, reference)
    if slot is None:
        found = slot_lookup.next_free_slot(session, schedule, now=now)
        if found is None:
            raise Refused(no_slot(session, reference, schedule))
        return Target(newsletter, schedule, found)
    found = slot_lookup.parse_slot(schedule, slot)
    if found.due_at <= max(now, schedule.active_from):
        raise Refused(
            f"slot {found.name} is past; `mailer schedule next {reference}` lists those to come"
        )
    return Target(newsletter, schedule, found)


def no_slot(session: Session, reference: str, schedule: Schedule) -> str:
    """What to tell of a schedule that has no slot to come: a one-off that is over, mostly."""
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
    return f"{reference} has no slot to come; see `mailer schedule show {reference}`"
