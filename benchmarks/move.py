"""How fast everything is moved from SQLite to PostgreSQL, beside `psql` copying the same rows.

Run as `python benchmarks/move.py`; prints a table. `move` is the time and the CPU time of `mailer db move`
alone, without those of the server, with all checks, for so many readers with a subscription and two
deliveries each. `psql` writes the lines of these three tables with COPY into the same tables on the same
server, once with their indexes and foreign keys, once with none. `rows/s` counts all rows. Memory is the
peak of the moving process. `--readers 1000000` is the full size, and needs some minutes and 3 GB of disk.

PostgreSQL is a throw-away cluster on disk with fsync on, or the one that TEST_POSTGRESQL_URL names.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import func, insert, literal, select, text

from mailer import schema
from mailer.database_copies.moving.table_lines import columns_of, read_lines
from mailer.db import Database
from mailer.models import Delivery, Subscriber, Subscription
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support import postgresql
from tests.support.factories import NOW
from tests.support.processes import environment

KEYS = Keys((b"s" * 40,), b"i" * 40)
TABLES = (Subscriber.__table__, Subscription.__table__, Delivery.__table__)
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"


def fill(database: Database, readers: int) -> None:
    """Write the readers with one statement for each table."""
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        at = NOW.replace(tzinfo=None).isoformat(" ", "microseconds")
        session.execute(
            text(
                f"{NUMBERS} INSERT INTO subscriber (public_id, address, address_key, key_hash, created_at)"
                " SELECT i * 7919, 'reader' || i || '@mail.example', 'reader' || i || '@mail.example',"
                " lower(hex(randomblob(32))), :at FROM n"
            ),
            {"count": readers, "at": at},
        )
        fixed = {
            "newsletter_id": schedule.newsletter_id,
            "schedule_id": schedule.id,
            "start_article": 0,
        }
        session.execute(
            insert(Subscription).from_select(
                ["subscriber_id", "public_id", "confirmed_at", *fixed],
                select(
                    Subscriber.id,
                    Subscriber.public_id,
                    Subscriber.created_at,
                    *(literal(value) for value in fixed.values()),
                ),
            )
        )
        for day in (1, 2):
            due = NOW.replace(day=day)
            edition = make.edition(session, make.digest(session, schedule, due_at=due))
            make.deliveries(session, edition, schedule, outcome_at=due, first_attempt_at=due)


def move(database: Database, url: str, folder: Path) -> tuple[float, float, float]:
    """Move as staff do. Return the seconds, the CPU seconds and the peak memory of the process."""
    began = time.monotonic()
    command = [sys.executable, "-m", "mailer", "db", "move", "--yes", "--to", url]
    own = environment(database, KEYS, 25, {}) | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, env=own, cwd=folder)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(1)
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def psql(url: str, files: dict[str, Path]) -> float:
    """Copy the files into their tables; the seconds."""
    began = time.monotonic()
    for name, file in files.items():
        names = ", ".join(column.name for column in columns_of(TABLE[name]))
        command = f"\\copy {name} ({names}) FROM '{file}'"
        subprocess.run(
            ["psql", "--quiet", "--dbname", url.replace("+psycopg", ""), "--command", command],
            check=True,
            env=os.environ | {"PGTZ": "UTC"},
        )
    return time.monotonic() - began


TABLE = {table.name: table for table in TABLES}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=100_000)
    readers = parser.parse_args().readers
    with (
        tempfile.TemporaryDirectory(prefix="mailer-move-") as name,
        postgresql.server(durable=True) as server,
    ):
        folder = Path(name)
        database = Database(f"sqlite:///{folder / 'mailer.db'}")
        schema.create(database, KEYS.fingerprint(), NOW)
        fill(database, readers)
        files = {}
        with database.engine.connect() as connection:
            for table in TABLES:
                files[table.name] = folder / f"{table.name}.copy"
                with files[table.name].open("wb") as file:
                    file.writelines(read_lines(connection, table))
            rows = sum(connection.scalar(select(func.count()).select_from(t)) or 0 for t in TABLES)
        database.dispose()
        url = server.create()
        seconds, cpu, peak = move(database, url, folder)
        server.drop(url)
        print(f"{'':24}{'seconds':>9}{'rows/s':>10}{'CPU s':>8}{'MiB':>6}")
        print(f"{'move':24}{seconds:9.1f}{rows / seconds:10,.0f}{cpu:8.1f}{peak:6.0f}")
        for title, is_bare in (("psql, indexes kept", False), ("psql, without indexes", True)):
            url = server.create()
            target = Database(url)
            schema.create(target, KEYS.fingerprint(), NOW)
            if is_bare:
                with target.engine.begin() as connection:
                    for table in TABLES:
                        for key in table.foreign_key_constraints:
                            if not key.info:
                                connection.execute(
                                    text(f"ALTER TABLE {table.name} DROP CONSTRAINT {key.name}")
                                )
                        for index in table.indexes:
                            index.drop(connection)
            else:
                with target.write() as session:
                    schedule = make.schedule(session, make.newsletter(session))
                    for day in (1, 2):
                        due = NOW.replace(day=day)
                        make.edition(session, make.digest(session, schedule, due_at=due))
            target.dispose()
            seconds = psql(url, files)
            print(f"{title:24}{seconds:9.1f}{rows / seconds:10,.0f}")
            server.drop(url)


if __name__ == "__main__":
    main()
