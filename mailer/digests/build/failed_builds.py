"""Puts off a slot whose build failed, longer each time, and tells staff once.

Keeps this in the schedule's row, so that all schedulers know. Never commits.
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
    """Return how long a build rests after so many failures (1 or more): twice as long after each."""
    return min(FIRST_PAUSE * (1 << min(failures - 1, 10)), LONGEST_PAUSE)


def may_try(schedule: Schedule, slot: Slot, *, now: datetime) -> bool:
    """Whether this slot may be built now, as far as earlier failures allow it."""
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
    """Put off the next try, and tell staff if it is the first failure of this slot.

    Args:
        slot: the name of the slot.
        error: why the build failed; only the mailer's own messages are passed on to staff.
    """
    schedule = session.get_one(Schedule, schedule_id, with_for_update=True)
    is_first = schedule.failed_slot != slot
    schedule.failed_builds = 1 if is_first else schedule.failed_builds + 1
    schedule.failed_slot = slot
    schedule.next_build_at = now + pause_after(schedule.failed_builds)
    session.flush()
    if is_first:
        is_known = isinstance(error, MailerError)
        reason = str(error) if is_known else "an unexpected error; see the log"
        tell_missed(session, alerts, schedule, slot, reason, now=now)


def tell_missed(
    session: Session,
    alerts: Alerts,
    schedule: Schedule,
    slot: str,
    reason: str | None,
    *,
    now: datetime,
) -> None:
    """Tell staff that this slot has no digest: `reason` is why the build failed, None if it is too late."""
    newsletter = session.get_one(Newsletter, schedule.newsletter_id)
    reference = f"{newsletter.slug}/{schedule.name}"
    alert.on_slot_missed(
        session, alerts, newsletter, schedule=reference, slot=slot, reason=reason, now=now
    )
