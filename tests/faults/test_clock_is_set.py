"""Row T1: the wall clock is set while mails are sent; nobody is held for dead, and nobody mailed twice.

What it does to mails that wait for another try is tested in `tests/integration/sending/test_clock_set.py`,
what it does to slots in `tests/integration/test_scheduler.py`.
"""

import threading
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from mailer.clock import Times, utc_now
from mailer.db import Database
from mailer.models import DigestStatus
from mailer.sending.outgoing import Composer
from mailer.sending.send_loop import Sender
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import Judgement, judge
from tests.faults.relays import relay, size
from tests.support.receiver import fine
from tests.support.sending import BASE_URL, alerts, config, is_sent, sending
from tests.support.waiting import wait_until

READERS = size(200, 1000)
LEASE_SECONDS = 2

HOURS = pytest.mark.parametrize("hours", [1, -1, 24, -24])


class Wall:
    """A wall clock that somebody sets."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


def sent_while_set(
    database: Database,
    keys: Keys,
    file: Path,
    set_walls: list[Wall],
    walls: list[Wall],
    hours: int,
) -> Judgement:
    """Send a digest by a sender for each of `walls`; some are set at a third of it, and set right later."""
    digest_id = queue_digest(database, keys, READERS)
    dots = count(1)
    is_set = threading.Event()

    def says(verb: str, argument: str) -> str:
        if verb == "DOT" and next(dots) == READERS // 3:
            for wall in set_walls:
                wall.ahead = timedelta(hours=hours)
            is_set.set()
        return fine(verb, argument)

    with relay(file, says) as there, ExitStack() as stack:
        # Slow enough that all beat more than once before the end.
        there.hold_seconds = 4 * 2 * LEASE_SECONDS / READERS
        for wall in walls:
            composer = Composer(keys, BASE_URL, Templates())
            settings = config(there.port, lease_seconds=LEASE_SECONDS, connections=4 // len(walls))
            times = Times(wall=wall)
            sender = Sender(database, settings, composer, times=times, alerts=alerts(keys))
            stack.enter_context(sending(sender))
        assert is_set.wait()
        set_at = time.monotonic()
        wait_until(lambda: time.monotonic() - set_at > 1.5 * LEASE_SECONDS)
        for wall in walls:
            wall.ahead = timedelta()
        wait_until(lambda: is_sent(database, digest_id))
    return judge(database, digest_id, file)


def is_whole(found: Judgement, log: str) -> None:
    assert "silent" not in log
    assert "dead" not in log
    assert found.lost == set()
    assert found.strangers == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.adds_up
    assert found.status is DigestStatus.SENT
    assert found.counts.sent == READERS


@HOURS
def test_the_clock_of_one_machine_of_two_is_set(
    postgresql_database: Database,
    keys: Keys,
    fast_folder: Path,
    note: Note,
    caplog: pytest.LogCaptureFixture,
    hours: int,
) -> None:
    walls = [Wall(), Wall()]
    file = fast_folder / "received"
    found = sent_while_set(postgresql_database, keys, file, walls[:1], walls, hours)
    note("T1", postgresql_database, found)
    is_whole(found, caplog.text)


@HOURS
def test_the_clock_of_the_only_machine_is_set(
    sqlite_database: Database,
    keys: Keys,
    fast_folder: Path,
    note: Note,
    caplog: pytest.LogCaptureFixture,
    hours: int,
) -> None:
    walls = [Wall()]
    found = sent_while_set(sqlite_database, keys, fast_folder / "received", walls, walls, hours)
    note("T1", sqlite_database, found)
    is_whole(found, caplog.text)
