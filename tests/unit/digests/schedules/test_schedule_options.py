"""Terms and rules as staff ask for them: what goes together, and what the answer is where it does not."""

from datetime import timedelta

import pytest

from mailer.digests.schedules.calendar import Rule
from mailer.digests.schedules.schedule_options import ScheduleLimits, When, check_terms, rule_from
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
        (When(at="6:00", zone="UTC"), DAILY),
        (When(at="06:00", days="Mon", zone="Europe/Paris"), WEEKLY),
        (
            When(at="06:00", days="sun, tue,tue", zone="UTC"),
            Rule(ScheduleKind.DAYS, "UTC", at="06:00", days="tue,sun"),
        ),
        (When(at="06:00", days="mon,tue,wed,thu,fri,sat,sun", zone="UTC"), DAILY),
        (When(at="06:00", days="Monday", zone="Europe/Paris"), WEEKLY),
        (
            When(at="06:00", days="saturday,weekdays,wed", zone="UTC"),
            Rule(ScheduleKind.DAYS, "UTC", at="06:00", days="mon,tue,wed,thu,fri,sat"),
        ),
        (When(at="06:00", days="weekdays, weekends", zone="UTC"), DAILY),
        (When(at="06:00", monthday=1, zone="UTC"), MONTHLY),
        (When(cron=" 0  6 * * * ", zone="UTC"), CRON),
    ],
)
def test_a_new_rule(when: When, expected: Rule) -> None:
    assert rule_from(when) == expected


@pytest.mark.parametrize(
    ("before", "when", "expected"),
    [
        (WEEKLY, When(at="07:00"), Rule(ScheduleKind.DAYS, "Europe/Paris", at="07:00", days="mon")),
        (WEEKLY, When(zone="UTC"), Rule(ScheduleKind.DAYS, "UTC", at="06:00", days="mon")),
        (WEEKLY, When(monthday=1, zone="UTC"), MONTHLY),
        (MONTHLY, When(days="mon", zone="Europe/Paris"), WEEKLY),
        (MONTHLY, When(at="07:00"), Rule(ScheduleKind.MONTHDAY, "UTC", at="07:00", monthday=1)),
        (DAILY, When(cron="0 6 * * *"), CRON),
        (CRON, When(at="06:00"), DAILY),
        (CRON, When(zone="Asia/Yerevan"),
         Rule(ScheduleKind.CRON, "Asia/Yerevan", cron="0 6 * * *")),
        (CRON, When(), CRON),
        (DAILY, When(), DAILY),
    ],
)  # fmt: skip
def test_a_changed_rule(before: Rule, when: When, expected: Rule) -> None:
    assert rule_from(when, before) == expected


@pytest.mark.parametrize(
    ("when", "error", "words"),
    [
        (When(zone="UTC"), Refused, "give --at"),
        (When(at="06:00"), Refused, "time zone"),
        (When(at="06:00", zone="Nowhere/City"), Refused, "Nowhere/City"),
        (When(at="06:00", cron="0 6 * * *", zone="UTC"), Refused, "cron line says everything"),
        (When(at="06:00", days="mon", monthday=1, zone="UTC"), Refused, "exclude each other"),
        (When(at="24:00", zone="UTC"), BadSchedule, "time of day"),
        (When(at="06:00", days="satur", zone="UTC"), BadSchedule, "'satur' is no day of the week"),
        (When(cron="0 0 30 2 *", zone="UTC"), BadSchedule, "no date fits"),
    ],
)
def test_what_does_not_go_together(when: When, error: type[Exception], words: str) -> None:
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
    check_terms(rule, terms)


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
        check_terms(rule, terms)
