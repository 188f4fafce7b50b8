"""An import of many readers, compared with `executemany` of the same rows into the same tables.

Run as `python benchmarks/importing.py`; prints a table. The file has addresses, names, and when and from
where each reader signed up. `mailer subscriber import` runs as a process of its own. Then the rows that it
wrote (subscriber, subscription, consent_event) are written once more by the driver's `executemany` into an
empty database with the same indexes, each table in one transaction; reading them is not counted. `ratio` is
the throughput of the import to that, by the clock and by CPU time of the process, and must be at least 0.15;
`MiB` is the peak memory of the import, which must not grow with the file. `again` is the same import once
more, which changes nothing, and `dry` a dry run into an empty database. The last line is how long others
waited at most to write to SQLite meanwhile.

`--rows 1000000` is the full size. PostgreSQL is a throw-away cluster on disk, or the one that
TEST_POSTGRESQL_URL names.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import select, text

from benchmarks.rig import end_in_order
from benchmarks.rig.processes import peak_mib
from mailer import schema
from mailer.clock import utc_now
from mailer.db import Base, Database
from mailer.models import ConsentEvent, Subscriber, Subscription
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support import postgresql
from tests.support.processes import ROOT, environment

KEYS = Keys((b"s" * 40,), b"i" * 40)
ROWS = 100_000
AT_ONCE = 10_000
TABLES: tuple[type[Base], ...] = (Subscriber, Subscription, ConsentEvent)
PAUSE_SECONDS = 0.02
POLL_SECONDS = 0.05


class Cost(NamedTuple):
    """What something took: by the clock, of CPU time in this or that process, and its peak memory."""

    seconds: float
    cpu: float
    mib: float = 0


def write_file(path: Path, rows: int) -> None:
    """Write a file of readers, as they are in exports: by their time of signing up."""
    with path.open("w", encoding="utf-8") as file:
        file.write("Email,Name,Subscribed at,IP\n")
        for n in range(rows):
            at = f"{2015 + n * 10 // rows}-0{n % 9 + 1}-1{n % 7} 0{n % 8}:15:{n % 50 + 10}"
            file.write(
                f"anna.{n}@provider{n % 997}.example,Anna Bell,{at},198.51.{n % 250}.{n % 241}\n"
            )


def prepare(database: Database) -> None:
    """Make the schema, a newsletter and its schedule."""
    schema.create(database, KEYS.fingerprint(), utc_now())
    with database.write() as session:
        make.schedule(session, make.newsletter(session))


def run_import(database: Database, path: Path, *more: str) -> Cost:
    """Import the file by the command."""
    command = [sys.executable, "-m", "mailer", "subscriber", "import", str(path), *more]
    command += ["--newsletter", "daily", "--consent-source", "opt-in of the old system"]
    begin = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=path.parent,
        env=environment(database, KEYS, 25, {}) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    mib = 0.0
    try:
        # Of a child the system counts also what its parent had when it began, so this is looked at meanwhile.
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            # It may be ending just now.
            with suppress(StopIteration, FileNotFoundError, ProcessLookupError):
                mib = max(mib, peak_mib(process.pid))
            time.sleep(POLL_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    _, status, used = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the import ended with {process.returncode}")
    seconds = time.perf_counter() - begin
    return Cost(seconds, used.ru_utime + used.ru_stime, mib)


def portions(database: Database, table: type[Base]) -> Iterator[list[tuple[Any, ...]]]:
    """Read what was imported, as the driver returns it."""
    columns = list(table.__table__.columns)
    id_column = columns[0]
    last = 0
    with database.engine.connect() as connection:
        while True:
            query = select(*columns).where(id_column > last).order_by(id_column).limit(AT_ONCE)
            compiled = query.compile(
                dialect=database.engine.dialect, compile_kwargs={"literal_binds": True}
            )
            rows = connection.exec_driver_sql(str(compiled)).fetchall()
            if not rows:
                return
            yield [tuple(row) for row in rows]
            last = rows[-1][0]


def yardstick(source: Database, target: Database) -> Cost:
    """Write the rows of `source` into `target` by the driver's `executemany`."""
    seconds = cpu = 0.0
    connection: Any = target.engine.raw_connection()
    cursor = connection.cursor()
    for table in TABLES:
        names = [column.name for column in table.__table__.columns]
        marks = ", ".join(["?" if target.is_sqlite else "%s"] * len(names))
        statement = f"INSERT INTO {table.__tablename__} ({', '.join(names)}) VALUES ({marks})"
        if target.is_sqlite:
            cursor.execute("BEGIN IMMEDIATE")
        for rows in itertools.chain(portions(source, table), [None]):
            begin, before = time.perf_counter(), time.process_time()
            if rows is not None:
                cursor.executemany(statement, rows)
            else:
                connection.commit()
            seconds += time.perf_counter() - begin
            cpu += time.process_time() - before
    connection.close()
    return Cost(seconds, cpu)


class OtherWriter:
    """Writes a row every now and then, as sign-ups do, and notes the longest wait."""

    def __init__(self, database: Database) -> None:
        self.longest, self.count, self._stop = 0.0, 0, threading.Event()
        self._database = database
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            begin = time.perf_counter()
            with self._database.write() as session:
                session.execute(text("UPDATE installation SET paused_reason = NULL"))
            self.longest = max(self.longest, time.perf_counter() - begin)
            self.count += 1

    def __enter__(self) -> "OtherWriter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def measure(name: str, urls: Iterator[str], path: Path, rows: int) -> None:
    """Print one line of the table."""
    imported, again, dry = Database(next(urls)), Database(next(urls)), Database(next(urls))
    for database in (imported, again, dry):
        prepare(database)
    cost = run_import(imported, path)
    plain = yardstick(imported, again)
    repeated = run_import(imported, path)
    dried = run_import(dry, path, "--dry-run")
    print(
        f"{name:10} {rows:9,} {rows / plain.seconds:12,.0f} {rows / cost.seconds:10,.0f} "
        f"{plain.seconds / cost.seconds:6.2f} {plain.cpu / cost.cpu:8.2f} {cost.mib:5.0f} "
        f"{rows / repeated.seconds:9,.0f} {rows / dried.seconds:8,.0f} {dried.mib:5.0f}",
        flush=True,
    )
    for database in (imported, again, dry):
        database.dispose()


def main() -> None:
    """Measure both kinds of database at a tenth of the size, and at the size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--only", choices=["SQLite", "PostgreSQL"])
    asked = parser.parse_args()
    end_in_order()
    print("\nImporting readers; rows a second")
    print(
        "database        rows  executemany     import  ratio  of CPU   MiB     again      dry   MiB"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "readers.csv")
        for rows in (asked.rows // 10, asked.rows):
            write_file(path, rows)
            if asked.only != "PostgreSQL":
                files = (f"sqlite:///{folder}/{rows}-{name}.db" for name in ("a", "b", "c"))
                measure("SQLite", files, path, rows)
                for name in ("a", "b", "c"):
                    Path(folder, f"{rows}-{name}.db").unlink()
            if asked.only != "SQLite":
                with postgresql.server(durable=True) as server:
                    measure("PostgreSQL", (server.create() for _ in range(3)), path, rows)
        if asked.only != "PostgreSQL":
            database = Database(f"sqlite:///{folder}/others.db")
            prepare(database)
            with OtherWriter(database) as other:
                run_import(database, path)
            print(
                f"others wrote {other.count:,} times meanwhile; the longest wait was {other.longest:.2f} s"
            )
            database.dispose()


if __name__ == "__main__":
    main()
