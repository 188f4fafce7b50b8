"""A wall clock that is set while a process runs, and what is known of an instant before that."""

from datetime import UTC, datetime, timedelta

import pytest

from mailer.delivery.leap import LEAP, Leaps

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOTHING = timedelta()


def seen(*ahead: timedelta) -> Leaps:
    """Looks once a minute at a clock that is so far ahead."""
    leaps = Leaps()
    for minute, how_far in enumerate(ahead):
        leaps.look(NOON + minute * MINUTE + how_far, 60.0 * minute)
    return leaps


@pytest.mark.parametrize("leap", [HOUR, -HOUR, 1.01 * LEAP, -1.01 * LEAP])
def test_a_clock_that_is_set_is_noticed_once(leap: timedelta) -> None:
    leaps = Leaps()
    assert not leaps.look(NOON, 0.0)
    assert not leaps.look(NOON + HOUR, 3600.0)
    assert leaps.look(NOON + HOUR + leap, 3600.0)
    assert not leaps.look(NOON + HOUR + leap + MINUTE, 3660.0)


def test_a_clock_that_is_kept_right_is_not_set() -> None:
    leaps = Leaps()
    for hour in range(100):
        assert not leaps.look(NOON + hour * 0.9999 * HOUR, 3600.0 * hour)
        assert leaps.since(NOON - HOUR) == NOTHING


def test_what_it_was_set_forward_did_not_pass_for_what_is_older() -> None:
    leaps = seen(NOTHING, NOTHING, HOUR, HOUR)
    assert leaps.since(NOON + MINUTE) == HOUR
    # Only after it was set the clock showed this.
    assert leaps.since(NOON + HOUR + 2 * MINUTE) == NOTHING


def test_setting_it_back_makes_nothing_older() -> None:
    leaps = seen(NOTHING, -HOUR, -HOUR)
    assert leaps.since(NOON) == NOTHING
    assert leaps.since(NOON - HOUR + MINUTE) == NOTHING


def test_what_is_told_is_never_too_little() -> None:
    # It is set back and then right again: what began in between seems an hour older than it is.
    leaps = seen(NOTHING, -HOUR, -HOUR, NOTHING)
    assert leaps.since(NOON - HOUR + MINUTE) == HOUR
    assert leaps.since(NOON) == NOTHING
    # It is set forward twice.
    assert seen(NOTHING, HOUR, 3 * HOUR).since(NOON) == 3 * HOUR
