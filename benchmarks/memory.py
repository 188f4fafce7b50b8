"""What a worker takes with 10,000 and with 1,000,000 mails pending: its memory, and the time of a claim.

Run as `python benchmarks/memory.py`; prints a table. `claim` is the median of claimed of 100 rows, each in
a transaction of its own, without its commit. `peak` is the most memory that a `mailer run worker` had
resident (VmHWM, Linux) while it sent for some seconds on 10 connections. The ratio is that of 1,000,000
to 10,000 pending. PostgreSQL is a throw-away cluster that waits for no
disk, or the one that TEST_POSTGRESQL_URL names.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig import end_in_order
from benchmarks.rig.digest import fill, remove, watching
from benchmarks.rig.postfix import sink
from benchmarks.rig.processes import peak_mib
from benchmarks.rig.worker import sending
from mailer.clock import utc_now
from mailer.db import Database
from mailer.db.prepared_statements import execute
from mailer.ledger import claims
from tests.support import factories as make
from tests.support import postgresql

PENDING = (10_000, 1_000_000)
BATCH = 100
BATCHES = 30
CLAIMING_SECONDS = 10.0
"""No further batch is begun after this."""
SENDING_SECONDS = 5.0


def claim_ms(database: Database) -> float:
    """Milliseconds of a claim, the median; what was claimed is given back."""
    took: list[float] = []
    with database.write() as session:
        worker_id = make.worker(session, started_at=utc_now(), heartbeat_at=utc_now()).id
    writer = database.writer()
    until = time.monotonic() + CLAIMING_SECONDS
    while len(took) < BATCHES and time.monotonic() < until:
        now = utc_now() + timedelta(seconds=1)
        with writer.write() as session:
            begin = time.perf_counter()
            claimed, _skipped = execute(claims.claim(worker_id, BATCH, now), session)
            took.append(time.perf_counter() - begin)
            if len(claimed) != BATCH:
                raise RuntimeError(f"only {len(claimed)} rows were claimed")
    with writer.write() as session:
        claims.release(session, worker_id)
    writer.close()
    return statistics.median(took) * 1000


def worker_mib(database: Database, digest_id: int, folder: Path) -> tuple[float, float]:
    """The peak of a worker that sends for some seconds, and the mails a second meanwhile."""
    with (
        sink() as relay,
        watching(database, digest_id) as watch,
        sending(database, relay.port, folder, connections=10) as process,
    ):
        watch.wait_for_first()
        begun, before = time.monotonic(), watch.sent()
        until = begun + SENDING_SECONDS
        while time.monotonic() < until and not watch.is_sent():
            time.sleep(0.05)
        rate = (watch.sent() - before) / (time.monotonic() - begun)
        return peak_mib(process.pid), rate


def measure(name: str, make_url: Callable[[], str], folder: Path) -> None:
    """The lines of one engine."""
    peaks, claimed = [], []
    for pending in PENDING:
        database = Database(make_url())
        begin = time.monotonic()
        digest_id = fill(database, pending)
        filled = time.monotonic() - begin
        claimed.append(claim_ms(database))
        peak, rate = worker_mib(database, digest_id, folder)
        peaks.append(peak)
        database.dispose()
        if database.is_sqlite:
            remove(Path(str(database.url.database)))
        print(
            f"{name:10} {pending:9,} {filled:7.1f} {claimed[-1]:9.2f} {peak:9.1f} {rate:10,.0f}",
            flush=True,
        )
    print(
        f"{name:10} {'ratio':>9} {'':7} {claimed[1] / claimed[0]:9.2f} {peaks[1] / peaks[0]:9.2f}"
    )


def main() -> None:
    end_in_order()
    print("\nA worker's claimed and memory by what is pending")
    print("database     pending  fill s  claim ms  peak MiB     mail/s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure("SQLite", lambda: f"sqlite:///{folder}/mailer.db", folder)
        with postgresql.server() as server:
            measure("PostgreSQL", server.create, folder)


if __name__ == "__main__":
    main()
