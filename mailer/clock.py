"""Time: aware UTC instants, IANA zones and the one place that reads the clock.

Everything else takes `now` as an argument; only entry points hold a `Clock`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
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
