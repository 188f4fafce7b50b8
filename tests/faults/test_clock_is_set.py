"""Row T1: the wall clock is set while mails are sent; no sender is considered dead, and nobody mailed twice.

What it does to mails that wait for another try is tested in `tests/integration/sending/test_clock_set.py`,
what it does to slots in `tests/integration/test_scheduler.py`.
"""

import threading
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import count

import pytest

from mailer.clock import Times, utc_now
from mailer.sending.composer import Composer
from mailer.sending.send_loop import Sender
from mailer.templating.templates import Templates
from tests.faults.conftest import POSTGRESQL, SQLITE
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.receiver import fine
from tests.support.sending import BASE_URL, alerts, config, sending
from tests.support.waiting import wait_until

READERS = size(200, 1000)
LEASE_SECONDS = 2

HOURS = pytest.mark.parametrize("hours", [1, -1, 24, -24])


class Wall:
    """A wall clock that is set while the test runs."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


def send_while_set(run: Run, set_walls: list[Wall], walls: list[Wall], hours: int) -> None:
    """Send a digest by a sender for each of `walls`; some are set at a third of it, and set right later."""
    run.queue(READERS)
    dots = count(1)
    is_set = threading.Event()

    def says(verb: str, argument: str) -> str:
        if verb == "DOT" and next(dots) == READERS // 3:
            for wall in set_walls:
                wall.ahead = timedelta(hours=hours)
            is_set.set()
        return fine(verb, argument)

    with run.relay(says) as there, ExitStack() as stack:
        # Slow enough that all beat more than once before the end.
        there.hold_seconds = 4 * 2 * LEASE_SECONDS / READERS
        for wall in walls:
            composer = Composer(run.keys, BASE_URL, Templates())
            settings = config(there.port, lease_seconds=LEASE_SECONDS, connections=4 // len(walls))
            times = Times(wall=wall)
            sender = Sender(run.database, settings, composer, times=times, alerts=alerts(run.keys))
            stack.enter_context(sending(sender))
        assert is_set.wait()
        set_at = time.monotonic()
        wait_until(lambda: time.monotonic() - set_at > 1.5 * LEASE_SECONDS)
        for wall in walls:
            wall.ahead = timedelta()
        wait_until(run.is_sent)
    run.judge("T1").everybody_got_one(READERS)


@HOURS
@POSTGRESQL
def test_the_clock_of_one_machine_of_two_is_set(
    run: Run, caplog: pytest.LogCaptureFixture, hours: int
) -> None:
    walls = [Wall(), Wall()]
    send_while_set(run, walls[:1], walls, hours)
    assert "silent" not in caplog.text
    assert "dead" not in caplog.text


@HOURS
@SQLITE
def test_the_clock_of_the_only_machine_is_set(
    run: Run, caplog: pytest.LogCaptureFixture, hours: int
) -> None:
    walls = [Wall()]
    send_while_set(run, walls, walls, hours)
    assert "silent" not in caplog.text
    assert "dead" not in caplog.text
