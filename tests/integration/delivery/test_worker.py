"""`mailer run worker` as processes: two of them share the work, and SIGTERM drains."""

import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import Delivery, DeliveryStatus, Worker
from mailer.tokens import Keys
from tests.processes import accepted, receiving, working
from tests.sending import build, counts, is_sent
from tests.waiting import wait_until


def test_two_workers_never_send_one_delivery_twice(
    postgresql_database: Database, keys: Keys, fast_folder: Path
) -> None:
    digest_id = build(postgresql_database, keys, 400)
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file, delay=0.01) as port, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(working(postgresql_database, keys, port, log))
        wait_until(lambda: is_sent(postgresql_database, digest_id), 40)
    copies = Counter(line["to"] for line in accepted(file))
    assert len(copies) == 400
    assert set(copies.values()) == {1}
    assert counts(postgresql_database, digest_id).in_doubt == 0
    with postgresql_database.read() as session:
        shares = Counter(session.scalars(select(Delivery.worker_id)))
    # Otherwise one has done it all, and this has shown nothing.
    assert len(shares) == 2
    assert min(shares.values()) > 40


def test_sigterm_finishes_what_is_on_its_way(
    database: Database, keys: Keys, fast_folder: Path
) -> None:
    digest_id = build(database, keys, 300)
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file, delay=0.05) as port:
        with working(database, keys, port, log) as worker:
            wait_until(lambda: len(accepted(file)) > 20)
            begin = time.monotonic()
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
            assert time.monotonic() - begin < 30
        found = counts(database, digest_id)
        assert found.sent == len(accepted(file)) < 300
        assert (found.in_doubt, found.pending) == (0, 300 - found.sent)
        with database.read() as session:
            statuses = set(session.scalars(select(Delivery.status).distinct()))
            assert statuses == {DeliveryStatus.SENT, DeliveryStatus.QUEUED}
            assert session.scalars(select(Worker.stopped_at)).one() is not None
        with working(database, keys, port, log):
            wait_until(lambda: is_sent(database, digest_id), 40)
    assert set(Counter(line["to"] for line in accepted(file)).values()) == {1}


@pytest.mark.timeout(90)
def test_sigterm_does_not_wait_for_a_silent_relay_for_ever(
    sqlite_database: Database, keys: Keys, fast_folder: Path
) -> None:
    digest_id = build(sqlite_database, keys, 20)
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file, delay=60) as port, working(sqlite_database, keys, port, log) as worker:
        wait_until(lambda: len(accepted(file)) == 4)
        begin = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        worker.wait(40)
        assert 20 < time.monotonic() - begin < 30
    assert log.read_text().count("in doubt: delivery") == 4
    found = counts(sqlite_database, digest_id)
    assert (found.in_doubt, found.pending) == (4, 20)
