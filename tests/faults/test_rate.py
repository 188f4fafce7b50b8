"""The rate: whatever workers come and go, the relay never sees more than was promised to it."""

import bisect
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.relays import FULL, size
from tests.faults.run import Run
from tests.support.waiting import wait_until

RATE = 100 if FULL else 40
WINDOW_SECONDS = 10.0
CONNECTIONS = 4


def most_in_a_window(times: list[float]) -> int:
    """How many of these moments fall into ten seconds, wherever these begin."""
    times = sorted(times)
    return max(
        bisect.bisect_left(times, start + WINDOW_SECONDS) - index
        for index, start in enumerate(times)
    )


@contextmanager
def stalls() -> Iterator[list[float]]:
    """By how many seconds this machine let a thread that had nothing to do wait for its turn."""
    late, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            began = time.monotonic()
            over.wait(0.05)
            late.append(time.monotonic() - began - 0.05)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield late
    finally:
        over.set()
        watching.join()


def test_three_workers_of_which_one_is_killed_keep_the_rate(run: Run) -> None:
    readers = size(14 * RATE, 40 * RATE)
    run.queue(readers)
    settings = {"smtp_rate": f"{RATE}/s", "smtp_connections": str(CONNECTIONS)}
    with (
        stalls() as late,
        run.relay() as there,
        run.working(there.port, **settings),
        run.working(there.port, **settings),
    ):
        # Which is killed where this ends.
        with run.working(there.port, **settings):
            wait_until(lambda: len(run.accepted()) >= 3 * RATE)
        with run.working(there.port, **settings):
            wait_until(run.is_sent)
    found = run.judge("rate", kills=1)
    times = there.times("DOT")
    # One batch is one second's worth. What the machine held up comes closer together.
    assert most_in_a_window(times) <= RATE * (WINDOW_SECONDS + 1 + 2 * max(late))
    found.nobody_is_lost(doubles=CONNECTIONS)
    assert found.counts.pending == 0
