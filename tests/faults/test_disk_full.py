"""Row D3, and D2 on SQLite: the disk is full, judged by the receiver's file and by SQLite's own check."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DigestStatus
from tests.faults.conftest import SQLITE
from tests.faults.disk import Disk, small_disk
from tests.faults.outages import Outage, starts_nothing_more
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.processes import is_up
from tests.support.waiting import wait_until
from tests.support.website import rows_of

CONNECTIONS = 4
READERS = size(150, 1000)


def fill(disk: Disk, path: Path) -> sqlite3.Connection:
    """Have SQLite cut its log, whose old length would serve it for long, and fill the disk.

    Returns:
        A reader of the database as it is: while it is open, SQLite cannot begin its log anew either.
    """
    connection = sqlite3.connect(path, timeout=300, isolation_level=None, check_same_thread=False)
    wait_until(lambda: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM delivery").fetchone()
    disk.fill()
    return connection


@pytest.mark.needs_mount
@SQLITE
def test_a_full_disk_stops_everything_and_breaks_nothing(run: Run, free_port: int) -> None:
    run.queue(READERS)
    # The last connection takes the log into the file.
    run.database.dispose()
    with small_disk(run.folder / "disk", 8) as disk:
        path = disk.folder / "mailer.db"
        path.write_bytes(Path(str(run.database.url.database)).read_bytes())
        database = run.database = Database(f"sqlite:///{path}")
        readers: list[sqlite3.Connection] = []
        outage = Outage(READERS // 3, lambda: readers.append(fill(disk, path)))
        with run.relay(outage.says) as there:
            roles = ("web", "worker")
            settings = {"port": str(free_port)}
            with run.running(there.port, *roles, **settings) as process:
                starts_nothing_more(run, there, outage, CONNECTIONS, 2, at_once=False)
                wait_until(lambda: is_up(free_port))
                before = rows_of(database)
                status, retry_after = run.sign_up(free_port, "newcomer@example.com")
                assert (status, int(retry_after or 0) > 0) == (503, True)
                assert {"signup", "notice", "consent_event"} <= before.keys()
                assert rows_of(database) == before
                disk.free()
                readers[0].close()
                wait_until(run.is_sent)
                assert run.sign_up(free_port, "newcomer@example.com") == (202, None)
                # Its confirmation is a mail too.
                wait_until(lambda: "newcomer@example.com" in run.file.read_text())
                process.terminate()
                assert process.wait() == 0
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for row in ("D2", "D3"):
            found = run.judge(row, kills=1)
        database.dispose()
    found.nobody_is_lost(doubles=CONNECTIONS)
    assert found.status is DigestStatus.SENT
    assert found.counts.total == READERS
