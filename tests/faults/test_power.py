"""Row D5: what a power cut could take. That the disk keeps what it was told to keep is not testable here.

What is: SQLite is told to wait for the disk at each commit, and the kernel is indeed asked to, after an
outcome and before the next final dot of that connection.
"""

import re
import signal
import subprocess
import sys

import pytest

from mailer.db import Database
from tests.faults.conftest import SQLITE
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.processes import killed_in_the_end
from tests.support.waiting import wait_until

READERS = size(12, 1000)
FULL_SYNC = 2

_DOT = re.compile(r'sendto\(\d+, "\.\\r\\n"')
_SYNC = re.compile(r"\bf(data)?sync\(\d+\)\s+= 0|<\.\.\. f(data)?sync resumed>\)\s+= 0")


def test_sqlite_waits_for_the_disk_at_each_commit(sqlite_database: Database) -> None:
    with sqlite_database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == FULL_SYNC


@pytest.mark.needs_strace
@SQLITE
def test_between_two_final_dots_of_a_connection_the_disk_was_waited_for(run: Run) -> None:
    run.queue(READERS)
    trace = run.folder / "trace"
    with run.receiving(kind="plain") as port:
        process = subprocess.Popen(
            # -D: the process is the worker itself, and strace ends with it.
            ["strace", "-D", "-f", "-s", "16", "-e", "trace=sendto,fsync,fdatasync", "-o", str(trace),
             sys.executable, "-m", "mailer", "run", "worker"],
            cwd=run.folder,
            env=run.environment(port, smtp_connections="1"),
            start_new_session=True,
        )  # fmt: skip
        with killed_in_the_end(process):
            wait_until(run.is_sent)
            process.send_signal(signal.SIGTERM)
            process.wait()
    found = run.judge("D5")
    # How often the disk was waited for before each final dot, and after the last one.
    waited = [0]
    for line in trace.read_text().splitlines():
        if _DOT.search(line):
            waited.append(0)
        elif _SYNC.search(line):
            waited[-1] += 1
    assert len(waited) == READERS + 1
    assert min(waited) >= 1
    assert (found.lost, found.doubles) == (set(), 0)
