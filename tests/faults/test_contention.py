"""Row D4: everybody writes to one SQLite file at once, and nobody is told that it is locked."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from mailer.models import Signup, Subscriber
from tests.faults.conftest import SQLITE
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.processes import (
    is_up,
)
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
@SQLITE
def test_everybody_writes_at_once_and_nobody_is_turned_away(run: Run, free_port: int) -> None:
    run.queue(READERS)
    settings = {
        "port": str(free_port),
        "signup_limits": "address=3/24h,network=1000000/d,total=1000000/h",
        # On a busy machine a beat may come late, which is not what is tested here.
        "lease": "60s",
    }

    def sign_up(number: int) -> int:
        return run.sign_up(free_port, f"web{number}@example.com")[0]

    def type_a_command(number: int) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "mailer", "subscriber", "add", f"staff{number}@example.com",
             "--newsletter", "daily", "--consent-source", "paper form"],
            cwd=run.folder,
            env=run.environment(port, **settings),
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        return ended.returncode, ended.stderr if ended.returncode else ""

    with (
        run.receiving() as port,
        run.running(port, **settings) as everything,
        run.working(port, lease="60s"),
    ):
        wait_until(lambda: is_up(free_port) and run.accepted())
        crowd = Crowd(SECONDS)
        crowd.add("sign-up", sign_up, 4)
        crowd.add("command", type_a_command, 2)
        crowd.join()
        wait_until(run.is_sent)
        confirmations = crowd.answers["sign-up"][202]
        wait_until(lambda: run.file.read_text().count('"to": "web') == confirmations)
        everything.terminate()
        assert everything.wait() == 0
    found = run.judge("D4")
    assert crowd.answers["sign-up"].keys() == {202}
    assert crowd.answers["command"].keys() == {(0, "")}
    assert "locked" not in run.log.read_text()
    with run.database.read() as session:
        staff = func.count().filter(Subscriber.address.startswith("staff"))
        assert session.scalar(select(staff)) == crowd.answers["command"].total() > 0
        assert session.scalar(select(func.count()).select_from(Signup)) == confirmations > 0
    found.everybody_got_one(READERS)
