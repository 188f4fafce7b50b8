"""Slots: the instants at which a schedule is due. The only place that knows about zones.

Pure: no clock, no session. Whether a slot is late, superseded or built already is decided elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final, Self
from zoneinfo import ZoneInfo

from mailer.clock import zone as zone_named
from mailer.digests.schedules.cron import Cron, parse_cron
from mailer.errors import BadSchedule
from mailer.models.schedule import Schedule, ScheduleKind

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_NAME_FORMAT: Final = "%Y-%m-%dT%H:%M"
_DAY: Final = timedelta(days=1)
# No zone has ever left out more than one day, so whatever falls into one gap lies within two.
_LONGEST_GAP_OF_A_ZONE: Final = 2 * _DAY
_LAST_DATE: Final = date(9990, 1, 1)
# Any long stretch would do for measuring a rule; a fixed one gives everybody the same answer.
_SAMPLE: Final = (date(2024, 1, 1), date(2064, 1, 1))
_SAMPLE_OF_SHIFTS: Final = (date(2024, 1, 1), date(2037, 1, 1))


@dataclass(frozen=True)
class Rule:
    """When a schedule is due, written as its columns are.

    Attributes:
        kind: says which of the others count.
        zone: IANA name.
        at: "HH:MM", for days and monthday.
        days: for days, such as "mon,tue"; none means every day.
        monthday: 1 to 31; where a month is shorter, its last day.
        cron: five fields, see `mailer.digests.schedules.cron`.
        once: "YYYY-MM-DDTHH:MM".
    """

    kind: ScheduleKind
    zone: str
    at: str | None = None
    days: str | None = None
    monthday: int | None = None
    cron: str | None = None
    once: str | None = None

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """The rule of this schedule."""
        return cls(
            kind=schedule.kind,
            zone=schedule.zone,
            at=schedule.at,
            days=schedule.days,
            monthday=schedule.monthday,
            cron=schedule.cron,
            once=schedule.once,
        )


@dataclass(frozen=True)
class Slot:
    """One instant at which a schedule is due.

    Attributes:
        due_at: the instant, UTC.
        name: the local date and time the rule asks for, "YYYY-MM-DDTHH:MM"; it names the slot.
        local: what the clock on the wall shows at `due_at`; differs from `name` in a gap.
    """

    due_at: datetime
    name: str
    local: datetime


@dataclass(frozen=True)
class _Pattern:
    """A rule, read: the wall times of the dates that it means."""

    times: tuple[time, ...]
    months: frozenset[int]
    monthdays: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool = False
    last_for: int = 0
    only: date | None = None

    def means(self, day: date) -> bool:
        """Whether this date has slots."""
        if self.only is not None:
            return day == self.only
        if day.month not in self.months:
            return False
        by_month = day.day in self.monthdays or (
            # The day after is the first of a month: this one stands for the days it lacks.
            self.last_for > day.day and (day + _DAY).day == 1
        )
        by_week = day.weekday() in self.weekdays
        return (by_month or by_week) if self.either_day else (by_month and by_week)


def check_rule(rule: Rule) -> None:
    """Raise unless `rule` can be read and has slots.

    Raises:
        BadSchedule: the message says which part is wrong.
        Refused: there is no such zone.
    """
    zone_named(rule.zone)
    _pattern(rule)


def slots(rule: Rule, after: datetime, until: datetime | None = None) -> Iterator[Slot]:
    """The slots with after < due_at <= until, in order; without `until` they go on.

    A wall time that a change of clock leaves out moves to the first instant after the gap; one that
    comes twice counts the first time. Two that fall on one instant are one slot: the one whose wall
    time the clock really shows, else the first. Which slots there are does not depend on `after`.

    Raises:
        BadSchedule: the rule cannot be read.
    """
    pattern = _pattern(rule)
    zone = zone_named(rule.zone)
    first = after.astimezone(zone).date() - _LONGEST_GAP_OF_A_ZONE
    if pattern.only is not None:
        first = max(first, pattern.only)
    kept: Slot | None = None
    for nominal in _nominals(pattern, first):
        found = _slot(nominal, zone)
        if kept is not None and kept.due_at == found.due_at:
            kept = found if _is_on_the_clock(found) else kept
            continue
        if kept is not None and kept.due_at > after:
            if until is not None and kept.due_at > until:
                return
            yield kept
        kept = found
    if kept is not None and kept.due_at > after and (until is None or kept.due_at <= until):
        yield kept


def slot_named(rule: Rule, name: str) -> Slot | None:
    """The slot of that name, or None where the rule has none.

    Raises:
        BadSchedule: the rule cannot be read.
    """
    try:
        nominal = datetime.strptime(name, _NAME_FORMAT)  # noqa: DTZ007
    except ValueError:
        return None
    due_at = _slot(nominal, zone_named(rule.zone)).due_at
    around = slots(rule, due_at - timedelta(seconds=1), due_at)
    return next((slot for slot in around if slot.name == nominal.strftime(_NAME_FORMAT)), None)


def longest_gap(rule: Rule) -> timedelta:
    """The longest time from one slot of the rule to the next; zero where there is only one.

    Where clocks are set back in the rule's zone, a day may have 25 hours.
    """
    by_the_clock = longest_gap_by_the_clock(rule)
    return by_the_clock and by_the_clock + _largest_setting_back(rule.zone)


@lru_cache(maxsize=256)
def longest_gap_by_the_clock(rule: Rule) -> timedelta:
    """The same, as a clock on the wall counts it: all days have 24 hours."""
    pattern = _pattern(rule)
    if pattern.only is not None:
        return timedelta(0)
    start, end = _SAMPLE
    days = [
        start + timedelta(days=number)
        for number in range((end - start).days)
        if pattern.means(start + timedelta(days=number))
    ]
    times = pattern.times
    within = [
        datetime.combine(start, later) - datetime.combine(start, earlier)
        for earlier, later in pairwise(times)
    ]
    overnight = datetime.combine(start, times[0]) - datetime.combine(start, times[-1])
    between = [later - earlier + overnight for earlier, later in pairwise(days)]
    return max(within + between)


@lru_cache(maxsize=256)
def _largest_setting_back(name: str) -> timedelta:
    zone = zone_named(name)
    start, end = _SAMPLE_OF_SHIFTS
    offsets = [
        datetime.combine(start + timedelta(days=number), time(), UTC).astimezone(zone).utcoffset()
        or timedelta(0)
        for number in range((end - start).days)
    ]
    return max(earlier - later for earlier, later in pairwise(offsets))


def _nominals(pattern: _Pattern, first: date) -> Iterator[datetime]:
    day = first
    while day < _LAST_DATE:
        if pattern.means(day):
            for at in pattern.times:
                yield datetime.combine(day, at)
        if pattern.only is not None and day >= pattern.only:
            return
        day += _DAY


def _slot(nominal: datetime, zone: ZoneInfo) -> Slot:
    due_at = _first_instant_at(nominal, zone)
    return Slot(due_at=due_at, name=nominal.strftime(_NAME_FORMAT), local=due_at.astimezone(zone))


def _is_on_the_clock(slot: Slot) -> bool:
    return slot.local.strftime(_NAME_FORMAT) == slot.name


def _first_instant_at(nominal: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clock shows `nominal`, or has jumped over it."""
    found = nominal.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == nominal:
        return found
    # In a gap, fold=0 reckons with the offset before it and fold=1 with the one after (PEP 495), which
    # gives an instant after the change and one before it: the change lies between.
    after, before = found, nominal.replace(tzinfo=zone, fold=1).astimezone(UTC)
    new_offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == new_offset:
            after = middle
        else:
            before = middle
    return after


@lru_cache(maxsize=256)
def _pattern(rule: Rule) -> _Pattern:
    every_month, every_day = frozenset(range(1, 13)), frozenset(range(1, 32))
    every_weekday = frozenset(range(7))
    match rule.kind:
        case ScheduleKind.DAYS:
            return _Pattern(
                (_time(rule.at),), every_month, every_day, _weekdays(rule.days) or every_weekday
            )
        case ScheduleKind.MONTHDAY:
            monthday = rule.monthday or 0
            if not 1 <= monthday <= 31:
                raise BadSchedule(f"there is no day {monthday} of a month; give 1 to 31")
            return _Pattern(
                (_time(rule.at),),
                every_month,
                frozenset({monthday}),
                every_weekday,
                last_for=monthday,
            )
        case ScheduleKind.CRON:
            return _cron_pattern(parse_cron(rule.cron or ""))
        case ScheduleKind.ONCE:
            try:
                when = datetime.strptime(rule.once or "", _NAME_FORMAT)  # noqa: DTZ007
            except ValueError as error:
                raise BadSchedule(
                    f"{rule.once!r} is no date and time; write it like 2026-11-24T06:00"
                ) from error
            return _Pattern((when.time(),), every_month, every_day, every_weekday, only=when.date())


def _cron_pattern(cron: Cron) -> _Pattern:
    pattern = _Pattern(
        tuple(time(hour, minute) for hour in cron.hours for minute in cron.minutes),
        cron.months,
        cron.monthdays,
        cron.weekdays,
        cron.either_day,
    )
    start, end = _SAMPLE
    if not any(
        pattern.means(start + timedelta(days=number)) for number in range((end - start).days)
    ):
        raise BadSchedule("no date fits this cron line; check its day and month")
    return pattern


def _time(at: str | None) -> time:
    hour, _, minute = (at or "").partition(":")
    if hour.isdigit() and minute.isdigit() and len(minute) == 2 and at and at.isascii():
        try:
            return time(int(hour), int(minute))
        except ValueError:
            pass
    raise BadSchedule(f"{at!r} is no time of day; give --at HH:MM, such as 06:00")


def _weekdays(days: str | None) -> frozenset[int]:
    named = [day.strip().lower() for day in (days or "").split(",") if day.strip()]
    for day in named:
        if day not in WEEKDAYS:
            raise BadSchedule(f"{day!r} is no day of the week; give some of {','.join(WEEKDAYS)}")
    return frozenset(WEEKDAYS.index(day) for day in named)
