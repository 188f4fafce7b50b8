"""`mailer run worker` with its durable ledger against smtp-source, which has none, in one run.

Run as `python benchmarks/send.py`; prints a table. The same digest of about 31 KB, with links of their own
for each reader, goes to Postfix's smtp-sink. The worker, the sink and the database are processes of their
own on the same processors; this one only looks now and then whether the digest is sent. The time is from
the first mail that the relay accepted until the digest is closed. Each figure is the median of rounds
in which yardstick and worker take turns; so is the ratio.

SQLite is on disk with synchronous=FULL. PostgreSQL is a throw-away cluster on disk with fsync and
synchronous_commit on, or the one that TEST_POSTGRESQL_URL names.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig import end_in_order
from benchmarks.rig.digest import fill, one_mail, remove, watching
from benchmarks.rig.postfix import sink, source
from benchmarks.rig.worker import sending
from mailer.db import Database
from tests.support import postgresql

ROUNDS = 3
SQLITE = ((1, 1, 2_000), (10, 10, 10_000))
POSTGRESQL = ((1, 1, 2_000), (10, 10, 10_000), (50, 10, 10_000))
"""Our connections, those of the yardstick, and mails."""


def ours(database: Database, digest_id: int, connections: int, mails: int, folder: Path) -> float:
    """Mails a second of one worker, until the digest is sent."""
    with (
        sink() as port,
        watching(database, digest_id) as watch,
        sending(database, port, folder, connections=connections),
    ):
        took = watch.seconds()
        if watch.sent() != mails:
            raise RuntimeError(f"only {watch.sent()} of {mails} mails were sent")
    return mails / took


def measure(
    name: str, make_url: Callable[[], str], folder: Path, row: tuple[int, int, int]
) -> None:
    """One line of the table."""
    connections, yardstick, mails = row
    rounds: list[tuple[float, float]] = []
    size = 0
    for _ in range(ROUNDS):
        database = Database(make_url())
        digest_id = fill(database, mails)
        data = one_mail(database)
        size = len(data)
        mail = folder / "mail"
        mail.write_bytes(data.replace(b"\r\n", b"\n"))
        with sink() as port:
            theirs = source(port, mail, mails, yardstick)
        rounds.append((ours(database, digest_id, connections, mails, folder), theirs))
        database.dispose()
        if database.is_sqlite:
            remove(Path(str(database.url.database)))
    print(
        f"{name:10} {connections:11} {mails:8,} {size / 1000:8.1f} "
        f"{statistics.median(one for one, _ in rounds):11,.0f} {yardstick:9} "
        f"{statistics.median(other for _, other in rounds):12,.0f} "
        f"{statistics.median(one / other for one, other in rounds):7.2f}",
        flush=True,
    )


def main() -> None:
    end_in_order()
    print("\nSending a digest: one worker against smtp-source -d")
    print("database   connections    mails  KB/mail  ours mail/s        -s  smtp-source   ratio")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for row in SQLITE:
            measure("SQLite", lambda: f"sqlite:///{folder}/mailer.db", folder, row)
        with postgresql.server(durable=True) as server:
            for row in POSTGRESQL:
                measure("PostgreSQL", server.create, folder, row)


if __name__ == "__main__":
    main()
