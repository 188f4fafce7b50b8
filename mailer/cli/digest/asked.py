"""Which schedule, slot and reader a command of `mailer digest` is about."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import click
from sqlalchemy.orm import Session

from mailer.digests import schedules, timetable
from mailer.digests.calendar import Slot
from mailer.errors import Refused
from mailer.models import Newsletter, Schedule

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Asked:
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


def asked(session: Session, reference: str, slot: str | None, *, now: datetime) -> Asked:
    """What `plan`, `preview` and `test` are about: a coming slot, else the first without a digest.

    Raises:
        NotFound: there is no such schedule.
        Refused: it has no such slot, or none is to come.
    """
    newsletter, schedule = schedules.find(session, reference)
    if slot is None:
        found = timetable.next_free_slot(session, schedule, now=now)
        if found is None:
            raise Refused(
                f"{reference} has no slot to come; see `mailer schedule show {reference}`"
            )
        return Asked(newsletter, schedule, found)
    found = timetable.slot_meant(schedule, slot)
    if found.due_at <= max(now, schedule.active_from):
        raise Refused(
            f"slot {found.name} is past; `mailer schedule next {reference}` lists those to come"
        )
    return Asked(newsletter, schedule, found)
