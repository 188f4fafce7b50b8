"""What a sender counts and shows reaches the database with its beats, and with its end."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mailer.db import Database
from mailer.ledger import heartbeat
from mailer.ledger.heartbeat import Figures
from mailer.models import DeliveryStatus, Tally, Worker
from mailer.sending import counters
from mailer.tokens import Keys
from tests.integration.digests.builders import builder
from tests.support import factories
from tests.support.factories import NOW
from tests.support.sending import beating
from tests.support.waiting import wait_until


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hearts beat often."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)


def counted(database: Database) -> dict[tuple[int, str, str], int]:
    with database.read() as session:
        return {
            (row.worker_id, row.outcome, row.reason): row.number
            for row in session.scalars(select(Tally))
        }


def worker(database: Database, worker_id: int) -> Worker:
    with database.read() as session:
        return session.get_one(Worker, worker_id)


def test_counts_are_added_to_those_before(database: Database) -> None:
    with database.write() as session:
        mine = factories.worker(session).id
        other = factories.worker(session).id
        counters.add(session, mine, {})
        counters.add(session, mine, {("sent", "accepted"): 3, ("failed", "policy"): 1})
        counters.add(session, mine, {("sent", "accepted"): 4, ("unknown", "timeout"): 2})
        counters.add(session, other, {("sent", "accepted"): 5})
    assert counted(database) == {
        (mine, "sent", "accepted"): 7,
        (mine, "failed", "policy"): 1,
        (mine, "unknown", "timeout"): 2,
        (other, "sent", "accepted"): 5,
    }


def test_a_beat_carries_the_figures(database: Database) -> None:
    with database.write() as session:
        mine = factories.worker(session).id
        assert heartbeat.beat(session, mine, NOW, Figures(7, "the relay rests"))
    row = worker(database, mine)
    assert (row.connections, row.note) == (7, "the relay rests")
    with database.write() as session:
        assert heartbeat.beat(session, mine, NOW)
    assert (worker(database, mine).connections, worker(database, mine).note) == (0, None)


@pytest.mark.usefixtures("often")
def test_figures_are_written_at_each_beat(database: Database) -> None:
    with beating(database, lambda: Figures(3, "paused")) as sender:
        sender.counters.note("sent", "accepted")
        wait_until(lambda: counted(database) == {(sender.worker_id, "sent", "accepted"): 1})
        row = worker(database, sender.worker_id)
        assert (row.connections, row.note) == (3, "paused")
        sender.counters.note("sent", "accepted")
        wait_until(lambda: counted(database) == {(sender.worker_id, "sent", "accepted"): 2})


def test_what_was_counted_since_the_last_beat_is_written_at_the_end(database: Database) -> None:
    with beating(database) as sender:
        sender.counters.note("deferred", "congested")
        assert counted(database) == {}
    assert counted(database) == {(sender.worker_id, "deferred", "congested"): 1}


@pytest.mark.usefixtures("often")
def test_counts_that_could_not_be_written_come_with_the_next_beat(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = counters.add
    failures: list[int] = []
    well = threading.Event()

    def failing(session: Session, worker_id: int, counts: counters.Counts) -> None:
        add(session, worker_id, counts)
        if not well.is_set():
            failures.append(worker_id)
            raise OperationalError("INSERT", {}, Exception("the disk is full"))

    monkeypatch.setattr(counters, "add", failing)
    with beating(database) as sender:
        sender.counters.note("sent", "accepted")
        wait_until(lambda: len(failures) > 2)
        sender.counters.note("sent", "accepted")
        assert counted(database) == {}
        well.set()
        wait_until(lambda: counted(database) == {(sender.worker_id, "sent", "accepted"): 2})


@pytest.mark.usefixtures("often")
def test_a_worker_that_was_held_for_dead_keeps_what_it_counted(database: Database) -> None:
    with beating(database) as sender:
        before = sender.worker_id
        with database.write() as session:
            heartbeat.stop(session, before, NOW)
            sender.counters.note("sent", "accepted")
        wait_until(lambda: sender.worker_id != before)
        sender.counters.note("sent", "accepted")
        wait_until(lambda: sum(counted(database).values()) == 2)
    with database.read() as session:
        assert len(session.scalars(select(Worker.id)).all()) == 2


@pytest.mark.usefixtures("often")
def test_what_a_dead_worker_left_in_doubt_is_counted_by_whoever_takes_over(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        dead = factories.worker(session, stopped_at=NOW)
        for status in (DeliveryStatus.SENDING, DeliveryStatus.SENDING, DeliveryStatus.CLAIMED):
            factories.notice(session, keys, status=status, worker_id=dead.id)
    with beating(database) as sender:
        wait_until(lambda: counted(database))
    assert counted(database) == {(sender.worker_id, "unknown", "crashed"): 2}


@pytest.mark.parametrize("beats", [beating, partial(builder, now=NOW, lease=0.1)])
@pytest.mark.usefixtures("often")
def test_a_heartbeat_goes_on_while_others_have_all_connections(
    postgresql_database: Database, beats: Callable[[Database], AbstractContextManager[object]]
) -> None:
    url = postgresql_database.url.render_as_string(hide_password=False)
    database = Database(url, pool_size=1)
    with beats(database), ExitStack() as others:
        for _ in range(2):
            others.enter_context(database.write()).execute(text("SELECT 1"))
        before = worker(postgresql_database, 1).beat
        wait_until(lambda: worker(postgresql_database, 1).beat > before)
    database.dispose()
