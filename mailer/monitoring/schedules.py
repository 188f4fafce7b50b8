"""Reads schedules for people: when they go out, what their digests may hold, and their coming slots.

Only reads.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from mailer.clock import zone as zone_named
from mailer.digests.schedules import schedule_lookup, slot_lookup
from mailer.digests.schedules.calendar import Rule, Slot, slots
from mailer.digests.selection.plan import max_age
from mailer.errors import NotFound
from mailer.models import Newsletter, Schedule, ScheduleKind
from mailer.newsletters import newsletters
from mailer.text.english import duration

ScheduleData = dict[str, Any]
"""A schedule or a slot as `--json` prints it."""


def list_schedules(session: Session, *, now: datetime) -> list[ScheduleData]:
    """List the schedules of all newsletters, one-offs that are over included."""
    rows = schedule_lookup.of_newsletters(session)
    return [_overview(session, *row, now=now) for row in rows]


def read_schedule(session: Session, reference: str, *, now: datetime) -> ScheduleData:
    """Read one schedule.

    Raises:
        NotFound: there is no such schedule.
    """
    newsletter, schedule = schedule_lookup.find(session, reference)
    rows = schedule_lookup.of_newsletters(session, newsletter.slug)
    (row,) = (row for row in rows if row[1].id == schedule.id)
    return _overview(session, *row, now=now)


def todays_build(session: Session, reference: str, *, now: datetime) -> datetime | None:
    """Read when today's digest of a schedule was built, in its local time; None if none went out.

    Raises:
        NotFound: there is no such schedule.
        Refused: its zone does not exist any more.
    """
    _, schedule = schedule_lookup.find(session, reference)
    digest = schedule_lookup.todays_digest(session, schedule, now=now)
    if digest is None or digest.built_at is None:
        return None
    return digest.built_at.astimezone(zone_named(schedule.zone))


def coming_slots(
    session: Session, reference: str, count: int, *, after: datetime | None, now: datetime
) -> list[ScheduleData]:
    """List the next slots of a schedule, or of all schedules of a newsletter that are not paused.

    Args:
        after: list the slots after this moment instead, whenever the schedules were added.

    Raises:
        NotFound: there is no such schedule or newsletter.
    """
    rows = [
        (slot.due_at, f"{slug}/{schedule.name}", slot, schedule.zone)
        for slug, schedule in _schedules(session, reference)
        for slot in islice(
            slots(Rule.of(schedule), max(now, schedule.active_from) if after is None else after),
            count,
        )
    ]
    rows.sort(key=lambda row: row[:2])
    return [_slot(slot, zone) | {"schedule": name} for _, name, slot, zone in rows[:count]]


def _schedules(session: Session, reference: str) -> Iterator[tuple[str, Schedule]]:
    try:
        newsletters.find(session, reference)
    except NotFound:
        newsletter, schedule = schedule_lookup.find(session, reference)
        yield newsletter.slug, schedule
        return
    for newsletter, schedule, _ in schedule_lookup.of_newsletters(session, reference):
        if schedule.paused_at is None:
            yield newsletter.slug, schedule


def _overview(
    session: Session, newsletter: Newsletter, schedule: Schedule, readers: int, *, now: datetime
) -> ScheduleData:
    slot = slot_lookup.coming_slot(session, schedule, now=now)
    return {
        "newsletter": newsletter.slug,
        "name": schedule.name,
        "when": _in_words(schedule),
        "at": schedule.at,
        "days": schedule.days,
        "monthday": schedule.monthday,
        "cron": schedule.cron,
        "zone": schedule.zone,
        "min_articles": schedule.min_articles,
        "max_articles": schedule.max_articles,
        "max_age": duration(max_age(schedule)),
        "max_lateness": duration(schedule.max_lateness),
        "newcomers": f"latest:{schedule.newcomers}" if schedule.newcomers else "next",
        "review": duration(schedule.review) if schedule.review else None,
        "default": schedule.is_default,
        "once": schedule.kind is ScheduleKind.ONCE,
        "over": slot_lookup.is_over(session, schedule, now=now),
        "paused": schedule.paused_at is not None,
        "active_from": schedule.active_from,
        "readers": readers,
        "next": _slot(slot, schedule.zone) if slot else None,
    }


def _slot(slot: Slot, zone: str) -> ScheduleData:
    local = slot.local.isoformat(timespec="seconds")
    return {"slot": slot.name, "local": local, "utc": slot.due_at, "zone": zone}


def _in_words(schedule: Schedule) -> str:
    if schedule.once:
        return f"once, {schedule.once.replace('T', ' ')}"
    if schedule.cron:
        return f"cron {schedule.cron}"
    if schedule.monthday:
        return f"day {schedule.monthday} of the month at {schedule.at}"
    return f"{schedule.days or 'every day'} at {schedule.at}"
