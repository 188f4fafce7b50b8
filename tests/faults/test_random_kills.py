"""Row K5: many kill -9 at random times while readers are served, judged by the receiver's file.

Nobody is lost, at most one mail per open connection and kill comes twice, and each that does was
counted as in doubt. The receiver writes its line to the disk before it says 250, and offers PIPELINING,
so that mails overlap on each connection.
"""

import random
import time
from functools import partial

import pytest

from mailer.models import DigestStatus
from tests.faults.judge import adds_up
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.waiting import wait_until

READERS = size(1000, 10_000)
CONNECTIONS = 4
KILLS = size(20, 200)
LONG_LIVES = range(6, KILLS, size(7, 20))
"""Before these kills a worker lives until it has taken over what earlier ones left in doubt."""
SLOWNESS = 0.05
"""Seconds between the receiver's line on the disk and its 250, so that kills hit mails in flight."""


def has_more_doubts(run: Run, than: int) -> bool:
    return run.counts().in_doubt > than


@pytest.mark.timeout(size(300, 3600))
def test_kills_at_random_times_lose_nobody(run: Run) -> None:
    run.queue(READERS)
    chance = random.Random(KILLS)
    with run.receiving(delay=SLOWNESS) as port:
        for kill in range(KILLS):
            before, doubted = len(run.accepted()), run.counts().in_doubt
            # Which is killed where this ends.
            with run.working(port):
                # A life ends at any mail, and at any moment of it.
                wait_until(partial(run.has_more, before + chance.randrange(28)), every=0.005)
                if kill in LONG_LIVES:
                    wait_until(partial(has_more_doubts, run, doubted))
                time.sleep(chance.uniform(0, SLOWNESS))
            left = run.counts()
            assert adds_up(left)
            assert left.total == READERS
        with run.working(port):
            wait_until(run.is_sent)
    found = run.judge("K5", kills=KILLS)
    found.nobody_is_lost(doubles=CONNECTIONS * KILLS)
    assert found.status is DigestStatus.SENT
    assert (found.counts.total, found.counts.pending) == (READERS, 0)
    assert found.counts.sent + found.counts.unknown == READERS
    # Otherwise no kill found a mail in flight, and this test has shown nothing.
    assert 0 < found.counts.in_doubt <= CONNECTIONS * KILLS
