"""Lets a long command be stopped by a signal, and prints now and then how far it is."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from mailer.cli.output import message

LINE_SECONDS: Final = 10.0
"""Without a terminal there is a line of progress this often."""


class Ticker:
    """Says when the next line is due, in seconds of a monotonic clock: at once, or after `LINE_SECONDS`."""

    def __init__(self, *, at_once: bool, now: float) -> None:
        self._next = now if at_once else now + LINE_SECONDS

    def is_due(self, now: float) -> bool:
        """Tell whether it is time for a line; if so, wait `LINE_SECONDS` for the next one."""
        if now < self._next:
            return False
        self._next = now + LINE_SECONDS
        return True


@contextmanager
def stop_signals(
    notice: str = "finishing what is under way: at most 30 seconds",
) -> Iterator[Callable[[], bool]]:
    """Take SIGTERM and Ctrl-C as a request to stop; yield a function that tells whether one came.

    Args:
        notice: the message that is printed when the function first says so.
    """
    signals: list[int] = []
    noticed = False

    def interrupted() -> bool:
        nonlocal noticed
        # Not in the handler: it may come in the middle of another line.
        if signals and not noticed:
            noticed = True
            message(notice)
        return bool(signals)

    def note(number: int, _frame: object) -> None:
        signals.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def rows_in_lines(
    write: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic
) -> Callable[[int], None]:
    """Return a function that writes every `LINE_SECONDS` how many rows are done, and how many a second."""
    began = monotonic()
    ticker = Ticker(at_once=False, now=began)

    def show(rows: int) -> None:
        now = monotonic()
        if ticker.is_due(now):
            write(f"{rows:,} rows, {rows / (now - began):,.0f}/s")

    return show
