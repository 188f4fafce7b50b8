"""Row K5: many kill -9 at random times while readers are served, judged by the receiver's file.

Nobody is lost, at most one mail per open connection and kill comes twice, and each that does was
counted as in doubt. The receiver writes its line to the disk before it says 250, and offers PIPELINING,
so that mails overlap on each connection.
"""

import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DigestStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import adds_up, judge
from tests.faults.relays import size
from tests.support.processes import accepted, has_more, receiving, start_worker, working
from tests.support.sending import counts, is_sent
from tests.support.waiting import wait_until

READERS = size(1000, 10_000)
CONNECTIONS = 4
KILLS = size(20, 200)
LONG_LIVES = range(6, KILLS, size(7, 20))
"""Before these kills a worker lives until it has taken over what earlier ones left in doubt."""
SLOWNESS = 0.05
"""Seconds between the receiver's line on the disk and its 250, so that kills hit mails in flight."""


def has_more_doubts(database: Database, digest_id: int, than: int) -> bool:
    return counts(database, digest_id).in_doubt > than


@pytest.mark.timeout(size(300, 3600))
def test_kills_at_random_times_lose_nobody(
    database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    digest_id = queue_digest(database, keys, READERS)
    file, log = fast_folder / "received", fast_folder / "log"
    chance = random.Random(KILLS)
    with receiving(file, delay=SLOWNESS, kind="pipelining") as port:
        for kill in range(KILLS):
            before, doubted = len(accepted(file)), counts(database, digest_id).in_doubt
            worker = start_worker(database, keys, port, log)
            try:
                # A life ends at any mail, and at any moment of it.
                wait_until(partial(has_more, file, before + chance.randrange(28)), every=0.005)
                if kill in LONG_LIVES:
                    wait_until(partial(has_more_doubts, database, digest_id, doubted))
                time.sleep(chance.uniform(0, SLOWNESS))
            finally:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
            left = counts(database, digest_id)
            assert adds_up(left)
            assert left.total == READERS
        with working(database, keys, port, log):
            wait_until(lambda: is_sent(database, digest_id))
    found = judge(database, digest_id, file)
    note("K5", database, found, kills=KILLS)
    assert found.lost == set()
    assert found.strangers == set()
    assert found.doubles <= CONNECTIONS * KILLS
    assert found.doubled_without_doubt == set()
    assert found.ids_per_delivery == 1
    assert found.status is DigestStatus.SENT
    assert found.adds_up
    assert found.counts.pending == 0
    assert found.counts.total == READERS
    assert found.counts.sent + found.counts.unknown == READERS
    # Otherwise no kill found a mail in flight, and this test has shown nothing.
    assert 0 < found.counts.in_doubt <= CONNECTIONS * KILLS
