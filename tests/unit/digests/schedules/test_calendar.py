"""The calendar: one slot for each date that a rule names, through every change of clock."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.digests.schedules.calendar import Rule, Slot, check_rule, longest_gap, slot_named, slots
from mailer.errors import BadSchedule, Refused
from mailer.models import ScheduleKind

ZONES = (
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Europe/Paris",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Yerevan",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
)
TIMES = ("00:00", "00:30", "01:30", "02:00", "02:15", "02:30", "03:00", "06:00", "23:59")


def daily(at: str, zone: str, days: str | None = None) -> Rule:
    return Rule(ScheduleKind.DAYS, zone, at=at, days=days)


def monthly(day: int, at: str = "06:00", zone: str = "UTC") -> Rule:
    return Rule(ScheduleKind.MONTHDAY, zone, at=at, monthday=day)


def cron(line: str, zone: str = "UTC") -> Rule:
    return Rule(ScheduleKind.CRON, zone, cron=line)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def names(rule: Rule, after: datetime, count: int) -> list[str]:
    return [slot.name for slot in islice(slots(rule, after), count)]


def at(rule: Rule, name: str) -> str:
    """When the slot of that name is due, in UTC."""
    slot = slot_named(rule, name)
    assert slot is not None
    return slot.due_at.strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("first_year", [2015, 2025])
def test_a_daily_slot_comes_once_for_each_local_date_in_ten_years(
    zone: str, time: str, first_year: int
) -> None:
    start, end = date(first_year, 1, 2), date(first_year + 10, 1, 1)
    after, until = utc(first_year, 1, 1), utc(first_year + 10, 1, 3)
    found = list(slots(daily(time, zone), after, until))

    dates = [date.fromisoformat(slot.name[:10]) for slot in found]
    wanted = [start + timedelta(days=n) for n in range((end - start).days)]
    assert [day for day in dates if start <= day < end] == wanted
    assert all(earlier.due_at < later.due_at for earlier, later in pairwise(found))
    for slot in found:
        assert slot.local.tzinfo == ZoneInfo(zone)
        assert slot.local.astimezone(UTC) == slot.due_at
        shown = slot.local.strftime("%Y-%m-%dT%H:%M")
        # The clock shows the wall time, or has just jumped over it; and it shows it for the first time.
        assert shown == slot.name or _jumped_over(slot)
        assert datetime.fromisoformat(slot.name) not in _shown_before(slot)


def _shown_before(slot: Slot) -> set[datetime]:
    """What the clock showed half an hour and a whole one earlier: by so much clocks are set back here."""
    earlier = (slot.due_at - timedelta(minutes=minutes) for minutes in (30, 60))
    return {at.astimezone(slot.local.tzinfo).replace(tzinfo=None) for at in earlier}


def _jumped_over(slot: Slot) -> bool:
    nominal = datetime.fromisoformat(slot.name)
    before = (slot.due_at - timedelta(seconds=1)).astimezone(slot.local.tzinfo)
    return before.replace(tzinfo=None) < nominal < slot.local.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("zone", "name", "due"),
    [
        # Gaps: the first instant after them.
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00:00"),
        ("Europe/Paris", "2026-03-29T02:00", "2026-03-29T01:00:00"),
        ("Europe/Paris", "2026-03-29T02:59", "2026-03-29T01:00:00"),
        ("America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T03:00:00"),
        ("Asia/Beirut", "2026-03-29T00:30", "2026-03-28T22:00:00"),
        ("Africa/Cairo", "2026-04-24T00:00", "2026-04-23T22:00:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30:00"),
        ("Pacific/Apia", "2011-12-30T06:00", "2011-12-30T10:00:00"),
        # Folds: the first time.
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30:00"),
        ("Europe/Paris", "2026-10-25T02:30", "2026-10-25T00:30:00"),
        ("America/Sao_Paulo", "2018-02-17T23:30", "2018-02-18T01:30:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45:00"),
        # Neither.
        ("Asia/Kathmandu", "2026-11-24T06:00", "2026-11-24T00:15:00"),
        ("America/St_Johns", "2026-07-01T06:00", "2026-07-01T08:30:00"),
    ],
)
def test_gaps_and_folds(zone: str, name: str, due: str) -> None:
    assert at(daily(name[11:], zone), name) == due


def test_what_falls_on_one_instant_is_one_slot_and_the_real_wall_time_names_it() -> None:
    quarters = cron("0,15,30,45 1-3 * * *", "Europe/Paris")
    assert names(quarters, utc(2026, 3, 29, 0, 40), 3) == [
        "2026-03-29T01:45",
        "2026-03-29T03:00",
        "2026-03-29T03:15",
    ]
    # Without a slot at the end of the gap, the first of those that fall into it stands for all.
    inside = cron("15,30,45 2 * * *", "Europe/Paris")
    assert names(inside, utc(2026, 3, 28, 12), 2) == ["2026-03-29T02:15", "2026-03-30T02:15"]
    assert slot_named(inside, "2026-03-29T02:30") is None
    # A whole day may be left out.
    assert names(daily("00:00", "Pacific/Apia"), utc(2011, 12, 29), 3) == [
        "2011-12-29T00:00",
        "2011-12-31T00:00",
        "2012-01-01T00:00",
    ]


def test_a_repeated_hour_has_its_slots_once() -> None:
    half_hours = cron("0,30 * * * *", "Europe/Paris")
    found = list(slots(half_hours, utc(2026, 10, 24, 23, 59), utc(2026, 10, 25, 3)))
    assert [slot.name[11:] for slot in found] == ["02:00", "02:30", "03:00", "03:30", "04:00"]
    assert found[2].due_at - found[1].due_at == timedelta(minutes=90)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            daily("06:00", "UTC", "mon,thu"),
            ["2026-11-26T06:00", "2026-11-30T06:00", "2026-12-03T06:00"],
        ),
        (monthly(31), ["2026-11-30T06:00", "2026-12-31T06:00", "2027-01-31T06:00"]),
        (monthly(15), ["2026-12-15T06:00", "2027-01-15T06:00", "2027-02-15T06:00"]),
        (cron("0 6 13 * fri"), ["2026-11-27T06:00", "2026-12-04T06:00", "2026-12-11T06:00"]),
        (cron("30 8 29 2 *"), ["2028-02-29T08:30", "2032-02-29T08:30", "2036-02-29T08:30"]),
    ],
)
def test_rules(rule: Rule, expected: list[str]) -> None:
    assert names(rule, utc(2026, 11, 24, 12), 3) == expected


@pytest.mark.parametrize(("day", "expected"), [(29, 28), (30, 28), (31, 28), (28, 28)])
def test_a_day_that_february_lacks_is_its_last_day(day: int, expected: int) -> None:
    assert names(monthly(day), utc(2027, 2, 1), 1) == [f"2027-02-{expected}T06:00"]
    leap = min(day, 29)
    assert names(monthly(day), utc(2028, 2, 1), 1) == [f"2028-02-{leap}T06:00"]


def test_once_is_one_slot() -> None:
    rule = Rule(ScheduleKind.ONCE, "Europe/Paris", once="2026-12-24T18:00")
    [slot] = slots(rule, utc(2020, 1, 1))
    assert (slot.name, slot.due_at) == ("2026-12-24T18:00", utc(2026, 12, 24, 17))
    assert list(slots(rule, slot.due_at)) == []
    assert list(slots(rule, utc(2020, 1, 1), utc(2021, 1, 1))) == []


def test_after_is_not_included_and_until_is() -> None:
    rule = daily("06:00", "UTC")
    first, second = utc(2026, 11, 24, 6), utc(2026, 11, 25, 6)
    assert [slot.due_at for slot in slots(rule, first, second)] == [second]


RULES = st.one_of(
    st.builds(daily, st.sampled_from(TIMES), st.sampled_from(ZONES)),
    st.builds(
        daily, st.sampled_from(TIMES), st.sampled_from(ZONES), st.sampled_from(["sun", "sat,mon"])
    ),
    st.builds(monthly, st.integers(1, 31), st.sampled_from(TIMES), st.sampled_from(ZONES)),
    st.builds(
        cron,
        st.sampled_from(["*/20 * * * *", "15,45 0-3 * * *", "30 2 */2 * *", "0 0 1 * sun"]),
        st.sampled_from(ZONES),
    ),
)
INSTANTS = st.integers(0, 20 * 365 * 86400).map(lambda n: utc(2011, 1, 1) + timedelta(seconds=n))


@given(rule=RULES, start=INSTANTS, offsets=st.lists(st.integers(0, 5 * 86400), max_size=4))
def test_slots_do_not_depend_on_where_one_starts(
    rule: Rule, start: datetime, offsets: list[int]
) -> None:
    until = start + timedelta(days=5)
    whole = list(slots(rule, start, until))
    cuts = sorted({start, until, *(start + timedelta(seconds=offset) for offset in offsets)})
    pieces = [slot for after, before in pairwise(cuts) for slot in slots(rule, after, before)]
    assert pieces == whole
    assert len({slot.due_at for slot in whole}) == len(whole)


@given(rule=RULES, start=INSTANTS)
def test_every_slot_is_found_by_its_name(rule: Rule, start: datetime) -> None:
    for slot in islice(slots(rule, start), 3):
        assert slot_named(rule, slot.name) == slot


@given(rule=RULES, start=INSTANTS)
def test_no_gap_is_longer_than_the_longest(rule: Rule, start: datetime) -> None:
    # These zones set clocks back in the years tried here, but do so no more.
    changed_once = rule.zone in {"America/Sao_Paulo", "Asia/Yerevan", "Pacific/Apia"}
    longest = longest_gap(rule) + timedelta(hours=1 if changed_once else 0)
    found = list(islice(slots(rule, start), 40))
    for earlier, later in pairwise(found):
        assert later.due_at - earlier.due_at <= longest


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (daily("06:00", "UTC"), timedelta(days=1)),
        (daily("06:00", "Europe/Paris"), timedelta(hours=25)),
        (daily("06:00", "Australia/Lord_Howe"), timedelta(hours=24.5)),
        (daily("06:00", "UTC", "mon"), timedelta(days=7)),
        (daily("06:00", "UTC", "mon,tue"), timedelta(days=6)),
        (monthly(1), timedelta(days=31)),
        (monthly(31), timedelta(days=31)),
        (cron("0 8-18/2 * * *"), timedelta(hours=14)),
        (cron("*/10 * * * *"), timedelta(minutes=10)),
        (cron("0 0 29 2 *"), timedelta(days=1461)),
        (Rule(ScheduleKind.ONCE, "UTC", once="2026-12-24T18:00"), timedelta(0)),
    ],
)
def test_longest_gap(rule: Rule, expected: timedelta) -> None:
    assert longest_gap(rule) == expected


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (daily("25:00", "UTC"), "time of day"),
        (daily("6", "UTC"), "HH:MM"),
        (daily("06:5", "UTC"), "HH:MM"),
        (Rule(ScheduleKind.DAYS, "UTC"), "HH:MM"),
        (daily("06:00", "UTC", "mon,noday"), "noday"),
        (monthly(0), "1 to 31"),
        (monthly(32), "1 to 31"),
        (Rule(ScheduleKind.MONTHDAY, "UTC", at="06:00"), "1 to 31"),
        (cron("0 0 30 2 *"), "no date fits"),
        (cron("0 0 31 4,6 *"), "no date fits"),
        (cron("61 0 * * *"), "minute"),
        (Rule(ScheduleKind.CRON, "UTC"), "five fields"),
        (Rule(ScheduleKind.ONCE, "UTC", once="tomorrow"), "date and time"),
        (Rule(ScheduleKind.ONCE, "UTC"), "date and time"),
    ],
)
def test_bad_rules_are_refused_with_a_reason(rule: Rule, words: str) -> None:
    with pytest.raises(BadSchedule, match=words):
        check_rule(rule)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(Refused, match="Mars/Olympus"):
        check_rule(daily("06:00", "Mars/Olympus"))


@pytest.mark.parametrize("name", ["", "2026-11-24", "2026-11-24T07:00", "soon", "2026-13-01T06:00"])
def test_a_name_that_the_rule_does_not_have_is_no_slot(name: str) -> None:
    assert slot_named(daily("06:00", "UTC"), name) is None
