"""How long the web role takes for a sign-up while a digest is sent at full speed in the same process.

Run as `python benchmarks/mixed.py`; prints a table. `mailer run web worker` runs on SQLite with
synchronous=FULL and sends to smtp-sink on 10 connections; the clients are in another process, this one.
`paced` is 20 POSTs a second, each at its own time, whether or not those before have been answered; its
times count from when the POST was due. `flat out` is 8 clients that each send the next one at once.
`mail/s` is what the worker sends meanwhile, the confirmations of the sign-ups not counted.
"""

import os
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig import end_in_order
from benchmarks.rig.digest import KEYS, Watch, fill, watching
from benchmarks.rig.postfix import free_port, sink
from mailer.db import Database
from tests.support.processes import ROOT, environment

READERS = 200_000
"""So many that the digest is still being sent when the last POST has been answered."""
PACED_PER_SECOND = 20
PACED_SECONDS = 10
PACED_CLIENTS = 16
FLAT_CLIENTS = 8
FLAT_SECONDS = 4
START_SECONDS = 30

_numbers = count(1)


class Client:
    """One connection that stays open, and the times of its POSTs in seconds."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self.took: list[float] = []

    def post(self, due: float | None = None) -> None:
        """Sign somebody up; the time counts from `due`.

        Raises:
            RuntimeError: the answer is not the one that a sign-up gets.
        """
        begin = time.perf_counter() if due is None else due
        body = urlencode({"email": f"new{next(_numbers)}@example.org", "newsletter": "daily"})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", "/subscribe", body, kind)
        answer = self._connection.getresponse()
        page = answer.read()
        if answer.status != 200 or b"Check your inbox" not in page:
            raise RuntimeError(f"answered {answer.status}")
        self.took.append(time.perf_counter() - begin)


def _together(port: int, number: int, work: Callable[[Client], None]) -> list[float]:
    """All times of so many clients that do this at once."""
    clients = [Client(port) for _ in range(number)]
    faults: list[Exception] = []

    def run(client: Client) -> None:
        try:
            work(client)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return [one for client in clients for one in client.took]


def paced(port: int) -> list[float]:
    """The times of POSTs that are due at fixed moments."""
    begin = time.perf_counter() + 0.1
    due: queue.SimpleQueue[float] = queue.SimpleQueue()
    for number in range(PACED_PER_SECOND * PACED_SECONDS):
        due.put(begin + number / PACED_PER_SECOND)

    def work(client: Client) -> None:
        while True:
            try:
                at = due.get_nowait()
            except queue.Empty:
                return
            time.sleep(max(0.0, at - time.perf_counter()))
            client.post(at)

    return _together(port, PACED_CLIENTS, work)


def flat_out(port: int) -> list[float]:
    """The times of POSTs that follow one another at once."""
    until = time.perf_counter() + FLAT_SECONDS

    def work(client: Client) -> None:
        while time.perf_counter() < until:
            client.post()

    return _together(port, FLAT_CLIENTS, work)


@contextmanager
def running(database: Database, relay: int, log: Path, *roles: str) -> Iterator[int]:
    """`mailer run ROLES`, ended as an operator ends it; yields the port of its web role."""
    port = free_port()
    settings = {
        "port": str(port),
        "smtp_connections": "10",
        "lease": "60s",
        "signup_limits": "address=3/24h,network=1000000/d,total=1000000/h",
    }
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "mailer", "run", *roles],
            cwd=log.parent,
            env=environment(database, KEYS, relay, settings) | {"PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
        )
    try:
        _wait_until_served(process, port, log)
        yield port
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
            try:
                process.wait(35)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()


def _wait_until_served(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/subscribe")
            connection.getresponse().read()
            return
        except (OSError, HTTPException):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the web role did not start: {log.read_text()}") from None
            time.sleep(0.05)
        finally:
            connection.close()


def show(beside: str, load: str, port: int, watch: Watch) -> None:
    """Measure and print one line of the table."""
    before, begin = watch.sent(), time.monotonic()
    took = (paced if load == "paced" else flat_out)(port)
    spent = time.monotonic() - begin
    rate = (watch.sent() - before) / spent
    cuts = statistics.quantiles((one * 1000 for one in took), n=100, method="inclusive")
    print(
        f"{beside:19} {load:9} {len(took):6} {len(took) / spent:8.0f} {cuts[49]:8.1f} "
        f"{cuts[98]:8.1f} {max(took) * 1000:8.1f} {rate:8,.0f}",
        flush=True,
    )


def main() -> None:
    end_in_order()
    print("\nPOST /subscribe while a digest is sent in the same process")
    print("beside              load       POSTs   POST/s   p50 ms   p99 ms   max ms   mail/s")
    with tempfile.TemporaryDirectory() as name, sink() as relay:
        folder = Path(name)
        database = Database(f"sqlite:///{folder}/mailer.db")
        digest_id = fill(database, READERS)
        with watching(database, digest_id) as watch:
            with running(database, relay.port, folder / "log", "web") as port:
                for load in ("paced", "flat out"):
                    show("nothing", load, port, watch)
            with running(database, relay.port, folder / "log", "web", "worker") as port:
                watch.wait_for_first()
                for load in ("paced", "flat out"):
                    show("a digest being sent", load, port, watch)
                if watch.is_sent():
                    raise RuntimeError(
                        "the digest was sent before the last POST: READERS is too small"
                    )
        database.dispose()


if __name__ == "__main__":
    main()
