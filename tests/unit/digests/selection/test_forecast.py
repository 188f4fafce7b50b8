"""How many of the articles that wait will be too old before there is room for them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from mailer.digests.schedules.schedule_options import ScheduleLimits
from mailer.digests.selection.forecast import number_expiring

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def daily(number: int | None = None) -> Iterator[datetime]:
    """Noon of the days to come; of all, or of so many."""
    day = 0
    while number is None or day < number:
        day += 1
        yield NOON + day * DAY


def hours_ago(*hours: int) -> list[datetime]:
    return [NOON - timedelta(hours=one) for one in hours]


@pytest.mark.parametrize(
    ("waiting", "intake", "limits", "expired"),
    [
        pytest.param([], 9, ScheduleLimits(1, 1), 0, id="nothing waits"),
        pytest.param([1, 2, 3], 0, ScheduleLimits(1, 3), 0, id="there is a place for all"),
        pytest.param([1, 2], 0, ScheduleLimits(1, 1), 0, id="one after the other"),
        pytest.param(
            [1, 2, 3], 0, ScheduleLimits(1, 1), 1, id="the turn of the last comes too late"
        ),
        pytest.param([1, 2, 3], 2, ScheduleLimits(1, 2), 1, id="what is newer goes first"),
        pytest.param([1, 2, 3], 1, ScheduleLimits(1, 2), 0, id="what is newer leaves a place"),
        pytest.param([80], 0, ScheduleLimits(1, 9), 1, id="too old at the next slot"),
        pytest.param([1], 0, ScheduleLimits(2, 9), 1, id="too few, for ever"),
        pytest.param([1], 1, ScheduleLimits(2, 9), 0, id="enough with the next ones"),
    ],
)
def test_expiring(waiting: list[int], intake: int, limits: ScheduleLimits, expired: int) -> None:
    assert number_expiring(hours_ago(*waiting), intake, daily(), 3 * DAY, limits) == expired


def test_what_no_slot_sends_any_more_is_too_old() -> None:
    assert number_expiring(hours_ago(1, 2), 0, daily(0), 9 * DAY, ScheduleLimits(1, 9)) == 2
    assert number_expiring(hours_ago(1, 2, 3), 0, daily(2), 9 * DAY, ScheduleLimits(1, 1)) == 1
