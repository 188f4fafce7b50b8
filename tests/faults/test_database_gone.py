"""Rows D1 and D2: the database goes away in the middle of a run, judged by the receiver's file.

PostgreSQL is a cluster that the test crashes; SQLite's disk is full, and in a full run its file is also
locked by somebody else for longer than anybody waits.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from mailer.db import Database
from mailer.models import DigestStatus
from mailer.tokens import Keys
from tests.faults.cluster import Cluster
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import Judgement, judge
from tests.faults.outages import GONE, Outage, starts_nothing_more
from tests.faults.relays import FULL, relay, size
from tests.support.processes import has_more, receiving, working
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

CONNECTIONS = 4
DOWN_SECONDS = size(3, 20)


def is_whole(found: Judgement, readers: int, doubles: int) -> None:
    assert found.lost == set()
    assert found.strangers == set()
    assert found.doubles <= doubles
    assert found.doubled_without_doubt == set()
    assert found.ids_per_delivery == 1
    assert found.adds_up
    assert found.status is DigestStatus.SENT
    assert (found.counts.total, found.counts.pending) == (readers, 0)


@pytest.mark.timeout(size(300, 900))
def test_crashes_of_postgresql_lose_nobody(
    own_cluster: Cluster, keys: Keys, fast_folder: Path, note: Note
) -> None:
    readers, crashes = size(400, 10_000), size(2, 10)
    file, log = fast_folder / "received", fast_folder / "log"
    with own_cluster.database(keys) as database:
        digest_id = queue_digest(database, keys, readers)
        with (
            receiving(file, delay=0.02, kind="pipelining") as port,
            working(database, keys, port, log) as worker,
        ):
            for crash in range(1, crashes + 1):
                reached = readers * crash // (crashes + 2)
                wait_until(partial(has_more, file, reached))
                own_cluster.crash()
                own_cluster.start()
            wait_until(lambda: is_sent(database, digest_id))
            assert worker.poll() is None
        found = judge(database, digest_id, file)
        note("D1", database, found, kills=crashes)
    is_whole(found, readers, CONNECTIONS * crashes)
    # Otherwise the worker has not seen a crash, and this has shown nothing.
    assert log.read_text().count(GONE) == crashes


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
    going: Going, keys: Keys, fast_folder: Path, note: Note
) -> None:
    readers = size(120, 1000)
    file, log = fast_folder / "received", fast_folder / "log"
    digest_id = queue_digest(going.database, keys, readers)
    outage = Outage(readers // 3, going.go)
    with relay(file, outage.says) as there, working(going.database, keys, there.port, log):
        starts_nothing_more(there, log, outage, CONNECTIONS, DOWN_SECONDS)
        going.come()
        wait_until(lambda: is_sent(going.database, digest_id))
    found = judge(going.database, digest_id, file)
    note("D2", going.database, found, kills=1)
    is_whole(found, readers, CONNECTIONS)
