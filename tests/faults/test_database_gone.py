"""Rows D1 and D2: the database goes away in the middle of a run, judged by the receiver's file.

PostgreSQL is a cluster that the test crashes; SQLite's disk is full, and in a full run its file is also
locked by another program for longer than a writer waits.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import NamedTuple

import pytest

from mailer.db import Database
from mailer.models import DigestStatus
from mailer.tokens import Keys
from tests.faults.cluster import Cluster
from tests.faults.judge import Judgement
from tests.faults.outages import GONE, Outage, starts_nothing_more
from tests.faults.relays import FULL, size
from tests.faults.run import Run
from tests.support.waiting import wait_until

CONNECTIONS = 4
DOWN_SECONDS = size(3, 20)


def is_whole(found: Judgement, readers: int, doubles: int) -> None:
    found.nobody_is_lost(doubles)
    assert found.status is DigestStatus.SENT
    assert (found.counts.total, found.counts.pending) == (readers, 0)


@pytest.mark.timeout(size(300, 900))
def test_crashes_of_postgresql_lose_nobody(
    own_cluster: Cluster, keys: Keys, run_on: Callable[[Database], Run]
) -> None:
    readers, crashes = size(400, 10_000), size(2, 10)
    with own_cluster.database(keys) as database:
        run = run_on(database)
        run.queue(readers)
        with (
            run.receiving(delay=0.02) as port,
            run.working(port) as worker,
        ):
            for crash in range(1, crashes + 1):
                reached = readers * crash // (crashes + 2)
                wait_until(partial(run.has_more, reached))
                own_cluster.crash()
                own_cluster.start()
            wait_until(run.is_sent)
            assert worker.poll() is None
        found = run.judge("D1", kills=crashes)
    is_whole(found, readers, CONNECTIONS * crashes)
    # Otherwise the worker has not seen a crash, and this has shown nothing.
    assert run.log.read_text().count(GONE) == crashes


class Going(NamedTuple):
    """A database that can go, and come back."""

    database: Database
    go: Callable[[], object]
    come: Callable[[], object]


@contextmanager
def crashing(cluster: Cluster, keys: Keys) -> Iterator[Going]:
    with cluster.database(keys) as database:
        yield Going(database, cluster.crash, cluster.start)


@contextmanager
def locked(database: Database) -> Iterator[Going]:
    path = str(database.url.database)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        yield Going(
            database, lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK")
        )


@pytest.fixture(params=["postgresql", *(["sqlite"] if FULL else [])])
def going(request: pytest.FixtureRequest, keys: Keys) -> Iterator[Going]:
    """A database that can go; that of SQLite takes half a minute, and goes in a full run only."""
    if request.param == "postgresql":
        place = crashing(request.getfixturevalue("own_cluster"), keys)
    else:
        place = locked(request.getfixturevalue("sqlite_database"))
    with place as found:
        yield found


@pytest.mark.timeout(size(300, 600))
def test_while_the_database_is_gone_nothing_more_starts(
    going: Going, run_on: Callable[[Database], Run]
) -> None:
    readers = size(120, 1000)
    run = run_on(going.database)
    run.queue(readers)
    outage = Outage(readers // 3, going.go)
    with run.relay(outage.says) as there, run.working(there.port):
        starts_nothing_more(run, there, outage, CONNECTIONS, DOWN_SECONDS)
        going.come()
        wait_until(run.is_sent)
    is_whole(run.judge("D2", kills=1), readers, CONNECTIONS)
