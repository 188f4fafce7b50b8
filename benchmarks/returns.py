"""What comes back of a digest, with few and with a million rows in the ledger behind it.

Run as `python benchmarks/returns.py`; prints a table. 5,000 readers had digests before, and a hundred reports
about the last one are recorded in one transaction, of each kind, twelve times. "look" is what the scheduler
asks of a running digest every few seconds. Milliseconds are medians, of this process by its own clock and by
the wall; the ratio of the two sizes means more than either where the machine is busy.

PostgreSQL is a throw-away cluster, or the one that TEST_POSTGRESQL_URL names.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from mailer.bounces import watch
from mailer.bounces.rates import StopLimits
from mailer.db import Base, Database
from mailer.models import Delivery, Digest, DigestStatus, EvidenceKind
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support import postgresql
from tests.support.bounces import report
from tests.support.factories import NOW
from tests.support.sending import alerts

READERS: Final = 5000
DIGESTS: Final = (2, 200)
"""A million rows with the larger one."""
BATCH: Final = 100
ROUNDS: Final = 12
KEYS: Final = Keys((b"s" * 40,), b"i" * 40)


def fill(database: Database, digests: int) -> int:
    """Readers who had a digest on each day; the last one is being sent. Return its id."""
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        make.many_readers(session, KEYS, schedule, READERS)
        for day in range(digests):
            at = NOW - timedelta(days=digests - day)
            digest = make.digest(session, schedule, due_at=at, status=DigestStatus.SENT)
            edition = make.edition(session, digest)
            make.deliveries(session, edition, schedule, created_at=at, first_attempt_at=at)
        session.execute(
            update(Digest).where(Digest.id == digest.id).values(status=DigestStatus.SENDING)
        )
        last = digest.id
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))
    return last


def timed(database: Database, act: Callable[[Session], object]) -> tuple[float, float]:
    """Milliseconds of CPU and by the wall that a transaction takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    with database.write() as session:
        act(session)
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000


def measure(database: Database, digest_id: int) -> dict[str, tuple[float, float]]:
    """The median of each thing that is measured."""
    with database.read() as session:
        mails = session.scalars(
            select(Delivery).where(Delivery.digest_id == digest_id).order_by(Delivery.id)
        ).all()
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(ROUNDS):
        for place, kind in enumerate(EvidenceKind):
            first = (number * len(EvidenceKind) + place) * BATCH
            record = partial(
                report, keys=KEYS, mails=mails[first : first + BATCH], kind=kind, now=NOW
            )
            found.setdefault(kind.value, []).append(timed(database, record))
        found.setdefault("look", []).append(
            timed(
                database,
                lambda session: watch.watch_digest(
                    session, ALERTS, digest_id, StopLimits(1.0, 1.0), now=NOW
                ),
            )
        )
    return {
        name: (
            statistics.median(cpu for cpu, _ in times),
            statistics.median(wall for _, wall in times),
        )
        for name, times in found.items()
    }


ALERTS: Final = alerts(KEYS)


def compare(engine: str, urls: Sequence[str]) -> None:
    """Print a line for each thing that is measured, for the two sizes."""
    sizes = []
    for url, digests in zip(urls, DIGESTS, strict=True):
        database = Database(url)
        sizes.append(measure(database, fill(database, digests)))
        database.dispose()
    few, many = sizes
    for name in few:
        ratio = many[name][1] / few[name][1]
        cells = [f"{cpu:.1f} | {wall:.1f}" for cpu, wall in (few[name], many[name])]
        print(f"| {engine} | {name} | {cells[0]} | {cells[1]} | {ratio:.2f} |", flush=True)


def main() -> None:
    """Print a table in Markdown."""
    few, many = (f"{digests * READERS:,} rows" for digests in DIGESTS)
    print(f"| | 100 reports | {few}: CPU | wall | {many}: CPU | wall | ratio |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        compare("SQLite", [f"sqlite:///{folder}/{digests}.db" for digests in DIGESTS])
    with postgresql.server() as server:
        compare("PostgreSQL", [server.create() for _ in DIGESTS])


if __name__ == "__main__":
    main()
