"""Waits follow the list, the last one repeats, and an end is an end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.sending.flow_control.retry_plan import RetryPlan

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
MINUTES = [5, 15, 30, 60, 120, 240]
PLAN = RetryPlan(tuple(timedelta(minutes=wait) for wait in MINUTES), timedelta(hours=48))


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [(1, 5), (2, 15), (3, 30), (4, 60), (5, 120), (6, 240), (7, 240), (50, 240)],
)
def test_the_list_is_followed_and_its_last_wait_repeats(attempts: int, minutes: int) -> None:
    assert PLAN.next_attempt(attempts, NOW, NOW, middle) == NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("age", "again"),
    [
        (timedelta(hours=44), True),
        (timedelta(hours=44, seconds=1), False),
        (timedelta(hours=48), False),
        (timedelta(days=30), False),
    ],
)
def test_it_is_given_up_when_the_next_attempt_would_be_too_late(
    age: timedelta, again: bool
) -> None:
    next_attempt = PLAN.next_attempt(6, NOW - age, NOW, middle)
    assert (next_attempt is not None) is again


def test_a_reader_whom_the_relay_always_defers_is_tried_for_two_days() -> None:
    attempts, at = 1, NOW
    while (later := PLAN.next_attempt(attempts, NOW, at, middle)) is not None:
        attempts, at = attempts + 1, later
    assert attempts == 17
    assert timedelta(hours=44) < at - NOW <= timedelta(hours=48)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_the_jitter_is_a_fifth(attempts: int, chance: float) -> None:
    next_attempt = PLAN.next_attempt(attempts, NOW, NOW, lambda: chance)
    plain = timedelta(minutes=MINUTES[min(attempts, len(MINUTES)) - 1])
    assert next_attempt is not None
    assert 0.8 * plain <= next_attempt - NOW <= 1.2 * plain
