"""Computes a rule's slots: the instants that its wall times name in its zone.

Pure. The only module that knows what a change of clock does to a wall time. Never knows which slots are late
or have a digest: see `due_slots` and `slot_lookup`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Final, Self
from zoneinfo import ZoneInfo

from mailer.clock import zone as zone_named
from mailer.digests.schedules.cron import Cron, parse_cron
from mailer.errors import BadSchedule
from mailer.models.schedule import Schedule, ScheduleKind

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

SLOT_FORMAT: Final = "%Y-%m-%dT%H:%M"
"""How a slot is named, and how a one-off's rule is written."""
_DAY: Final = timedelta(days=1)
_LONGEST_GAP_OF_A_ZONE: Final = 2 * _DAY
"""No zone has ever left out more than one day, so all that falls into one gap lies within two."""
_LAST_DATE: Final = date(9990, 1, 1)
# Any long stretch would do for measuring a rule; a fixed one gives everybody the same answer.
_SAMPLE: Final = range(date(2024, 1, 1).toordinal(), date(2064, 1, 1).toordinal())
_SAMPLE_OF_OFFSETS: Final = range(_SAMPLE.start, date(2037, 1, 1).toordinal())


@dataclass(frozen=True)
class Rule:
    """When a schedule goes out, written as its columns are.

    Attributes:
        kind: decides which of the others count.
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
        """Return the rule of this schedule."""
        return cls(**{field.name: getattr(schedule, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Slot:
    """One instant at which a schedule goes out.

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
    """A parsed rule: its wall times, and the dates that have them.

    Attributes:
        either_day: a date needs to fit `monthdays` or `weekdays`, not both.
        last_for: a day of the month for which the last day of a shorter month stands; 0 for none.
        only: the one date that has slots; the others do not count then.
    """

    times: tuple[time, ...]
    months: frozenset[int] = frozenset(range(1, 13))
    monthdays: frozenset[int] = frozenset(range(1, 32))
    weekdays: frozenset[int] = frozenset(range(7))
    either_day: bool = False
    last_for: int = 0
    only: date | None = None

    def fits(self, day: date) -> bool:
        """Whether this date has slots."""
        if self.only is not None:
            return day == self.only
        if day.month not in self.months:
            return False
        by_month = day.day in self.monthdays or (
            # The last day of a month stands for the days that the month lacks.
            self.last_for > day.day and (day + _DAY).day == 1
        )
        by_week = day.weekday() in self.weekdays
        return (by_month or by_week) if self.either_day else (by_month and by_week)


def check_rule(rule: Rule) -> None:
    """Check that a rule can be parsed and has slots.

    Raises:
        BadSchedule: it cannot, or has none; the message says which part is wrong.
        Refused: there is no such zone.
    """
    zone_named(rule.zone)
    _pattern(rule)


def slots(rule: Rule, after: datetime, until: datetime | None = None) -> Iterator[Slot]:
    """Yield the slots with after < due_at <= until, in order; without `until` they go on.

    A wall time that a change of clock leaves out moves to the first instant after the gap; one that
    comes twice counts the first time. Two that fall on one instant are one slot: the one whose wall
    time the clock really shows, else the first. Which slots there are does not depend on `after`.

    Raises:
        BadSchedule: the rule cannot be parsed.
        Refused: there is no such zone.
    """
    pattern = _pattern(rule)
    zone = zone_named(rule.zone)
    first = after.astimezone(zone).date() - _LONGEST_GAP_OF_A_ZONE
    if pattern.only is not None:
        first = max(first, pattern.only)
    nominal_slots = (_slot(nominal, zone) for nominal in _nominals(pattern, first))
    for due_at, same_instant in groupby(nominal_slots, key=lambda slot: slot.due_at):
        slot, *others = same_instant
        if until is not None and due_at > until:
            return
        if due_at > after:
            yield next(filter(_is_on_the_clock, others), slot) if others else slot


def slot_named(rule: Rule, name: str) -> Slot | None:
    """Return the slot of that name, or None if the rule has none.

    Raises:
        BadSchedule: the rule cannot be parsed.
        Refused: there is no such zone.
    """
    try:
        nominal = datetime.strptime(name, SLOT_FORMAT)  # noqa: DTZ007
    except ValueError:
        return None
    due_at = _slot(nominal, zone_named(rule.zone)).due_at
    around = slots(rule, due_at - timedelta(seconds=1), due_at)
    return next((slot for slot in around if slot.name == nominal.strftime(SLOT_FORMAT)), None)


def longest_gap(rule: Rule) -> timedelta:
    """Measure the longest time from one slot of the rule to the next; zero if there is only one.

    If clocks are set back in the rule's zone, a day may have 25 hours.

    Raises:
        BadSchedule: the rule cannot be parsed.
    """
    by_the_clock = longest_gap_by_the_clock(rule)
    return by_the_clock and by_the_clock + _largest_setting_back(rule.zone)


@lru_cache(maxsize=256)
def longest_gap_by_the_clock(rule: Rule) -> timedelta:
    """Measure the same as a clock on the wall shows it: all days have 24 hours.

    Raises:
        BadSchedule: the rule cannot be parsed.
    """
    pattern = _pattern(rule)
    if pattern.only is not None:
        return timedelta(0)
    times = [datetime.combine(_LAST_DATE, at) for at in pattern.times]
    within = [later - earlier for earlier, later in pairwise(times)]
    overnight = times[0] - times[-1]
    days = filter(pattern.fits, map(date.fromordinal, _SAMPLE))
    between = [later - earlier + overnight for earlier, later in pairwise(days)]
    return max(within + between)


@lru_cache(maxsize=256)
def _largest_setting_back(name: str) -> timedelta:
    zone = zone_named(name)
    offsets = [
        datetime.combine(day, time(), UTC).astimezone(zone).utcoffset() or timedelta(0)
        for day in map(date.fromordinal, _SAMPLE_OF_OFFSETS)
    ]
    return max(earlier - later for earlier, later in pairwise(offsets))


def _nominals(pattern: _Pattern, first: date) -> Iterator[datetime]:
    """Yield the wall times that the pattern asks for from this date on, whether clocks show them or not."""
    day = first
    while day < _LAST_DATE:
        if pattern.fits(day):
            for at in pattern.times:
                yield datetime.combine(day, at)
        if pattern.only is not None and day >= pattern.only:
            return
        day += _DAY


def _slot(nominal: datetime, zone: ZoneInfo) -> Slot:
    due_at = _first_instant_at(nominal, zone)
    return Slot(due_at=due_at, name=nominal.strftime(SLOT_FORMAT), local=due_at.astimezone(zone))


def _is_on_the_clock(slot: Slot) -> bool:
    return slot.local.strftime(SLOT_FORMAT) == slot.name


def _first_instant_at(nominal: datetime, zone: ZoneInfo) -> datetime:
    """Find the first instant at which the clock shows `nominal`, or has jumped over it."""
    instant = nominal.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == nominal:
        return instant
    # In a gap, fold=0 reckons with the offset before it and fold=1 with the one after (PEP 495), which
    # gives an instant after the change and one before it: the change lies between.
    after, before = instant, nominal.replace(tzinfo=zone, fold=1).astimezone(UTC)
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
    match rule.kind:
        case ScheduleKind.DAYS:
            return _Pattern((_time(rule.at),), weekdays=_weekdays(rule.days))
        case ScheduleKind.MONTHDAY:
            day = rule.monthday or 0
            if not 1 <= day <= 31:
                raise BadSchedule(f"{day} is not a day of the month; give 1 to 31")
            return _Pattern((_time(rule.at),), monthdays=frozenset({day}), last_for=day)
        case ScheduleKind.CRON:
            return _cron_pattern(parse_cron(rule.cron or ""))
        case ScheduleKind.ONCE:
            try:
                wall_time = datetime.strptime(rule.once or "", SLOT_FORMAT)  # noqa: DTZ007
            except ValueError as error:
                raise BadSchedule(
                    f"{rule.once!r} is not a date and time; write it like 2026-11-24T06:00"
                ) from error
            return _Pattern((wall_time.time(),), only=wall_time.date())


def _cron_pattern(cron: Cron) -> _Pattern:
    pattern = _Pattern(
        tuple(time(hour, minute) for hour in cron.hours for minute in cron.minutes),
        cron.months,
        cron.monthdays,
        cron.weekdays,
        cron.either_day,
    )
    if not any(map(pattern.fits, map(date.fromordinal, _SAMPLE))):
        raise BadSchedule("no date fits this cron line; check its day and month")
    return pattern


def _time(at: str | None) -> time:
    hour, _, minute = (at or "").partition(":")
    if hour.isdigit() and minute.isdigit() and len(minute) == 2 and at and at.isascii():
        try:
            return time(int(hour), int(minute))
        except ValueError:
            pass
    raise BadSchedule(f"{at!r} is not a time of day; give --at HH:MM, such as 06:00")


def _weekdays(days: str | None) -> frozenset[int]:
    """Parse names of days; without any, all days are meant.

    Raises:
        BadSchedule: a name is unknown.
    """
    named = [day.strip().lower() for day in (days or "").split(",") if day.strip()]
    for day in named:
        if day not in WEEKDAYS:
            raise BadSchedule(f"{day!r} is not a day of the week; use some of {','.join(WEEKDAYS)}")
    return frozenset(map(WEEKDAYS.index, named)) or frozenset(range(7))
