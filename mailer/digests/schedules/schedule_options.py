"""When a schedule goes out and what it allows, as staff ask for it: what goes together, and what is valid.

Pure: makes a rule and terms out of words, and knows no rows but the one it is handed.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Self

from mailer.digests.schedules.calendar import WEEKDAYS, Rule, check_rule, longest_gap_by_the_clock
from mailer.errors import Refused
from mailer.models.schedule import Schedule, ScheduleKind
from mailer.text.english import duration

MOST_ARTICLES: Final = 100
_UNSAID: Final = (None, None, None)
_DAY_NAMES: Final = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
_SEVERAL_DAYS: Final = {"weekdays": ",".join(WEEKDAYS[:5]), "weekends": ",".join(WEEKDAYS[5:])}


@dataclass(frozen=True)
class ScheduleLimits:
    """What a schedule allows, see `models.Schedule`."""

    min_articles: int = 1
    max_articles: int = 20
    max_age: timedelta | None = None
    max_lateness: timedelta = timedelta(hours=6)
    newcomers: int = 5
    review: timedelta | None = None

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """What this schedule allows."""
        return cls(
            min_articles=schedule.min_articles,
            max_articles=schedule.max_articles,
            max_age=schedule.max_age,
            max_lateness=schedule.max_lateness,
            newcomers=schedule.newcomers,
            review=schedule.review,
        )


@dataclass(frozen=True)
class When:
    """When to go out, as staff wrote it; None leaves a thing as it is."""

    at: str | None = None
    days: str | None = None
    monthday: int | None = None
    cron: str | None = None
    zone: str | None = None


def rule_from(when: When, before: Rule | None = None) -> Rule:
    """The rule that `when` makes, or makes of the one before.

    Raises:
        BadSchedule: it has no slots.
        Refused: what was given does not go together, or there is no such zone.
    """
    if when.cron is not None and (when.at, when.days, when.monthday) != _UNSAID:
        raise Refused("a cron line says everything; leave out --at, --days and --monthday")
    if before is not None and before.kind is ScheduleKind.ONCE:
        if (when.at, when.days, when.monthday, when.cron, when.zone) != (*_UNSAID, None, None):
            raise Refused(
                "a one-off cannot be moved; take it back with `mailer schedule remove`, and make "
                "another with `mailer digest once`"
            )
        return before
    if when.days is not None and when.monthday is not None:
        raise Refused("--days and --monthday exclude each other; give one of them")
    zone = when.zone or (before.zone if before else "")
    cron = when.cron
    if cron is None and before is not None and (when.at, when.days, when.monthday) == _UNSAID:
        cron = before.cron
    if cron is not None:
        rule = Rule(ScheduleKind.CRON, zone, cron=" ".join(cron.split()))
    else:
        rule = _by_wall_time(when, before, zone)
    check_rule(rule)
    return _in_order(rule)


def check_terms(rule: Rule, terms: ScheduleLimits) -> None:
    """Raise unless these terms can be kept with this rule.

    Raises:
        Refused: the message says what would be valid.
    """
    if not 1 <= terms.min_articles <= terms.max_articles <= MOST_ARTICLES:
        raise Refused(
            "a digest holds at least --min-articles and at most --max-articles, "
            f"both from 1 to {MOST_ARTICLES}"
        )
    if not 0 <= terms.newcomers <= MOST_ARTICLES:
        raise Refused(f"give --newcomers latest:N with N up to {MOST_ARTICLES}, or next")
    gap = longest_gap_by_the_clock(rule)
    if terms.max_age is not None and terms.max_age < gap:
        raise Refused(
            f"articles would be too old before a slot comes: up to {duration(gap)} lie between two "
            f"slots, so give --max-age {duration(gap)} or more"
        )


def _by_wall_time(when: When, before: Rule | None, zone: str) -> Rule:
    at = when.at or (before.at if before else None)
    if at is None:
        raise Refused('give --at HH:MM, or --cron "M H D M W"')
    days, monthday = when.days, when.monthday
    if days is None and monthday is None and before is not None:
        days, monthday = before.days, before.monthday
    if days is not None:
        days = ",".join(_short(day.strip().lower()) for day in days.split(","))
    if monthday is not None:
        return Rule(ScheduleKind.MONTHDAY, zone, at=at, monthday=monthday)
    return Rule(ScheduleKind.DAYS, zone, at=at, days=days)


def _short(day: str) -> str:
    """A day as rules write it, "sat" for "saturday"; what is no day's name stays as it is."""
    if day in _SEVERAL_DAYS:
        return _SEVERAL_DAYS[day]
    return day[:3] if day in _DAY_NAMES else day


def _in_order(rule: Rule) -> Rule:
    """The same rule in the one spelling in which it is stored."""
    at = f"{rule.at:0>5}" if rule.at else None
    if rule.days is None:
        return replace(rule, at=at)
    named = {day.strip().lower() for day in rule.days.split(",")}
    kept = [day for day in WEEKDAYS if day in named]
    return replace(rule, at=at, days=",".join(kept) if 0 < len(kept) < len(WEEKDAYS) else None)
