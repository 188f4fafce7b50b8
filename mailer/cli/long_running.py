"""While a command takes long: how it is told to stop, and how often it says how far it is."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from mailer.cli.output import message

LINE_SECONDS: Final = 10.0
"""Without a terminal there is a line of progress this often."""


class Ticker:
    """Says when the next line is due: at once, or a while after the last one."""

    def __init__(self, *, at_once: bool, now: float) -> None:
        """`now` is in seconds of a monotonic clock, as is that of `is_due`."""
        self._next = now if at_once else now + LINE_SECONDS

    def is_due(self, now: float) -> bool:
        """Whether it is time for a line; then the next one is due after `LINE_SECONDS`."""
        if now < self._next:
            return False
        self._next = now + LINE_SECONDS
        return True


@contextmanager
def stop_signals(
    tell: str = "finishing what is under way: at most 30 seconds",
) -> Iterator[Callable[[], bool]]:
    """Takes SIGTERM and Ctrl-C as a wish to stop, and says whether there was one.

    Args:
        tell: what people are told when it is noticed.
    """
    asked: list[int] = []
    told = False

    def interrupted() -> bool:
        nonlocal told
        # Not in the handler: it may come in the middle of another line.
        if asked and not told:
            told = True
            message(tell)
        return bool(asked)

    def note(number: int, _frame: object) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def rows_in_lines(
    tell: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic
) -> Callable[[int], None]:
    """What tells every `LINE_SECONDS` how many rows are done, and how many that is a second."""
    began = monotonic()
    seldom = Ticker(at_once=False, now=began)

    def show(rows: int) -> None:
        now = monotonic()
        if seldom.is_due(now):
            tell(f"{rows:,} rows, {rows / (now - began):,.0f}/s")

    return show
