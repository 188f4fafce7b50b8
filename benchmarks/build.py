"""A build for 10,000 and for 100,000 readers with a month of digests behind them: time and memory.

Run as `python benchmarks/build.py`; prints a table. Each build runs in a process of its own, so that its
peak memory is its own. PostgreSQL is a throw-away cluster, or the one that TEST_POSTGRESQL_URL names.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import event, func, select, text, update

from mailer.clock import Times
from mailer.db import Base, Database
from mailer.digests.build import Builder
from mailer.digests.render import edition_renderer
from mailer.digests.timetable import next_slot
from mailer.models import (
    Delivery,
    DeliveryStatus,
    DigestStatus,
    Edition,
    Schedule,
    Subscription,
)
from mailer.templating import Templates
from mailer.tokens import Keys
from tests import factories as make
from tests import postgresql
from tests.factories import NOW

READERS = (10_000, 100_000)
DIGESTS = 30
ARTICLES = 10
FAILED_PERCENT = 1
KEYS = Keys((b"s" * 40,), b"i" * 40)


def fill(database: Database, readers: int) -> None:
    """A newsletter whose readers had a digest on each of the last thirty days, some of which failed."""
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter)
        make.many_readers(session, KEYS, schedule, readers)
        first = None
        for day in range(DIGESTS):
            at = NOW - timedelta(days=DIGESTS - day)
            articles = make.articles(
                session, ARTICLES, newsletter, published_at=at - timedelta(hours=2)
            )
            digest = make.digest(session, schedule, due_at=at, status=DigestStatus.SENT)
            edition = make.edition(session, digest, articles)
            make.deliveries(session, edition, schedule)
            session.execute(
                update(Delivery)
                .where(
                    Delivery.edition_id == edition.id,
                    (Delivery.subscriber_id * 7919 + day * 31) % 100 < FAILED_PERCENT,
                )
                .values(status=DeliveryStatus.FAILED)
                .execution_options(synchronize_session=False)
            )
            first = first or digest.id
        session.execute(update(Subscription).values(first_digest_id=first))
        make.articles(session, ARTICLES, newsletter)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What PostgreSQL does by itself in a database that is older than a minute.
        connection.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))


def peak_mib() -> float:
    """The most memory that this process has had resident (Linux). `getrusage` would tell its parent's."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024


def build(url: str) -> None:
    """Build the next slot and print what it took."""
    database = Database(url)
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    with database.read() as session:
        schedule = session.scalars(select(Schedule)).one()
    slot = next_slot(schedule, now=NOW)
    assert slot is not None
    render = edition_renderer(
        Templates(None),
        base_url="https://news.example",
        publisher=None,
        privacy_url=None,
        random=os.urandom,
    )
    with Builder(
        database, Times(wall=lambda: NOW), render=render, lease=timedelta(minutes=1)
    ) as one:
        event.listen(database.engine, "before_cursor_execute", count)
        before = peak_mib()
        start = time.perf_counter()
        digest_id = one.build(schedule.id, slot)
        took = time.perf_counter() - start
        event.remove(database.engine, "before_cursor_execute", count)
    peak = peak_mib()
    with database.read() as session:
        deliveries = session.scalar(
            select(func.count()).select_from(Delivery).where(Delivery.digest_id == digest_id)
        )
        editions = session.scalar(
            select(func.count()).select_from(Edition).where(Edition.digest_id == digest_id)
        )
    assert deliveries
    print(
        f"{took:8.2f} {deliveries / took:12,.0f} {editions:9} {statements:11} "
        f"{peak:9.0f} {peak - before:10.0f}",
        flush=True,
    )
    database.dispose()


def measure(name: str, make_url: Callable[[], str]) -> None:
    """Fill a database for each number of readers, and build in another process."""
    for readers in READERS:
        url = make_url()
        database = Database(url)
        fill(database, readers)
        database.dispose()
        print(f"{name:10} {readers:9,}", end=" ", flush=True)
        subprocess.run([sys.executable, __file__, url], check=True)


def main() -> None:
    """Print the table, or with a database's URL its one build."""
    if len(sys.argv) > 1:
        build(sys.argv[1])
        return
    print(
        "engine       readers  seconds deliveries/s  editions  statements  peak MiB  grown MiB",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        files = iter(Path(folder, f"{number}.db") for number in range(len(READERS)))
        measure("SQLite", lambda: f"sqlite:///{next(files)}")
    with postgresql.server() as server:
        measure("PostgreSQL", server.create)


if __name__ == "__main__":
    main()
