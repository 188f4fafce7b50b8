"""The rate: whatever workers come and go, the relay never sees more than was promised to it."""

import bisect
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailer.db import Database
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import counts, queue_digest
from tests.faults.judge import judge
from tests.faults.relays import FULL, relay, size
from tests.support.processes import accepted, killed_in_the_end, start_worker, working
from tests.support.sending import is_sent
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


def test_three_workers_of_which_one_is_killed_keep_the_rate(
    database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    readers = size(14 * RATE, 40 * RATE)
    digest_id = queue_digest(database, keys, readers)
    log = fast_folder / "log"
    settings = {"smtp_rate": f"{RATE}/s", "smtp_connections": str(CONNECTIONS)}
    with (
        stalls() as late,
        relay(fast_folder / "received") as there,
        working(database, keys, there.port, log, **settings),
        working(database, keys, there.port, log, **settings),
    ):
        third = start_worker(database, keys, there.port, log, **settings)
        with killed_in_the_end(third):
            wait_until(lambda: len(accepted(there.file)) >= 3 * RATE)
            third.send_signal(signal.SIGKILL)
            third.wait()
        with working(database, keys, there.port, log, **settings):
            wait_until(lambda: is_sent(database, digest_id))
    found = judge(database, digest_id, there.file)
    note("rate", database, found, kills=1)
    times = there.times("DOT")
    # One batch is one second's worth. What the machine held up comes closer together.
    assert most_in_a_window(times) <= RATE * (WINDOW_SECONDS + 1 + 2 * max(late))
    assert found.lost == set()
    assert found.doubles <= CONNECTIONS
    assert found.doubled_without_doubt == set()
    assert counts(database, digest_id).pending == 0
