"""Row K6: SIGTERM in the middle of a run, as at a deployment, judged by the receiver's file."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import Delivery, DeliveryStatus, Feed, Worker
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import judge
from tests.faults.relays import FULL, relay, size
from tests.support import factories
from tests.support.processes import (
    accepted,
    has_more,
    killed_in_the_end,
    receiving,
    start_mailer,
    working,
)
from tests.support.receiver import fine
from tests.support.sending import counts, is_sent
from tests.support.waiting import wait_until

CONNECTIONS = 4


@pytest.mark.timeout(size(300, 900))
def test_deployments_in_the_middle_of_a_run_repeat_nothing(
    database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    readers, deployments = size(300, 10_000), size(2, 10)
    digest_id = queue_digest(database, keys, readers)
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file, delay=0.05) as port:
        for _ in range(deployments):
            before = len(accepted(file))
            with working(database, keys, port, log) as worker:
                wait_until(partial(has_more, file, before + 20))
                worker.send_signal(signal.SIGTERM)
                assert worker.wait() == 0
            found = judge(database, digest_id, file)
            assert found.adds_up
            assert found.counts.sent == len(accepted(file)) < readers
            assert (found.counts.in_doubt, found.counts.pending) == (0, readers - found.counts.sent)
            with database.read() as session:
                statuses = set(session.scalars(select(Delivery.status).distinct()))
                assert statuses == {DeliveryStatus.SENT, DeliveryStatus.QUEUED}
                assert None not in session.scalars(select(Worker.stopped_at)).all()
        with working(database, keys, port, log):
            wait_until(lambda: is_sent(database, digest_id))
    found = judge(database, digest_id, file)
    note("K6", database, found, kills=deployments)
    assert found.lost == set()
    assert found.strangers == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.counts.sent == readers


def test_a_signal_that_another_thread_takes_is_not_lost(
    sqlite_database: Database, keys: Keys, fast_folder: Path
) -> None:
    """Any thread may be the one, and the main thread's wait must end all the same."""
    log = fast_folder / "log"
    roles = ("scheduler", "worker")
    with killed_in_the_end(start_mailer(sqlite_database, keys, 1, log, *roles)) as process:
        wait_until(lambda: "running: " in log.read_text())
        threads = [int(one.name) for one in Path(f"/proc/{process.pid}/task").iterdir()]
        # To the kernel a thread has a process id too, and gets what is sent there.
        os.kill(max(threads), signal.SIGTERM)
        assert process.wait() == 0
    assert log.read_text().endswith("stopping\n")


@contextmanager
def trickling() -> Iterator[tuple[str, threading.Event]]:
    """A feed that comes a line a second and never ends, and whether anybody has asked for it."""
    asked, over = threading.Event(), threading.Event()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            asked.set()
            while not over.wait(1):
                self.wfile.write(b"\n")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/feed", asked
        finally:
            over.set()
            server.shutdown()


def test_a_slow_feed_holds_up_neither_the_worker_nor_the_end(
    database: Database, keys: Keys, fast_folder: Path
) -> None:
    """What the relay accepts after the stop was on its way then; the fetch is abandoned, and no failure."""
    readers = 5_000
    queue_digest(database, keys, readers)
    file, log = fast_folder / "received", fast_folder / "log"
    roles = ("scheduler", "worker")
    with trickling() as (url, asked), receiving(file, delay=0.05) as port:
        with database.write() as session:
            factories.feed(session, url=url, allow_private=True)
        with killed_in_the_end(start_mailer(database, keys, port, log, *roles)) as process:
            assert asked.wait()
            wait_until(lambda: has_more(file, 20))
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: "stopping\n" in log.read_text())
            before = len(accepted(file))
            assert process.wait() == 0
    assert len(accepted(file)) - before <= CONNECTIONS
    with database.read() as session:
        feed = session.scalars(select(Feed)).one()
        assert (feed.error, feed.last_fetched_at) == (None, None)
    is_signed_off(database)


def test_a_second_sigterm_does_not_cut_the_drain_short(
    sqlite_database: Database, keys: Keys, fast_folder: Path
) -> None:
    digest_id = queue_digest(sqlite_database, keys, 20)
    file, log = fast_folder / "received", fast_folder / "log"
    with (
        receiving(file, delay=3) as port,
        working(sqlite_database, keys, port, log) as worker,
    ):
        wait_until(lambda: len(accepted(file)) == CONNECTIONS)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            worker.send_signal(number)
            # It is at its drain, and is not to be hurried.
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(0.2)
        assert worker.wait() == 0
    found = judge(sqlite_database, digest_id, file)
    assert found.counts.sent == len(accepted(file)) == CONNECTIONS
    assert (found.counts.in_doubt, found.counts.pending) == (0, 20 - CONNECTIONS)
    assert (found.doubles, found.adds_up) == (0, True)
    is_signed_off(sqlite_database)


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "DATA"])
def test_a_relay_that_says_nothing_before_the_dot_leaves_nothing_in_doubt(
    sqlite_database: Database, keys: Keys, fast_folder: Path, verb: str
) -> None:
    digest_id = queue_digest(sqlite_database, keys, 20)
    file, log = fast_folder / "received", fast_folder / "log"
    go_on = threading.Event()

    def says(asked: str, argument: str) -> str:
        if asked == verb:
            go_on.wait(120)
        return fine(asked, argument)

    with relay(file, says, pipelines=False) as there:
        with working(sqlite_database, keys, there.port, log) as worker:
            wait_until(lambda: there.count(verb) >= CONNECTIONS)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait() == 0
        go_on.set()
    found = counts(sqlite_database, digest_id)
    assert (found.pending, found.in_doubt) == (20, 0)
    with sqlite_database.read() as session:
        rows = session.scalars(select(Delivery)).all()
        assert {(row.status, row.attempts) for row in rows} == {(DeliveryStatus.QUEUED, 0)}
    is_signed_off(sqlite_database)


def is_signed_off(database: Database) -> None:
    """Nobody would have to wait for a lease."""
    with database.read() as session:
        assert None not in session.scalars(select(Worker.stopped_at)).all()


@pytest.mark.parametrize("on_unknown", ["hold", "resend"] if FULL else ["hold"])
def test_a_relay_that_takes_an_hour_is_not_waited_for(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, on_unknown: str
) -> None:
    readers = 20
    digest_id = queue_digest(sqlite_database, keys, readers)
    file, log = fast_folder / "received", fast_folder / "log"
    settings = {"on_unknown": on_unknown, "smtp_retry": "1s"}
    with (
        receiving(file, delay=3600) as port,
        working(sqlite_database, keys, port, log, **settings) as worker,
    ):
        wait_until(lambda: len(accepted(file)) == CONNECTIONS)
        begin = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait() == 0
        # It waits for an answer nearly as long as it may, and then no longer.
        assert time.monotonic() - begin > 20
    held = on_unknown == "hold"
    with sqlite_database.read() as session:
        doubted = session.scalars(select(Delivery.id).where(Delivery.in_doubt == 1)).all()
    assert len(doubted) == CONNECTIONS
    for delivery_id in doubted:
        assert f"in doubt: delivery {delivery_id}\n" in log.read_text()
    found = counts(sqlite_database, digest_id)
    assert (found.unknown, found.in_doubt) == (CONNECTIONS if held else 0, CONNECTIONS)
    with (
        receiving(file) as port,
        working(sqlite_database, keys, port, log, **settings),
    ):
        wait_until(lambda: is_sent(sqlite_database, digest_id))
    end = judge(sqlite_database, digest_id, file)
    note("K6", sqlite_database, end, kills=1)
    assert end.lost == set()
    assert end.adds_up
    assert end.doubled_without_doubt == set()
    assert end.doubles == (0 if held else CONNECTIONS)
    assert end.counts.unknown == (CONNECTIONS if held else 0)
