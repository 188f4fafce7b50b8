"""Cron lines: what each field means, and what is refused with which words."""

import pytest

from mailer.digests.schedules.cron import parse_cron
from mailer.errors import BadSchedule


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        ("*/15 * * * *", "minutes", {0, 15, 30, 45}),
        ("5,10-12 * * * *", "minutes", {5, 10, 11, 12}),
        ("0 9-17/2 * * *", "hours", {9, 11, 13, 15, 17}),
        ("0 0 1,15 * *", "monthdays", {1, 15}),
        ("0 0 * feb,JUL-sep *", "months", {2, 7, 8, 9}),
        ("0 0 * * 0", "weekdays", {6}),
        ("0 0 * * 7", "weekdays", {6}),
        ("0 0 * * mon-fri", "weekdays", {0, 1, 2, 3, 4}),
        ("0 0 * * fri-sun", "weekdays", {4, 5, 6}),
        ("0 0 * * 5-7", "weekdays", {4, 5, 6}),
        ("0 0 * * sun-tue", "weekdays", {6, 0, 1}),
        ("0 0 * * *", "weekdays", set(range(7))),
    ],
)
def test_fields(line: str, field: str, expected: set[int]) -> None:
    assert set(getattr(parse_cron(line), field)) == expected


@pytest.mark.parametrize(
    ("line", "either"),
    [
        ("0 0 13 * fri", True),
        ("0 0 13 * *", False),
        ("0 0 * * fri", False),
        ("0 0 */2 * fri", False),
        ("0 0 13 * */2", False),
    ],
)
def test_days_of_month_and_week_are_alternatives_only_where_both_restrict(
    line: str, either: bool
) -> None:
    assert parse_cron(line).either_day is either


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of the week"),
        ("* * * * someday", "such as mon"),
        ("*/0 * * * *", "step"),
        ("*/x * * * *", "step"),
        ("5/10 * * * *", "no range"),
        ("30-10 * * * *", "backwards"),
        ("1,,2 * * * *", "minute"),
        ("² * * * *", "minute"),
        ("-1 * * * *", "minute"),
    ],
)
def test_refusals_name_the_field(line: str, words: str) -> None:
    with pytest.raises(BadSchedule, match=words):
        parse_cron(line)
