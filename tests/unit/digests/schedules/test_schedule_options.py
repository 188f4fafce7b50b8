"""Terms and rules as staff ask for them: what goes together, and what the answer is where it does not."""

from datetime import timedelta

import pytest

from mailer.digests.schedules.calendar import Rule
from mailer.digests.schedules.schedule_options import (
    ScheduleLimits,
    TimingOptions,
    check_limits,
    rule_from,
)
from mailer.errors import BadSchedule, Refused
from mailer.models import ScheduleKind

DAY = timedelta(days=1)
DAILY = Rule(ScheduleKind.DAYS, "UTC", at="06:00")
WEEKLY = Rule(ScheduleKind.DAYS, "Europe/Paris", at="06:00", days="mon")
MONTHLY = Rule(ScheduleKind.MONTHDAY, "UTC", at="06:00", monthday=1)
CRON = Rule(ScheduleKind.CRON, "UTC", cron="0 6 * * *")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (TimingOptions(at="6:00", zone="UTC"), DAILY),
        (TimingOptions(at="06:00", days="Mon", zone="Europe/Paris"), WEEKLY),
        (
            TimingOptions(at="06:00", days="sun, tue,tue", zone="UTC"),
            Rule(ScheduleKind.DAYS, "UTC", at="06:00", days="tue,sun"),
        ),
        (TimingOptions(at="06:00", days="mon,tue,wed,thu,fri,sat,sun", zone="UTC"), DAILY),
        (TimingOptions(at="06:00", days="Monday", zone="Europe/Paris"), WEEKLY),
        (
            TimingOptions(at="06:00", days="saturday,weekdays,wed", zone="UTC"),
            Rule(ScheduleKind.DAYS, "UTC", at="06:00", days="mon,tue,wed,thu,fri,sat"),
        ),
        (TimingOptions(at="06:00", days="weekdays, weekends", zone="UTC"), DAILY),
        (TimingOptions(at="06:00", monthday=1, zone="UTC"), MONTHLY),
        (TimingOptions(cron=" 0  6 * * * ", zone="UTC"), CRON),
    ],
)
def test_a_new_rule(when: TimingOptions, expected: Rule) -> None:
    assert rule_from(when) == expected


@pytest.mark.parametrize(
    ("before", "when", "expected"),
    [
        (WEEKLY, TimingOptions(at="07:00"), Rule(ScheduleKind.DAYS, "Europe/Paris", at="07:00", days="mon")),
        (WEEKLY, TimingOptions(zone="UTC"), Rule(ScheduleKind.DAYS, "UTC", at="06:00", days="mon")),
        (WEEKLY, TimingOptions(monthday=1, zone="UTC"), MONTHLY),
        (MONTHLY, TimingOptions(days="mon", zone="Europe/Paris"), WEEKLY),
        (MONTHLY, TimingOptions(at="07:00"), Rule(ScheduleKind.MONTHDAY, "UTC", at="07:00", monthday=1)),
        (DAILY, TimingOptions(cron="0 6 * * *"), CRON),
        (CRON, TimingOptions(at="06:00"), DAILY),
        (CRON, TimingOptions(zone="Asia/Yerevan"),
         Rule(ScheduleKind.CRON, "Asia/Yerevan", cron="0 6 * * *")),
        (CRON, TimingOptions(), CRON),
        (DAILY, TimingOptions(), DAILY),
    ],
)  # fmt: skip
def test_a_changed_rule(before: Rule, when: TimingOptions, expected: Rule) -> None:
    assert rule_from(when, before) == expected


@pytest.mark.parametrize(
    ("when", "error", "words"),
    [
        (TimingOptions(zone="UTC"), Refused, "give --at"),
        (TimingOptions(at="06:00"), Refused, "time zone"),
        (TimingOptions(at="06:00", zone="Nowhere/City"), Refused, "Nowhere/City"),
        (
            TimingOptions(at="06:00", cron="0 6 * * *", zone="UTC"),
            Refused,
            "cron line says everything",
        ),
        (
            TimingOptions(at="06:00", days="mon", monthday=1, zone="UTC"),
            Refused,
            "exclude each other",
        ),
        (TimingOptions(at="24:00", zone="UTC"), BadSchedule, "time of day"),
        (
            TimingOptions(at="06:00", days="satur", zone="UTC"),
            BadSchedule,
            "'satur' is not a day of the week",
        ),
        (TimingOptions(cron="0 0 30 2 *", zone="UTC"), BadSchedule, "no date fits"),
    ],
)
def test_what_does_not_go_together(when: TimingOptions, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        rule_from(when)


@pytest.mark.parametrize(
    ("rule", "terms"),
    [
        (DAILY, ScheduleLimits()),
        (DAILY, ScheduleLimits(max_age=DAY)),
        (WEEKLY, ScheduleLimits(max_age=7 * DAY)),
        (DAILY, ScheduleLimits(min_articles=100, max_articles=100, newcomers=0)),
    ],
)
def test_terms_that_can_be_kept(rule: Rule, terms: ScheduleLimits) -> None:
    check_limits(rule, terms)


@pytest.mark.parametrize(
    ("rule", "terms", "words"),
    [
        (WEEKLY, ScheduleLimits(max_age=6 * DAY), "--max-age 7d or more"),
        (MONTHLY, ScheduleLimits(max_age=30 * DAY), "--max-age 31d or more"),
        (
            Rule(ScheduleKind.CRON, "UTC", cron="*/90 8-10 * * *"),
            ScheduleLimits(max_age=DAY / 2),
            "22h",
        ),
        (DAILY, ScheduleLimits(min_articles=0), "from 1 to 100"),
        (DAILY, ScheduleLimits(min_articles=5, max_articles=4), "from 1 to 100"),
        (DAILY, ScheduleLimits(max_articles=101), "from 1 to 100"),
        (DAILY, ScheduleLimits(newcomers=-1), "newcomers"),
        (DAILY, ScheduleLimits(newcomers=101), "newcomers"),
    ],
)
def test_terms_that_cannot_be_kept(rule: Rule, terms: ScheduleLimits, words: str) -> None:
    with pytest.raises(Refused, match=words):
        check_limits(rule, terms)
