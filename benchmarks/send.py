"""`mailer run worker` with its durable ledger against smtp-source, which has none, in one run.

Run as `python benchmarks/send.py`; prints a table. The same digest, of 31 or of 44 KB, with a link of its
own for each reader, goes to Postfix's smtp-sink. The worker, the sink and the database are processes of
their own on the same processors; this one only looks now and then whether the digest is sent. The time is
from the first mail that the relay accepted until the digest is closed. Each figure is the median of rounds
in which yardstick and worker take turns; so is the ratio, behind which stand the lowest and the highest.

`worker`, `server` and `sink` are microseconds of CPU time for each mail: those of the worker's process, of
all processes of the PostgreSQL server, and of smtp-sink, from the first mail to the last. `peak` is the most
memory that the worker had resident, which must not be more than 90 MB.

To repeat one row quickly: `python benchmarks/send.py --database postgresql --connections 10 --size 44`.
`--profile` also shows where the worker spends its time, as rig/sampled.py sees it in the last round.

SQLite is on disk with synchronous=FULL. PostgreSQL is a throw-away cluster on disk with fsync and
synchronous_commit on, or the one that TEST_POSTGRESQL_URL names.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig import end_in_order
from benchmarks.rig.digest import PARAGRAPHS, Watch, fill, one_mail, remove, watching
from benchmarks.rig.postfix import sink, source
from benchmarks.rig.processes import cpu_seconds, family_cpu_seconds, peak_mib
from benchmarks.rig.worker import sending
from mailer.db import Database
from tests.support import postgresql

ROUNDS = 3
CONNECTIONS = {"sqlite": (1, 10), "postgresql": (1, 10, 50)}
MOST_OF_YARDSTICK = 10
"""More connections make smtp-source no faster."""
MAILS = 10_000
MAILS_OF_ONE = 2_000
"""Over one connection, which takes longer."""


class Row(NamedTuple):
    """What one line of the table measures."""

    database: str
    connections: int
    kilobytes: int
    mails: int
    dkim: bool


class Round(NamedTuple):
    """What one round measured; CPU time is in microseconds for each mail."""

    theirs: float
    ours: float
    worker: float
    server: float | None
    sink: float
    peak: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def ours(row: Row, database: Database, digest_id: int, folder: Path, profile: Path | None) -> Round:
    """Measure one worker, until the digest is sent.

    Raises:
        RuntimeError: not all mails were sent.
    """
    with ExitStack() as stack:
        relay = stack.enter_context(sink())
        watch = stack.enter_context(watching(database, digest_id))
        worker = stack.enter_context(
            sending(
                database,
                relay.port,
                folder,
                connections=row.connections,
                profile=profile,
                dkim=row.dkim,
            )
        )
        watch.wait_for_first()
        begun, before = watch.sent(), used(watch, worker.pid, relay.pid)
        took = watch.seconds()
        after, sent = used(watch, worker.pid, relay.pid), watch.sent()
        if sent != row.mails:
            raise RuntimeError(f"only {sent} of {row.mails} mails were sent")
        of_worker, of_sink, of_server = (
            (later - earlier) * 1e6 / (sent - begun)
            for later, earlier in zip(after, before, strict=True)
        )
        server = None if watch.server_pid() is None else of_server
        return Round(0, row.mails / took, of_worker, server, of_sink, peak_mib(worker.pid))


def used(watch: Watch, worker: int, relay: int) -> tuple[float, float, float]:
    """Seconds of CPU time so far: of the worker, of the sink and of the server."""
    server = watch.server_pid()
    of_server = 0.0 if server is None else family_cpu_seconds(server)
    return cpu_seconds(worker), cpu_seconds(relay), of_server


def one_round(row: Row, url: str, folder: Path, *, profile: bool) -> Round:
    """Let yardstick and worker send the same digest one after the other."""
    database = Database(url)
    digest_id = fill(database, row.mails, kilobytes=row.kilobytes)
    mail = folder / "mail"
    mail.write_bytes(one_mail(database).replace(b"\r\n", b"\n"))
    with sink() as relay:
        theirs = source(relay.port, mail, row.mails, min(row.connections, MOST_OF_YARDSTICK))
    measured = ours(row, database, digest_id, folder, folder / "profile" if profile else None)
    database.dispose()
    if database.is_sqlite:
        remove(Path(str(database.url.database)))
    return measured._replace(theirs=theirs)


def show(row: Row, rounds: list[Round]) -> None:
    """Print one line of the table."""

    def median(value: Callable[[Round], float]) -> float:
        return statistics.median(value(one) for one in rounds)

    ratios = sorted(one.ratio for one in rounds)
    has_server = all(one.server is not None for one in rounds)
    server = f"{median(lambda one: one.server or 0):.0f}" if has_server else "-"
    print(
        f"{row.database:10} {row.connections:11} {row.mails:7,} {row.kilobytes:3} "
        f"{median(lambda one: one.ours):8,.0f} {median(lambda one: one.theirs):12,.0f} "
        f"{statistics.median(ratios):6.2f} {ratios[0]:5.2f}-{ratios[-1]:.2f} "
        f"{median(lambda one: one.worker):7.0f} {server:>7} {median(lambda one: one.sink):5.0f} "
        f"{max(one.peak for one in rounds) * 1.048576:8.1f}",
        flush=True,
    )


def measure(
    database: str, make_url: Callable[[], str], folder: Path, asked: argparse.Namespace
) -> None:
    """Print the lines of one engine that were asked for."""
    for connections in [asked.connections] if asked.connections else CONNECTIONS[database]:
        mails = asked.mails or (MAILS_OF_ONE if connections == 1 else MAILS)
        for kilobytes in [asked.size] if asked.size else PARAGRAPHS:
            row = Row(database, connections, kilobytes, mails, asked.dkim)
            show(
                row,
                [
                    one_round(row, make_url(), folder, profile=asked.profile)
                    for _ in range(asked.rounds)
                ],
            )
            if asked.profile:
                print((folder / "profile").read_text(), flush=True)


def main() -> None:
    """Print the table, or the rows of it that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=CONNECTIONS, help="only this one")
    parser.add_argument("--connections", type=int, help="only so many; any number")
    parser.add_argument("--size", type=int, choices=PARAGRAPHS, help="only mails of so many KB")
    parser.add_argument("--mails", type=int, help=f"{MAILS}, or {MAILS_OF_ONE} by one connection")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--profile", action="store_true", help="also show where the time goes")
    parser.add_argument("--dkim", action="store_true", help="sign with an RSA key")
    asked = parser.parse_args()
    end_in_order()
    print("\nSending a digest: one worker against smtp-source -d")
    print(
        "database   connections   mails  KB   mail/s  smtp-source  ratio   of rounds "
        " worker  server  sink  peak MB"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.database != "postgresql":
            numbers = count(1)
            measure("sqlite", lambda: f"sqlite:///{folder}/{next(numbers)}.db", folder, asked)
        if asked.database != "sqlite":
            with postgresql.server(durable=True) as server:
                measure("postgresql", server.create, folder, asked)


if __name__ == "__main__":
    main()
