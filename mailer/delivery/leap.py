"""Whether the wall clock was set while a process runs: told by what both clocks say of the same time.

Pure: the clocks are read by whoever asks. What is to be done about it is decided elsewhere.
"""

from datetime import datetime, timedelta
from typing import Final

LEAP: Final = timedelta(seconds=5)
"""By more than that a clock is set, and not only kept right."""

_KEPT: Final = 100


class Leaps:
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
        leap = wall - expected
        if leap > LEAP:
            self._ahead.append((expected, leap))
            # Clocks that are set forward so often do not tell the time.
            del self._ahead[:-_KEPT]
        return abs(leap) > LEAP

    def since(self, instant: datetime) -> timedelta:
        """How far the clock was set forward after `instant`: so much less has passed than it tells.

        Never too little. Where it was set back too, it may be too much: then nobody knows on which side
        of that an instant lies.
        """
        return sum((leap for before, leap in self._ahead if instant <= before), timedelta())
