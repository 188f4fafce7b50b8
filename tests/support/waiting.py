"""Waits for something to become true, without sleeping longer than it takes."""

import time
from collections.abc import Callable


def wait_until(true: Callable[[], object], *, every: float = 0.02) -> None:
    """Return as soon as `true()` is. What never becomes true is ended by pytest-timeout."""
    while not true():
        time.sleep(every)
