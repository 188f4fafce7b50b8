"""Turns the options that staff type into a schedule's rule, and checks its rule and limits.

Pure. Never writes a row: see `schedule_changes`.
"""

from dataclasses import astuple, dataclass, fields, replace
from datetime import timedelta
from typing import Final, Self

from mailer.digests.schedules.calendar import WEEKDAYS, Rule, check_rule, longest_gap_by_the_clock
from mailer.errors import Refused
from mailer.models.schedule import Schedule, ScheduleKind
from mailer.text.english import duration

MOST_ARTICLES: Final = 100
_FULL_NAMES: Final = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
_DAYS_BY_NAME: Final = dict(zip(_FULL_NAMES, WEEKDAYS, strict=True)) | {
    "weekdays": ",".join(WEEKDAYS[:5]),
    "weekends": ",".join(WEEKDAYS[5:]),
}


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
        """Return the limits of this schedule."""
        return cls(**{field.name: getattr(schedule, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class TimingOptions:
    """When to go out, as staff typed it; None keeps what there is."""

    at: str | None = None
    days: str | None = None
    monthday: int | None = None
    cron: str | None = None
    zone: str | None = None


def rule_from(options: TimingOptions, before: Rule | None = None) -> Rule:
    """Make the rule that these options ask for, or change the rule before as they say.

    Raises:
        BadSchedule: it has no slots.
        Refused: the options contradict each other, or there is no such zone.
    """
    has_wall_time = (options.at, options.days, options.monthday) != (None, None, None)
    if options.cron is not None and has_wall_time:
        raise Refused("a cron line says everything; leave out --at, --days and --monthday")
    if before is not None and before.kind is ScheduleKind.ONCE:
        if any(option is not None for option in astuple(options)):
            raise Refused(
                "a one-off cannot be moved; take it back with `mailer schedule remove`, and make "
                "another with `mailer digest once`"
            )
        return before
    if options.days is not None and options.monthday is not None:
        raise Refused("--days and --monthday exclude each other; give one of them")
    zone = options.zone or (before.zone if before else "")
    cron = options.cron
    if cron is None and before is not None and not has_wall_time:
        cron = before.cron
    if cron is not None:
        rule = Rule(ScheduleKind.CRON, zone, cron=" ".join(cron.split()))
    else:
        rule = _wall_time_rule(options, before, zone)
    check_rule(rule)
    return _in_stored_spelling(rule)


def check_limits(rule: Rule, limits: ScheduleLimits) -> None:
    """Check that these limits are valid with this rule.

    Raises:
        BadSchedule: the rule cannot be parsed.
        Refused: they are not; the message says what would be valid.
    """
    if not 1 <= limits.min_articles <= limits.max_articles <= MOST_ARTICLES:
        raise Refused(
            "a digest holds at least --min-articles and at most --max-articles, "
            f"both from 1 to {MOST_ARTICLES}"
        )
    if not 0 <= limits.newcomers <= MOST_ARTICLES:
        raise Refused(f"give --newcomers latest:N with N up to {MOST_ARTICLES}, or next")
    gap = longest_gap_by_the_clock(rule)
    if limits.max_age is not None and limits.max_age < gap:
        raise Refused(
            f"articles would be too old before a slot comes: up to {duration(gap)} can pass between "
            f"two slots, so give --max-age {duration(gap)} or more"
        )


def _wall_time_rule(options: TimingOptions, before: Rule | None, zone: str) -> Rule:
    at = options.at or (before.at if before else None)
    if at is None:
        raise Refused('give --at HH:MM, or --cron "M H D M W"')
    days, monthday = options.days, options.monthday
    if days is None and monthday is None and before is not None:
        days, monthday = before.days, before.monthday
    if monthday is not None:
        return Rule(ScheduleKind.MONTHDAY, zone, at=at, monthday=monthday)
    if days is not None:
        names = (day.strip().lower() for day in days.split(","))
        days = ",".join(_DAYS_BY_NAME.get(name, name) for name in names)
    return Rule(ScheduleKind.DAYS, zone, at=at, days=days)


def _in_stored_spelling(rule: Rule) -> Rule:
    at = f"{rule.at:0>5}" if rule.at else None
    names = [day for day in WEEKDAYS if day in (rule.days or "").split(",")]
    return replace(rule, at=at, days=",".join(names) if 0 < len(names) < len(WEEKDAYS) else None)
