"""How long others wait to write while a digest of 100,000 readers is purged.

Run as `python benchmarks/purging.py`; prints a table. A purge runs as in the scheduler, with its rests, and
beside it another process that writes one row in each transaction, again and again. Milliseconds by the wall,
of the writer; the same without a purge is beside it, because a busy machine lets both wait.

PostgreSQL is a throw-away cluster, or the one that TEST_POSTGRESQL_URL names.
"""

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import text

from mailer.clock import utc_now
from mailer.db import Base, Database
from mailer.digests import retention
from mailer.models import ClientRequest, DigestStatus
from mailer.scheduler.purging import REST
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support import postgresql
from tests.support.factories import NOW

READERS: Final = 100_000
KEYS: Final = Keys((b"s" * 40,), b"i" * 40)
_PAUSE: Final = 0.01
_ALONE: Final = 10.0


def fill(database: Database) -> None:
    """One digest that all readers had, finished long ago, and a later one that is kept."""
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter)
        make.many_readers(session, KEYS, schedule, READERS)
        for days in (99, 1):
            at = NOW - timedelta(days=days)
            digest = make.digest(
                session,
                schedule,
                due_at=at,
                status=DigestStatus.SENT,
                finished_at=at,
                failures_read_at=at,
            )
            edition = make.edition(session, digest, make.articles(session, 5, newsletter))
            make.deliveries(session, edition, schedule, created_at=at, first_attempt_at=at)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))


def write(url: str, orders: Connection) -> None:
    """Write rows until told to stop, then say how long each transaction took."""
    database = Database(url)
    waits = []
    while not orders.poll():
        started = time.perf_counter()
        with database.write() as session:
            session.add(ClientRequest(network="192.0.2.0/24", at=utc_now()))
        waits.append((time.perf_counter() - started) * 1000)
        time.sleep(_PAUSE)
    orders.send(waits)
    database.dispose()


def waits_during(url: str, database: Database, *, purge: bool) -> tuple[float, list[float]]:
    """Return how many seconds the purge took, and how long each of the other's transactions."""
    ours, theirs = multiprocessing.Pipe()
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(url, theirs))
    writer.start()
    started = time.perf_counter()
    if purge:
        retention.purge_digests(database, before=NOW - timedelta(days=9), wall=utc_now, go_on=_rest)
    else:
        time.sleep(_ALONE)
    took = time.perf_counter() - started
    ours.send("stop")
    waits: list[float] = ours.recv()
    writer.join()
    return took, waits


def _rest() -> bool:
    time.sleep(REST)
    return True


def line(what: str, took: float, waits: Sequence[float]) -> str:
    """One row of the table."""
    ordered = sorted(waits)
    shares = [ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99, 1.0)]
    cells = " | ".join(f"{wait:.1f}" for wait in shares)
    return f"| {what} | {took:.0f} | {len(ordered):,} | {cells} |"


def measure(engine: str, url: str) -> None:
    """Print two rows for this database."""
    database = Database(url)
    fill(database)
    for what, purge in (("alone", False), ("during a purge", True)):
        print(line(f"{engine}, {what}", *waits_during(url, database, purge=purge)), flush=True)
    database.dispose()


def main() -> None:
    """Print a table in Markdown."""
    print("| others' transactions | seconds | number | median ms | 99 % | longest |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", f"sqlite:///{folder}/purging.db")
    with postgresql.server() as server:
        measure("PostgreSQL", server.create())


if __name__ == "__main__":
    main()
