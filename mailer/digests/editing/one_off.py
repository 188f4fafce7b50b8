"""Adds one-offs: a letter, chosen articles, or the latest ones, sent once to the readers of all schedules.

A one-off is a schedule with one slot, and is built and sent like any other.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.digests.editing import edits
from mailer.digests.editing.edits import EditChanges
from mailer.digests.schedules import schedule_changes, schedule_lookup
from mailer.digests.schedules.calendar import SLOT_FORMAT, Rule, Slot, check_rule, slots
from mailer.digests.schedules.schedule_options import ScheduleLimits, check_limits
from mailer.digests.selection.article_queries import chosen
from mailer.errors import BadSchedule, Refused
from mailer.models import ChosenArticle, Holds, Newsletter, Schedule, ScheduleKind

_FORMATS: Final = ("%Y-%m-%d %H:%M", SLOT_FORMAT)


def rule_at(at: str, zone: str) -> Rule:
    """Make the rule of a one-off at that wall time, such as "2026-12-24 18:00", in that zone.

    Raises:
        BadSchedule: `at` is not a date and time.
        Refused: there is no such zone.
    """
    for date_format in _FORMATS:
        try:
            wall_time = datetime.strptime(at.strip(), date_format)  # noqa: DTZ007
        except ValueError:
            continue
        rule = Rule(ScheduleKind.ONCE, zone, once=wall_time.strftime(SLOT_FORMAT))
        check_rule(rule)
        return rule
    raise BadSchedule(f'{at!r} is not a date and time; write it like "2026-12-24 18:00"')


def add_once(
    session: Session,
    newsletter: Newsletter,
    rule: Rule,
    changes: EditChanges,
    *,
    articles: Sequence[int],
    now: datetime,
) -> Schedule:
    """Add a one-off.

    With articles it holds these, the first one leading; with only an introduction it is a letter; else it
    holds what is due.

    Raises:
        BadSchedule: the rule cannot be parsed.
        NotFound: an article is not in the newsletter.
        Refused: its time is past, an article is withdrawn, dropped or closed, or there are too many articles.
    """
    slot = next(slots(rule, now), None)
    if slot is None:
        # The calendar ends with the year 9000.
        why = "is past" if (rule.once or "") < now.isoformat() else "is too far off"
        raise Refused(f"{rule.once} {why} in {rule.zone}; give --at a time in the future")
    wanted = tuple(dict.fromkeys(articles))
    for article_id in wanted:
        edits.check_in_newsletter(session, newsletter, article_id)
    limits = ScheduleLimits(max_articles=max(len(wanted), ScheduleLimits.max_articles))
    check_limits(rule, limits)
    name = _free_name(session, newsletter, slot)
    schedule = schedule_changes.insert_schedule(session, newsletter, name, rule, limits, now)
    if wanted:
        schedule.holds = Holds.CHOSEN
        session.add_all(
            ChosenArticle(schedule_id=schedule.id, article_id=article_id) for article_id in wanted
        )
        changes = replace(changes, lead=wanted[0])
    elif changes.intro is not None:
        schedule.holds = Holds.NONE
    session.flush()
    usable = set(session.scalars(select(chosen(schedule).subquery().c.article_id)))
    for article_id in wanted:
        if article_id not in usable:
            edits.check_not_closed(session, article_id)
            raise Refused(
                f"article {article_id} was withdrawn or dropped; leave it out, or take it back with "
                "`mailer article add`"
            )
    if changes != EditChanges():
        edits.edit(session, newsletter, schedule, changes, now=now)
    return schedule


def same_time(session: Session, once: Schedule) -> Sequence[str]:
    """Name the newsletter's other one-offs for the time of this one: readers would get both."""
    return session.scalars(
        select(Schedule.name)
        .where(
            Schedule.newsletter_id == once.newsletter_id,
            Schedule.id != once.id,
            Schedule.once == once.once,
            Schedule.removed_at.is_(None),
        )
        .order_by(Schedule.name)
    ).all()


def _free_name(session: Session, newsletter: Newsletter, slot: Slot) -> str:
    stem = f"once-{slot.name.replace('T', '-').replace(':', '')}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    return next(
        name for name in names if not schedule_lookup.find_named(session, newsletter.id, name)
    )
