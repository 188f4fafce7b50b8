"""How long a backup of SQLite takes, and what those who write meanwhile notice of it.

    .venv/bin/python -m benchmarks.backup [--megabytes 1000]

A thread commits one small change after the other, before and during a backup on the same disk.
"""

import argparse
import os
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text, update

from mailer import schema
from mailer.database_copies.backup import back_up
from mailer.db import Database
from mailer.models import Installation

FINGERPRINT = "of the benchmark"
CHUNK = 1_000_000


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        database = Database(f"sqlite:///{folder / 'mailer.db'}")
        try:
            schema.create(database, FINGERPRINT, datetime.now(UTC))
            _fill(database, chosen.megabytes)
            _measure(database, folder)
        finally:
            database.dispose()


def _fill(database: Database, megabytes: int) -> None:
    for _ in range(megabytes):
        with database.write() as session:
            session.execute(text("CREATE TABLE IF NOT EXISTS fat (content BLOB)"))
            session.execute(
                text("INSERT INTO fat VALUES (:content)"), {"content": os.urandom(CHUNK)}
            )


def _measure(database: Database, folder: Path) -> None:
    waits: dict[str, list[float]] = {"alone": [], "during a backup": []}
    now, over = ["alone"], threading.Event()

    def commit() -> None:
        while not over.is_set():
            began = time.monotonic()
            with database.write() as session:
                session.execute(update(Installation).values(paused_reason=str(began)))
            waits[now[0]].append(time.monotonic() - began)

    thread = threading.Thread(target=commit)
    thread.start()
    time.sleep(5)
    now[0] = "during a backup"
    began, computed = time.monotonic(), time.process_time()
    made = back_up(
        database,
        folder / "copy",
        fingerprint=FINGERPRINT,
        now=datetime.now(UTC),
        on_progress=lambda *_: None,
        is_stopping=lambda: False,
    )
    seconds = time.monotonic() - began
    over.set()
    thread.join()
    print(
        f"{made.bytes >> 20:,} MB in {seconds:.1f} s, {time.process_time() - computed:.1f} s of CPU"
    )
    for when, taken in waits.items():
        taken.sort()
        middle, late = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
        print(
            f"{when}: {len(taken)} commits, median {middle * 1000:.1f} ms, 99 % {late * 1000:.1f} ms"
        )


if __name__ == "__main__":
    main()
