"""What becomes of a slot whose build fails: it is tried again, later each time, and staff are told once.

Remembers it in the schedule's row, so that all schedulers know. Builds nothing, and never commits.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from mailer.digests.schedules.calendar import Slot
from mailer.errors import MailerError
from mailer.models import Newsletter, Schedule
from mailer.notices import alert
from mailer.notices.alert import Alerts

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=15)


def pause_after(failures: int) -> timedelta:
    """How long a build rests after so many failures (1 or more): twice as long after each."""
    return min(FIRST_PAUSE * (1 << min(failures - 1, 10)), LONGEST_PAUSE)


def may_try(schedule: Schedule, slot: Slot, *, now: datetime) -> bool:
    """Whether this slot may be built now, as far as failures before are concerned."""
    if schedule.failed_slot != slot.name or schedule.next_build_at is None:
        return True
    # A clock that was set back must not keep a build waiting for hours.
    return not now < schedule.next_build_at <= now + LONGEST_PAUSE


def note_failure(
    session: Session,
    alerts: Alerts,
    schedule_id: int,
    slot: str,
    error: BaseException,
    *,
    now: datetime,
) -> None:
    """Puts off the next try, and tells staff when it is the first failure of this slot.

    Args:
        slot: the name of the slot.
        error: why no digest came of it; only what the mailer itself says is passed on to staff.
    """
    schedule = session.get_one(Schedule, schedule_id, with_for_update=True)
    is_first = schedule.failed_slot != slot
    schedule.failed_builds = 1 if is_first else schedule.failed_builds + 1
    schedule.failed_slot = slot
    schedule.next_build_at = now + pause_after(schedule.failed_builds)
    session.flush()
    if is_first:
        newsletter = session.get_one(Newsletter, schedule.newsletter_id)
        reference = f"{newsletter.slug}/{schedule.name}"
        alert.on_build_failed(
            session,
            alerts,
            newsletter,
            schedule=reference,
            slot=slot,
            reason=str(error)
            if isinstance(error, MailerError)
            else "an unexpected error; see the log",
            now=now,
        )


def note_late(
    session: Session, alerts: Alerts, schedule: Schedule, slot: str, *, now: datetime
) -> None:
    """Tells staff that nothing is sent for this slot, because it became too late for it."""
    newsletter = session.get_one(Newsletter, schedule.newsletter_id)
    alert.on_slot_late(
        session,
        alerts,
        newsletter,
        schedule=f"{newsletter.slug}/{schedule.name}",
        slot=slot,
        now=now,
    )
