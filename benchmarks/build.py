"""A build for 10,000 and for 100,000 readers with a month of digests behind them: time and memory.

Run as `python benchmarks/build.py`; prints a table. `--million` takes 100,000 and 1,000,000 readers instead,
with three digests behind them, which needs some minutes and 2 GB of disk. `locked` is how long the build's
write transaction lasts, which on SQLite keeps everybody else from writing; `plan` is how long a plan of the
same digest takes. Last come ratios, which mean more than seconds where the machine is busy.

Each build runs in a process of its own, so that its peak memory is its own. PostgreSQL is a throw-away
cluster, or the one that TEST_POSTGRESQL_URL names.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import ColumnElement, case, event, func, select, text, update
from sqlalchemy.orm import Session

from benchmarks.rig.processes import peak_mib
from mailer.clock import Times
from mailer.db import Base, Database, PinnedConnection
from mailer.digests.build.builder import Builder
from mailer.digests.build.render import edition_renderer
from mailer.digests.schedules.slot_lookup import next_slot
from mailer.digests.selection.plan import plan_digest
from mailer.models import (
    Delivery,
    DigestStatus,
    Edition,
    Schedule,
    Subscription,
)
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support import postgresql
from tests.support.factories import NOW

READERS = (10_000, 100_000)
MILLION = (100_000, 1_000_000)
DIGESTS = 30
FEW_DIGESTS = 3
LONG_AGO = 60
"""After so many digests a build is compared with the first one."""
ARTICLES = 10
PORTION = 50_000
FAILED_PERCENT = 1
KEYS = Keys((b"s" * 40,), b"i" * 40)


def failed(day: int) -> ColumnElement[bool]:
    """True for a subscriber whose mail of that day failed: one in a hundred, others each day."""
    return (Subscription.subscriber_id * 7919 + day * 31) % 100 < FAILED_PERCENT


def fill(database: Database, readers: int, digests: int) -> None:
    """A newsletter whose readers had a digest on each of the days before, some of which failed."""
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter)
        # In portions, so that the benchmark itself fits into memory.
        for number in range(0, readers, PORTION):
            domain = f"{number}.example.com"
            make.many_readers(session, KEYS, schedule, min(PORTION, readers - number), domain)
        first, before = None, []
        for day in range(digests):
            at = NOW - timedelta(days=digests - day)
            articles = make.articles(
                session, ARTICLES, newsletter, published_at=at - timedelta(hours=2)
            )
            digest = make.digest(session, schedule, due_at=at, status=DigestStatus.SENT)
            # Who got nothing the day before gets its articles with those of the day.
            whole = make.edition(session, digest, [*articles, *before], number=2)
            edition = make.edition(session, digest, articles)
            make.deliveries(
                session,
                edition,
                schedule,
                edition_id=case((failed(day - 1), whole.id), else_=edition.id),
                status=case((failed(day), "failed"), else_="sent"),
            )
            first, before = first or digest.id, articles
        if first is not None:
            session.execute(update(Subscription).values(first_digest_id=first))
        make.articles(session, ARTICLES, newsletter)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What PostgreSQL does by itself in a database that is older than a minute.
        connection.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))


class Locked:
    """Notes how long the longest write transaction of a database lasts."""

    def __init__(self, database: Database) -> None:
        self.seconds = 0.0
        self._pinned = database.pinned
        database.write = self._timed(database.write)  # type: ignore[method-assign]
        database.pinned = self.pinned  # type: ignore[method-assign]

    @contextmanager
    def pinned(self) -> Iterator[PinnedConnection]:
        """As `Database.pinned`."""
        with self._pinned() as connection:
            connection.write = self._timed(connection.write)  # type: ignore[method-assign]
            yield connection

    def _timed(
        self, write: Callable[[], AbstractContextManager[Session]]
    ) -> Callable[[], AbstractContextManager[Session]]:
        @contextmanager
        def timed() -> Iterator[Session]:
            with write() as session:
                # A transaction begins with its first statement.
                session.connection()
                start = time.perf_counter()
                yield session
            self.seconds = max(self.seconds, time.perf_counter() - start)

        return timed


def build(url: str) -> None:
    """Plan and build the next slot, and print what it took; the last line is for the parent."""
    database = Database(url)
    statements = 0

    def note(*_: object) -> None:
        nonlocal statements
        statements += 1

    with database.read() as session:
        schedule = session.scalars(select(Schedule)).one()
        slot = next_slot(schedule, now=NOW)
        assert slot is not None
        start = time.perf_counter()
        plan_digest(session, schedule, slot)
        planned = time.perf_counter() - start
    render = edition_renderer(
        Templates(None),
        base_url="https://news.example",
        publisher=None,
        privacy_url=None,
        random=os.urandom,
    )
    locked = Locked(database)
    with Builder(
        database, Times(wall=lambda: NOW), render=render, lease=timedelta(minutes=1)
    ) as one:
        event.listen(database.engine, "before_cursor_execute", note)
        before = peak_mib(os.getpid())
        start = time.perf_counter()
        digest_id = one.build(schedule.id, slot)
        took = time.perf_counter() - start
        event.remove(database.engine, "before_cursor_execute", note)
    peak = peak_mib(os.getpid())
    with database.read() as session:
        deliveries = session.scalar(
            select(func.count()).select_from(Delivery).where(Delivery.digest_id == digest_id)
        )
        editions = session.scalar(
            select(func.count()).select_from(Edition).where(Edition.digest_id == digest_id)
        )
    assert deliveries
    print(
        f"{took:8.2f} {deliveries / took:12,.0f} {locked.seconds:7.2f} {planned:6.2f} {editions:9} "
        f"{statements:11} {peak:9.0f} {peak - before:10.0f}"
    )
    print(took)
    database.dispose()


def measure(name: str, url: str, readers: int, digests: int) -> float:
    """Fill a database, and build in another process; how many seconds that took."""
    database = Database(url)
    fill(database, readers, digests)
    database.dispose()
    done = subprocess.run(
        [sys.executable, __file__, "--build", url], check=True, capture_output=True, text=True
    )
    row, seconds = done.stdout.splitlines()
    print(f"{name:10} {readers:9,} {digests:7} {row}", flush=True)
    return float(seconds)


def compare(name: str, make_url: Callable[[], str], sizes: tuple[int, int], digests: int) -> None:
    """Print a row for each number of readers, one for a first build and one after many, and ratios."""
    few, many = (measure(name, make_url(), readers, digests) for readers in sizes)
    first = measure(name, make_url(), sizes[0], 0)
    later = measure(name, make_url(), sizes[0], LONG_AGO if digests == DIGESTS else digests)
    print(f"{name}: {sizes[1]:,} readers take {many / few:.1f} times as long as {sizes[0]:,}")
    print(f"{name}: the last of these takes {later / first:.1f} times as long as the first digest")


def main() -> None:
    """Print the table, or make one build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--build", metavar="URL", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.build:
        build(asked.build)
        return
    sizes, digests = (MILLION, FEW_DIGESTS) if asked.million else (READERS, DIGESTS)
    print(
        "engine       readers digests  seconds deliveries/s  locked   plan  editions  statements  "
        "peak MiB  grown MiB",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        numbers = count(1)
        compare("SQLite", lambda: f"sqlite:///{folder}/{next(numbers)}.db", sizes, digests)
    with postgresql.server() as server:
        compare("PostgreSQL", server.create, sizes, digests)


if __name__ == "__main__":
    main()
