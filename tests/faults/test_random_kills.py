"""Twenty kill -9 at random times while a thousand readers are served, judged by the receiver's file.

Nobody is lost, at most one mail per open connection and kill comes twice, and each that does was
counted as in doubt. The receiver writes its line to the disk before it says 250, and offers PIPELINING,
so that mails overlap on each connection.
"""

import random
import signal
import time
from pathlib import Path

from mailer.db import Database
from mailer.models import DigestStatus
from mailer.tokens import Keys
from tests.faults.judge import judge
from tests.processes import accepted, receiving, start_worker, working
from tests.sending import build, is_sent
from tests.waiting import wait_until

READERS = 1000
CONNECTIONS = 4
KILLS = 20
LONG_LIVES = {6, 13}
"""Before these kills a worker lives long enough to take over what earlier ones left in doubt."""
SLOWNESS = 0.05
"""Seconds between the receiver's line on the disk and its 250, so that kills hit mails in flight."""


def test_twenty_kills_lose_nobody(database: Database, keys: Keys, fast_folder: Path) -> None:
    digest_id = build(database, keys, READERS)
    file, log = fast_folder / "received", fast_folder / "log"
    chance = random.Random()
    with receiving(file, delay=SLOWNESS, kind="pipelining") as port:
        for kill in range(KILLS):
            assert not is_sent(database, digest_id), f"all was sent before kill {kill}"
            before = len(accepted(file))
            worker = start_worker(database, keys, port, log)
            try:
                # A life begins with its first mail, and ends at any moment soon after it.
                wait_until(lambda before=before: len(accepted(file)) > before, 20, every=0.005)
                time.sleep(chance.uniform(0, 0.35) + (2.2 if kill in LONG_LIVES else 0))
            finally:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
        with working(database, keys, port, log):
            wait_until(lambda: is_sent(database, digest_id), 40)
    found = judge(database, digest_id, file)
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
