"""Row D4: everybody writes to one SQLite file at once, and nobody is told that it is locked."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailer.db import Database
from mailer.models import Signup, Subscriber
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import judge
from tests.faults.relays import size
from tests.support.processes import (
    ROOT,
    accepted,
    environment,
    is_up,
    killed_in_the_end,
    receiving,
    start_mailer,
    working,
)
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

READERS = size(1500, 20_000)
SECONDS = size(10, 60)


class Crowd:
    """Threads that do something again and again for some time, and what came of it."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._threads: list[threading.Thread] = []
        self.answers: dict[str, Counter[object]] = {}

    def add(self, name: str, act: Callable[[int], object], threads: int) -> None:
        """Have so many threads call `act` with 0, 1, 2 …; what it returns is counted under `name`."""
        found = self.answers.setdefault(name, Counter())
        for first in range(threads):
            thread = threading.Thread(target=self._run, args=(act, found, first, threads))
            thread.start()
            self._threads.append(thread)

    def _run(
        self, act: Callable[[int], object], found: Counter[object], first: int, step: int
    ) -> None:
        number = first
        while time.monotonic() < self._until:
            try:
                answer = act(number)
            except Exception as error:
                answer = repr(error)
            found[answer] += 1
            number += step

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.mark.timeout(size(300, 600))
def test_everybody_writes_at_once_and_nobody_is_turned_away(
    sqlite_database: Database, keys: Keys, fast_folder: Path, free_port: int, note: Note
) -> None:
    digest_id = queue_digest(sqlite_database, keys, READERS)
    file, log = fast_folder / "received", fast_folder / "log"
    settings = {
        "port": str(free_port),
        "signup_limits": "address=3/24h,network=1000000/d,total=1000000/h",
        # On a busy machine a beat may come late, which is not what is tested here.
        "lease": "60s",
    }

    def sign_up(number: int) -> int:
        connection = HTTPConnection("127.0.0.1", free_port, timeout=300)
        try:
            body = json.dumps({"email": f"web{number}@example.com", "newsletter": "daily"})
            connection.request("POST", "/api/subscribe", body, {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    def type_a_command(number: int) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "mailer", "subscriber", "add", f"staff{number}@example.com",
             "--newsletter", "daily", "--consent-source", "paper form"],
            cwd=fast_folder,
            env=environment(sqlite_database, keys, port, settings) | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        return ended.returncode, ended.stderr if ended.returncode else ""

    with receiving(file, kind="pipelining") as port, ExitStack() as stack:
        everything = start_mailer(sqlite_database, keys, port, log, **settings)
        stack.enter_context(killed_in_the_end(everything))
        stack.enter_context(working(sqlite_database, keys, port, log, lease="60s"))
        wait_until(lambda: is_up(free_port) and accepted(file))
        crowd = Crowd(SECONDS)
        crowd.add("sign-up", sign_up, 4)
        crowd.add("command", type_a_command, 2)
        crowd.join()
        wait_until(lambda: is_sent(sqlite_database, digest_id))
        confirmations = crowd.answers["sign-up"][202]
        wait_until(lambda: file.read_text().count('"to": "web') == confirmations)
        everything.terminate()
        assert everything.wait() == 0
    found = judge(sqlite_database, digest_id, file)
    note("D4", sqlite_database, found)
    assert crowd.answers["sign-up"].keys() == {202}
    assert crowd.answers["command"].keys() == {(0, "")}
    assert "locked" not in log.read_text()
    with sqlite_database.read() as session:
        staff = func.count().filter(Subscriber.address.startswith("staff"))
        assert session.scalar(select(staff)) == crowd.answers["command"].total() > 0
        assert session.scalar(select(func.count()).select_from(Signup)) == confirmations > 0
    assert found.lost == set()
    assert found.strangers == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.counts.sent == READERS
