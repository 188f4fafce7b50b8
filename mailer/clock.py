"""Time: aware UTC instants, IANA zones and the one place that reads the clock.

Everything else takes `now` as an argument; only entry points hold a `Clock`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from mailer.errors import Refused

YEARS: Final = range(1900, 9000)
"""In which an instant that somebody types may lie: whatever is reckoned from it is a date, too."""

Clock = Callable[[], datetime]
"""Returns the present instant, aware and in UTC."""


def utc_now() -> datetime:
    """The wall clock, as an aware UTC instant."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Times:
    """The two clocks an entry point holds: `wall` names instants, `monotonic` measures waits.

    They are apart because the wall clock may be set back or forward while a process runs.
    """

    wall: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic


CLOCK_JUMP: Final = timedelta(seconds=5)
"""By more than that a clock is set, and not only kept right."""

_JUMPS_KEPT: Final = 100


class ClockJumps:
    """Watches one wall clock (UTC) beside one monotonic clock (seconds), from the first time it looks."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self._ahead: list[tuple[datetime, timedelta]] = []

    def look(self, wall: datetime, monotonic: float) -> bool:
        """Whether the wall clock was set since the last time."""
        last, self._last = self._last, (wall, monotonic)
        if last is None:
            return False
        expected = last[0] + timedelta(seconds=monotonic - last[1])
        jump = wall - expected
        if jump > CLOCK_JUMP:
            self._ahead.append((expected, jump))
            # Clocks that are set forward so often do not tell the time.
            del self._ahead[:-_JUMPS_KEPT]
        return abs(jump) > CLOCK_JUMP

    def since(self, instant: datetime) -> timedelta:
        """How far the clock was set forward after `instant`: so much less has passed than it tells.

        Never too little. Where it was set back too, it may be too much: then nobody knows on which side
        of that an instant lies.
        """
        return sum((jump for before, jump in self._ahead if instant <= before), timedelta())


def zone(name: str) -> ZoneInfo:
    """The IANA zone called `name`, such as "Asia/Yerevan".

    Raises:
        Refused: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Refused(
            f"there is no time zone {name!r}; give an IANA name such as Europe/Paris or UTC"
        ) from error


def parse_instant(text: str) -> datetime:
    """An ISO 8601 instant as aware UTC; without an offset it is taken as UTC.

    Raises:
        Refused: `text` is no ISO 8601 date and time, or not within `YEARS`.
    """
    try:
        parsed = datetime.fromisoformat(text.strip())
        if parsed.year not in YEARS:
            raise ValueError(f"{parsed.year} is not within {YEARS}")
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return parsed.astimezone(UTC)
    except ValueError as error:
        raise Refused(
            f"{text!r} is no ISO 8601 date and time from {YEARS.start} to {YEARS.stop - 1}; "
            "write it like 2026-11-24T06:00Z"
        ) from error


def format_instant(instant: datetime) -> str:
    """`instant` as ISO 8601 in UTC with a Z, whole seconds."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
