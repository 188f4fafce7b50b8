"""A wall clock that is set while a process runs, and what is known of an instant before that."""

from datetime import UTC, datetime, timedelta

import pytest

from mailer.clock import CLOCK_JUMP, ClockJumps

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOTHING = timedelta()


def seen(*ahead: timedelta) -> ClockJumps:
    """Looks once a minute at a clock that is so far ahead."""
    leaps = ClockJumps()
    for minute, how_far in enumerate(ahead):
        leaps.observe(NOON + minute * MINUTE + how_far, 60.0 * minute)
    return leaps


@pytest.mark.parametrize("leap", [HOUR, -HOUR, 1.01 * CLOCK_JUMP, -1.01 * CLOCK_JUMP])
def test_a_clock_that_is_set_is_noticed_once(leap: timedelta) -> None:
    leaps = ClockJumps()
    assert not leaps.observe(NOON, 0.0)
    assert not leaps.observe(NOON + HOUR, 3600.0)
    assert leaps.observe(NOON + HOUR + leap, 3600.0)
    assert not leaps.observe(NOON + HOUR + leap + MINUTE, 3660.0)


def test_a_clock_that_is_kept_right_is_not_set() -> None:
    leaps = ClockJumps()
    for hour in range(100):
        assert not leaps.observe(NOON + hour * 0.9999 * HOUR, 3600.0 * hour)
        assert leaps.since(NOON - HOUR) == NOTHING


@pytest.mark.parametrize(
    ("ahead", "began", "since"),
    [
        ((NOTHING, NOTHING, HOUR, HOUR), MINUTE, HOUR),
        # Only after it was set the clock showed this.
        ((NOTHING, NOTHING, HOUR, HOUR), HOUR + 2 * MINUTE, NOTHING),
        ((NOTHING, HOUR, 3 * HOUR), NOTHING, 3 * HOUR),
        # Setting it back makes nothing older.
        ((NOTHING, -HOUR, -HOUR), NOTHING, NOTHING),
        ((NOTHING, -HOUR, -HOUR), MINUTE - HOUR, NOTHING),
        # It is set back and then right again: what began in between seems an hour older than it is.
        ((NOTHING, -HOUR, -HOUR, NOTHING), MINUTE - HOUR, HOUR),
        ((NOTHING, -HOUR, -HOUR, NOTHING), NOTHING, NOTHING),
    ],
)
def test_what_it_was_set_forward_did_not_pass_for_what_is_older(
    ahead: tuple[timedelta, ...], began: timedelta, since: timedelta
) -> None:
    """What is told is never too little."""
    assert seen(*ahead).since(NOON + began) == since
