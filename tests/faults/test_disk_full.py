"""Row D3, and D2 on SQLite: the disk is full, judged by the receiver's file and by SQLite's own check."""

import json
import sqlite3
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DigestStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.disk import Disk, small_disk
from tests.faults.judge import judge
from tests.faults.outages import Outage, starts_nothing_more
from tests.faults.relays import relay, size
from tests.support.processes import is_up, killed_in_the_end, start_mailer
from tests.support.sending import is_sent
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


def sign_up(port: int, address: str) -> tuple[int, str | None]:
    """The answer to a sign-up: its status, and its Retry-After."""
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        body = json.dumps({"email": address, "newsletter": "daily"})
        connection.request("POST", "/api/subscribe", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Retry-After")
    finally:
        connection.close()


@pytest.mark.needs_mount
def test_a_full_disk_stops_everything_and_breaks_nothing(
    sqlite_database: Database, keys: Keys, fast_folder: Path, free_port: int, note: Note
) -> None:
    digest_id = queue_digest(sqlite_database, keys, READERS)
    # The last connection takes the log into the file.
    sqlite_database.dispose()
    file, log = fast_folder / "received", fast_folder / "log"
    with small_disk(fast_folder / "disk", 8) as disk:
        path = disk.folder / "mailer.db"
        path.write_bytes(Path(str(sqlite_database.url.database)).read_bytes())
        database = Database(f"sqlite:///{path}")
        readers: list[sqlite3.Connection] = []
        outage = Outage(READERS // 3, lambda: readers.append(fill(disk, path)))
        with relay(file, outage.says) as there:
            process = start_mailer(
                database, keys, there.port, log, "web", "worker", port=str(free_port)
            )
            with killed_in_the_end(process):
                starts_nothing_more(there, log, outage, CONNECTIONS, 2, at_once=False)
                wait_until(lambda: is_up(free_port))
                before = rows_of(database)
                status, retry_after = sign_up(free_port, "newcomer@example.com")
                assert (status, int(retry_after or 0) > 0) == (503, True)
                assert {"signup", "notice", "consent_event"} <= before.keys()
                assert rows_of(database) == before
                disk.free()
                readers[0].close()
                wait_until(lambda: is_sent(database, digest_id))
                assert sign_up(free_port, "newcomer@example.com") == (202, None)
                # Its confirmation is a mail too.
                wait_until(lambda: "newcomer@example.com" in file.read_text())
                process.terminate()
                assert process.wait() == 0
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = judge(database, digest_id, file)
        database.dispose()
    for row in ("D2", "D3"):
        note(row, database, found, kills=1)
    assert found.lost == set()
    assert found.strangers == set()
    assert found.doubles <= CONNECTIONS
    assert found.doubled_without_doubt == set()
    assert found.adds_up
    assert found.status is DigestStatus.SENT
    assert found.counts.total == READERS
