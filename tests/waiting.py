"""Waiting for something to become true, without sleeping longer than it takes."""

import time
from collections.abc import Callable


def wait_until(true: Callable[[], object], seconds: float = 60, every: float = 0.02) -> None:
    """Return as soon as `true()` is; fail when it is not within `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"still not true after {seconds} s: {true}"
        time.sleep(every)
