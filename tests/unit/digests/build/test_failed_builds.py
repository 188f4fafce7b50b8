"""When a build that failed is tried again."""

from datetime import timedelta

import pytest

from mailer.digests.build.failed_builds import FIRST_PAUSE, LONGEST_PAUSE, may_try, pause_after
from mailer.digests.schedules.calendar import Slot
from mailer.models import Schedule
from tests.support.factories import NOW

SLOT = Slot(due_at=NOW, name="2026-11-24T06:00", local=NOW)


def test_pauses_double_up_to_a_longest() -> None:
    assert [pause_after(number) / FIRST_PAUSE for number in (1, 2, 3)] == [1, 2, 4]
    assert pause_after(9) == pause_after(10**6) == LONGEST_PAUSE


@pytest.mark.parametrize(
    ("failed", "after", "expected"),
    [
        (None, timedelta(minutes=1), True),
        ("2026-11-23T06:00", timedelta(minutes=1), True),
        (SLOT.name, timedelta(minutes=1), False),
        (SLOT.name, timedelta(0), True),
        (SLOT.name, -timedelta(seconds=1), True),
        # Put off before the clock was set back.
        (SLOT.name, LONGEST_PAUSE + timedelta(seconds=1), True),
    ],
)
def test_a_slot_rests_after_a_failure(failed: str | None, after: timedelta, expected: bool) -> None:
    schedule = Schedule(failed_slot=failed, failed_builds=1, next_build_at=NOW + after)
    assert may_try(schedule, SLOT, now=NOW) is expected


def test_what_never_failed_may_be_built() -> None:
    assert may_try(Schedule(failed_slot=None, next_build_at=None), SLOT, now=NOW)
