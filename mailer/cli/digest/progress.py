"""Shows the progress of `mailer digest send --wait`."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mailer.cli.long_running import Ticker
from mailer.cli.output import message
from mailer.text.english import duration, pluralise

if TYPE_CHECKING:
    from mailer.ledger.digest_state import Counts

_WINDOW_SECONDS: Final = 60.0

Show = Callable[["Counts"], None]


class Speed:
    """Measures how many mails a second are finished, over the last minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def at(self, now: float, done: int) -> float:
        """Add a sample, at `now` in seconds of one monotonic clock, and return the speed."""
        while self._samples and now - self._samples[0][0] > _WINDOW_SECONDS:
            self._samples.popleft()
        self._samples.append((now, done))
        since, before = self._samples[0]
        return (done - before) / (now - since) if now > since else 0.0


def in_words(counts: "Counts", speed: float) -> str:
    """Write progress in one line."""
    done = f"{counts.total - counts.pending} of {pluralise(counts.total, 'mail')} done"
    if not speed or not counts.pending:
        return done
    rate = f"{speed:.0f}" if speed >= 10 else f"{speed:.2g}"
    left = duration(timedelta(seconds=counts.pending / speed), roughly=True)
    return f"{done}, {rate}/s, {left} left"


@contextmanager
def showing() -> Iterator[Show]:
    """Show progress on stderr: as a bar on a terminal, elsewhere as a line now and then."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield lines(message, time.monotonic)


def lines(write: Callable[[str], None], monotonic: Callable[[], float]) -> Show:
    """Return a function that writes progress as a line at once, and then every `LINE_SECONDS`."""
    speed = Speed()
    ticker = Ticker(at_once=True, now=monotonic())

    def show(counts: "Counts") -> None:
        now = monotonic()
        current = speed.at(now, counts.total - counts.pending)
        if ticker.is_due(now):
            write(in_words(counts, current))

    return show


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    speed = Speed()
    columns = BarColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)

        def show(counts: "Counts") -> None:
            done = counts.total - counts.pending
            text = in_words(counts, speed.at(time.monotonic(), done))
            progress.update(task, description=text, total=counts.total, completed=done)

        yield show
