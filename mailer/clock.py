"""Reads the clock, notices when it is set, and parses instants and IANA zones.

The only module that reads a clock: all others take `now` as an argument; only entry points hold a `Clock`.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from mailer.errors import Refused

YEARS: Final = range(1900, 9000)
"""The years in which an instant that a person types may lie, so that calculations with it do not overflow."""

Clock = Callable[[], datetime]
"""Returns the current instant, aware and in UTC."""


def utc_now() -> datetime:
    """Read the wall clock, as an aware UTC instant."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Times:
    """The two clocks an entry point holds: `wall` names instants, `monotonic` measures waits.

    They are separate because the wall clock may be set back or forward while a process runs.
    """

    wall: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic


CLOCK_JUMP: Final = timedelta(seconds=5)
"""A larger step means that the clock was set, not only adjusted."""

_JUMPS_KEPT: Final = 100


class ClockJumps:
    """Compares a wall clock (UTC) with a monotonic clock (seconds), from the first call on."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self._forward_jumps: list[tuple[datetime, timedelta]] = []

    def observe(self, wall: datetime, monotonic: float) -> bool:
        """Compare the clocks. Return whether the wall clock was set since the last call."""
        last, self._last = self._last, (wall, monotonic)
        if last is None:
            return False
        expected = last[0] + timedelta(seconds=monotonic - last[1])
        jump = wall - expected
        if jump > CLOCK_JUMP:
            self._forward_jumps.append((expected, jump))
            # A clock that is set more often does not tell the time.
            del self._forward_jumps[:-_JUMPS_KEPT]
        return abs(jump) > CLOCK_JUMP

    def since(self, instant: datetime) -> timedelta:
        """Tell how far the clock was set forward after `instant`: that much less time has passed since.

        Never too little. It may be too much if the clock was set back as well, because then it is unknown
        on which side of that `instant` lies.
        """
        return sum((jump for before, jump in self._forward_jumps if instant <= before), timedelta())


def zone(name: str) -> ZoneInfo:
    """Return the IANA zone called `name`, such as "Asia/Yerevan".

    Raises:
        Refused: the zone does not exist.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Refused(
            f"the time zone {name!r} does not exist; give an IANA name such as Europe/Paris or UTC"
        ) from error


def parse_instant(text: str) -> datetime:
    """Parse an ISO 8601 instant as aware UTC; without an offset it is in UTC.

    Raises:
        Refused: `text` is not an ISO 8601 date and time, or not within `YEARS`.
    """
    with suppress(ValueError):
        parsed = datetime.fromisoformat(text.strip())
        if parsed.year in YEARS:
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    raise Refused(
        f"{text!r} is not an ISO 8601 date and time from {YEARS.start} to {YEARS.stop - 1}; "
        "write it like 2026-11-24T06:00Z"
    )


def format_instant(instant: datetime) -> str:
    """Write `instant` as ISO 8601 in UTC with a Z, in whole seconds."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
