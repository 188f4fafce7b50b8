"""Whether sending on PostgreSQL becomes slower while somebody holds a snapshot open, as pg_dump does.

Run as `python benchmarks/snapshot.py`; prints a table. While a transaction with REPEATABLE READ is open,
no version of a row that has changed since may be cleared away, neither by autovacuum nor on its page. One
worker sends a digest on 10 connections meanwhile; `ratio` is the throughput of the last mails to that of
as many first ones, and must be at least 0.7. The line without a snapshot shows how much that differs anyway.
`server` is the CPU time of the server in microseconds a mail, which a busy machine changes less.
`--mails 100000` is the full size.

PostgreSQL is a throw-away cluster on disk with fsync, synchronous_commit and autovacuum on, or the one that
TEST_POSTGRESQL_URL names.
"""

import argparse
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import func, select

from benchmarks.rig import end_in_order
from benchmarks.rig.digest import POLL_SECONDS, Watch, fill, watching
from benchmarks.rig.postfix import sink
from benchmarks.rig.processes import family_cpu_seconds
from benchmarks.rig.worker import sending
from mailer.db import Database
from mailer.models import Delivery
from tests.support import postgresql

MAILS = 40_000
PART = 10_000
CONNECTIONS = 10
SLOWEST = 200
"""Mails a second; what is slower has not ended in time."""


@contextmanager
def snapshot(database: Database) -> Iterator[None]:
    """A transaction that has read a row of the ledger, and reads nothing more."""
    engine = database.engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection, connection.begin():
        connection.execute(select(Delivery.id).limit(1))
        yield


class Used(NamedTuple):
    """When the server had used so much CPU time, in seconds."""

    at: float
    cpu: float


def wait(watch: Watch, seconds: float) -> list[Used]:
    """Wait until the digest is sent, and note what the server uses meanwhile.

    Raises:
        TimeoutError: it is not sent in time.
    """
    server, until, used = watch.server_pid(), time.monotonic() + seconds, []
    while not watch.is_sent():
        if time.monotonic() > until:
            raise TimeoutError(f"only {watch.sent()} mails were sent")
        used.append(Used(time.time(), family_cpu_seconds(server) if server else 0.0))
        time.sleep(POLL_SECONDS)
    return used


def times(database: Database, numbers: Sequence[int]) -> list[float]:
    """When the ledger recorded the mails with these numbers, in the order in which it did."""
    number = func.row_number().over(order_by=(Delivery.outcome_at, Delivery.id)).label("number")
    numbered = select(number, Delivery.outcome_at).subquery()
    query = select(numbered.c.outcome_at).where(numbered.c.number.in_(numbers))
    with database.read() as session:
        return [at.timestamp() for at in session.scalars(query.order_by(numbered.c.number))]


def measure(name: str, url: str, folder: Path, mails: int) -> None:
    """Print one line of the table."""
    database = Database(url)
    digest_id = fill(database, mails)
    with (
        sink() as relay,
        watching(database, digest_id) as watch,
        snapshot(database) if name == "held open" else nullcontext(),
        sending(database, relay.port, folder, connections=CONNECTIONS),
    ):
        used = wait(watch, 60 + mails / SLOWEST)
    part = min(PART, mails // 2)
    begin, end, later, last = times(database, (1, part, mails - part + 1, mails))
    database.dispose()
    rates = [part / (end - begin), part / (last - later)]
    cpu = [used[bisect([one.at for one in used], at) - 1].cpu for at in (begin, end, later, last)]
    of_server = [(cpu[1] - cpu[0]) * 1e6 / part, (cpu[3] - cpu[2]) * 1e6 / part]
    print(
        f"{name:10} {mails:8,} {rates[0]:13,.0f} {rates[1]:12,.0f} {rates[1] / rates[0]:6.2f} "
        f"{of_server[0]:13.0f} {of_server[1]:12.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mails", type=int, default=MAILS)
    asked = parser.parse_args()
    end_in_order()
    print("\nSending on PostgreSQL while a snapshot is held open")
    print("snapshot      mails  first mail/s  last mail/s  ratio  first server  last server")
    with tempfile.TemporaryDirectory() as name, postgresql.server(durable=True) as server:
        for held in ("none", "held open"):
            measure(held, server.create(), Path(name), asked.mails)


if __name__ == "__main__":
    main()
