"""Which slots are due: the latest in time, with a record of those that were skipped."""

from datetime import UTC, datetime, timedelta

import pytest

from mailer.digests.schedules.calendar import Rule
from mailer.digests.schedules.due_slots import DueSlots, RecordedSlots, due_slots
from mailer.models import ScheduleKind

DAILY = Rule(ScheduleKind.DAYS, "UTC", at="06:00")
HOURLY = Rule(ScheduleKind.CRON, "UTC", cron="0 * * * *")
NONE = RecordedSlots(frozenset(), frozenset())


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC)


def names(*named: str) -> RecordedSlots:
    return RecordedSlots(frozenset(f"2026-11-{name}" for name in named), frozenset())


def decided(due: DueSlots) -> tuple[str | None, list[tuple[str, str]]]:
    return (
        due.build and due.build.name[8:],
        [(one.slot.name[8:], one.reason) for one in due.skipped],
    )


@pytest.mark.parametrize(
    ("rule", "after", "recorded", "now", "expected"),
    [
        (DAILY, "24T05:00", NONE, "24T05:59", (None, [])),
        (DAILY, "24T05:00", NONE, "24T06:00", ("24T06:00", [])),
        (DAILY, "24T05:00", NONE, "24T12:00", ("24T06:00", [])),
        (DAILY, "24T05:00", NONE, "24T12:01", (None, [("24T06:00", "late")])),
        (DAILY, "24T06:00", NONE, "24T06:01", (None, [])),
        (DAILY, "24T05:00", names("24T06:00"), "24T06:01", (None, [])),
        (
            DAILY,
            "22T05:00",
            NONE,
            "24T07:00",
            ("24T06:00", [("22T06:00", "superseded"), ("23T06:00", "superseded")]),
        ),
        (
            DAILY,
            "22T05:00",
            names("22T06:00"),
            "24T23:00",
            (None, [("23T06:00", "superseded"), ("24T06:00", "late")]),
        ),
        # The latest was built early: those before it hold nothing that it did not.
        (
            DAILY,
            "22T05:00",
            names("24T06:00"),
            "24T06:01",
            (None, [("22T06:00", "superseded"), ("23T06:00", "superseded")]),
        ),
        # One record a day, also for a rule that names every hour.
        (
            HOURLY,
            "22T21:30",
            NONE,
            "24T02:10",
            (
                "24T02:00",
                [
                    ("22T23:00", "superseded"),
                    ("23T23:00", "superseded"),
                    ("24T01:00", "superseded"),
                ],
            ),
        ),
    ],
)
def test_due_slots(
    rule: Rule, after: str, recorded: RecordedSlots, now: str, expected: tuple[object, object]
) -> None:
    due = due_slots(
        rule, after=at(after), recorded=recorded, max_lateness=timedelta(hours=6), now=at(now)
    )
    assert decided(due) == expected


def test_a_slot_whose_instant_has_a_digest_under_another_name_is_not_due_again() -> None:
    taken = RecordedSlots(frozenset({"2026-11-24T07:00"}), frozenset({at("24T06:00")}))
    due = due_slots(
        DAILY,
        after=at("24T05:00"),
        recorded=taken,
        max_lateness=timedelta(hours=6),
        now=at("24T06:05"),
    )
    assert due == DueSlots(None, ())
