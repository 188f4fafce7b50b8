"""Row K6: SIGTERM in the middle of a run, as at a deployment, judged by the receiver's file."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import Delivery, DeliveryStatus, Feed, Worker
from tests.faults.conftest import SQLITE
from tests.faults.relays import FULL, size
from tests.faults.run import Run
from tests.support import factories
from tests.support.http_site import Request, http_site
from tests.support.receiver import fine
from tests.support.waiting import wait_until

CONNECTIONS = 4


@pytest.mark.timeout(size(300, 900))
def test_deployments_in_the_middle_of_a_run_repeat_nothing(run: Run) -> None:
    readers, deployments = size(300, 10_000), size(2, 10)
    run.queue(readers)
    with run.receiving(delay=0.05, kind="plain") as port:
        for _ in range(deployments):
            before = len(run.accepted())
            with run.working(port) as worker:
                wait_until(partial(run.has_more, before + 20))
                worker.send_signal(signal.SIGTERM)
                assert worker.wait() == 0
            found = run.judge()
            assert found.adds_up
            assert found.counts.sent == len(run.accepted()) < readers
            assert (found.counts.in_doubt, found.counts.pending) == (0, readers - found.counts.sent)
            with run.database.read() as session:
                statuses = set(session.scalars(select(Delivery.status).distinct()))
                assert statuses == {DeliveryStatus.SENT, DeliveryStatus.QUEUED}
                assert None not in session.scalars(select(Worker.stopped_at)).all()
        with run.working(port):
            wait_until(run.is_sent)
    found = run.judge("K6", kills=deployments)
    found.everybody_got_one(readers)


@SQLITE
def test_a_signal_that_another_thread_takes_is_not_lost(run: Run) -> None:
    """Any thread may be the one, and the main thread's wait must end all the same."""
    roles = ("scheduler", "worker")
    with run.running(1, *roles) as process:
        wait_until(lambda: "running: " in run.log.read_text())
        threads = [int(one.name) for one in Path(f"/proc/{process.pid}/task").iterdir()]
        # To the kernel a thread has a process id too, and gets what is sent there.
        os.kill(max(threads), signal.SIGTERM)
        assert process.wait() == 0
    assert run.log.read_text().endswith("stopping\n")


@contextmanager
def trickling() -> Iterator[tuple[str, threading.Event]]:
    """A feed that comes a line a second and never ends, and whether anybody has asked for it."""
    asked, over = threading.Event(), threading.Event()

    def trickle(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        asked.set()
        while not over.wait(1):
            request.wfile.write(b"\n")

    with http_site(trickle) as origin:
        try:
            yield f"{origin}/feed", asked
        finally:
            over.set()


def test_a_slow_feed_holds_up_neither_the_worker_nor_the_end(run: Run) -> None:
    """What the relay accepts after the stop was on its way then; the fetch is abandoned, and no failure."""
    readers = 5_000
    run.queue(readers)
    roles = ("scheduler", "worker")
    with trickling() as (url, asked), run.receiving(delay=0.05, kind="plain") as port:
        with run.database.write() as session:
            factories.feed(session, url=url, allow_private=True)
        with run.running(port, *roles) as process:
            assert asked.wait()
            wait_until(lambda: run.has_more(20))
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: "stopping\n" in run.log.read_text())
            before = len(run.accepted())
            assert process.wait() == 0
    assert len(run.accepted()) - before <= CONNECTIONS
    with run.database.read() as session:
        feed = session.scalars(select(Feed)).one()
        assert (feed.error, feed.last_fetched_at) == (None, None)
    is_signed_off(run.database)


@SQLITE
def test_a_second_sigterm_does_not_cut_the_drain_short(run: Run) -> None:
    run.queue(20)
    with run.receiving(delay=3, kind="plain") as port, run.working(port) as worker:
        wait_until(lambda: len(run.accepted()) == CONNECTIONS)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            worker.send_signal(number)
            # It is at its drain, and is not to be hurried.
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(0.2)
        assert worker.wait() == 0
    found = run.judge()
    assert found.counts.sent == len(run.accepted()) == CONNECTIONS
    assert (found.counts.in_doubt, found.counts.pending) == (0, 20 - CONNECTIONS)
    assert (found.doubles, found.adds_up) == (0, True)
    is_signed_off(run.database)


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "DATA"])
@SQLITE
def test_a_relay_that_says_nothing_before_the_dot_leaves_nothing_in_doubt(
    run: Run, verb: str
) -> None:
    run.queue(20)
    go_on = threading.Event()

    def says(asked: str, argument: str) -> str:
        if asked == verb:
            go_on.wait(120)
        return fine(asked, argument)

    with run.relay(says, pipelines=False) as there:
        with run.working(there.port) as worker:
            wait_until(lambda: there.count(verb) >= CONNECTIONS)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait() == 0
        go_on.set()
    found = run.counts()
    assert (found.pending, found.in_doubt) == (20, 0)
    with run.database.read() as session:
        rows = session.scalars(select(Delivery)).all()
        assert {(row.status, row.attempts) for row in rows} == {(DeliveryStatus.QUEUED, 0)}
    is_signed_off(run.database)


def is_signed_off(database: Database) -> None:
    """Nobody would have to wait for a lease."""
    with database.read() as session:
        assert None not in session.scalars(select(Worker.stopped_at)).all()


@pytest.mark.parametrize("on_unknown", ["hold", "resend"] if FULL else ["hold"])
@SQLITE
def test_a_relay_that_takes_an_hour_is_not_waited_for(run: Run, on_unknown: str) -> None:
    readers = 20
    run.queue(readers)
    settings = {"on_unknown": on_unknown, "smtp_retry": "1s"}
    with (
        run.receiving(delay=3600, kind="plain") as port,
        run.working(port, **settings) as worker,
    ):
        wait_until(lambda: len(run.accepted()) == CONNECTIONS)
        begin = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait() == 0
        # It waits for an answer nearly as long as it may, and then no longer.
        assert time.monotonic() - begin > 20
    held = on_unknown == "hold"
    with run.database.read() as session:
        doubted = session.scalars(select(Delivery.id).where(Delivery.in_doubt == 1)).all()
    assert len(doubted) == CONNECTIONS
    for delivery_id in doubted:
        assert f"in doubt: delivery {delivery_id}\n" in run.log.read_text()
    found = run.counts()
    assert (found.unknown, found.in_doubt) == (CONNECTIONS if held else 0, CONNECTIONS)
    with run.receiving(kind="plain") as port, run.working(port, **settings):
        wait_until(run.is_sent)
    end = run.judge("K6", kills=1)
    end.nobody_is_lost(doubles=CONNECTIONS)
    assert end.doubles == (0 if held else CONNECTIONS)
    assert end.counts.unknown == (CONNECTIONS if held else 0)
