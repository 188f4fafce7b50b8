"""Sending to a relay that is 50 ms away: one worker with 100 connections, and smtp-source beside it.

Run as `python benchmarks/delay.py`; prints a table. A proxy in a process of its own stands before
smtp-sink and holds every byte for 25 ms, in each direction. A sender that needs one exchange a mail and
has always the next mail at hand sends one mail a connection in 50 ms: 2,000 a second with 100. Such a
sender's own work is hidden in the waiting, so the ratio tells how well connections are kept busy.

`steady` counts from the moment at which all connections have been opened; `whole` from the first mail.
`delay` is what the proxy made of its 25 ms, and `proxy` its share of one core: below 100 % it is not
what limits. smtp-source knows no pipelining and needs four exchanges a mail.
"""

import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig import end_in_order
from benchmarks.rig.digest import fill, one_mail, remove, watching
from benchmarks.rig.postfix import sink, source
from benchmarks.rig.worker import sending
from mailer.db import Database

DELAY_SECONDS = 0.025
CONNECTIONS = 100
BEST = CONNECTIONS / (2 * DELAY_SECONDS)
MAILS = 12_000
YARDSTICK_MAILS = 1_500
ROUNDS = 3
OPENING_SECONDS = 3.0
"""After so long all connections have been opened."""

_CHUNK = 262_144
_TICK_SECONDS = 0.001
"""A poll waits for whole ticks, rounded up: what is due within half of one is due."""


class Proxy:
    """Passes bytes on after a while. As the while is the same for all, one queue holds them in order.

    Args:
        target: the port of loopback to which everything goes.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._poll = select.epoll()
        self._peers: dict[int, tuple[socket.socket, socket.socket]] = {}
        self._due: deque[tuple[float, socket.socket, bytes]] = deque()
        self._late = 0.0
        self._passed = 0
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._poll.register(self._listening, select.EPOLLIN)
        self.port = int(self._listening.getsockname()[1])

    def run(self) -> None:
        """Pass bytes on until the process is told to end."""
        while True:
            wait = self._due[0][0] - time.monotonic() if self._due else 1.0
            events = self._poll.poll(max(0.0, wait))
            now = time.monotonic()
            for number, _ in events:
                if number == self._listening.fileno():
                    self._accept()
                else:
                    self._receive(number, now)
            self._pass_on()

    def _accept(self) -> None:
        client, _ = self._listening.accept()
        relay = socket.create_connection(("127.0.0.1", self._target))
        for one, other in ((client, relay), (relay, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _CHUNK)
            self._peers[one.fileno()] = (one, other)
            self._poll.register(one, select.EPOLLIN)

    def _receive(self, number: int, now: float) -> None:
        one, other = self._peers[number]
        try:
            data = one.recv(_CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            self._poll.unregister(one)
        self._due.append((now + DELAY_SECONDS, other, data))

    def _pass_on(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now + _TICK_SECONDS / 2:
            at, to, data = self._due.popleft()
            self._late += now - at
            self._passed += 1
            try:
                if data:
                    to.sendall(data)
                else:
                    to.shutdown(socket.SHUT_WR)
            except OSError:
                # It has gone, and its own end is told to the other side.
                continue

    def tell(self) -> None:
        """Print the delay that it made on the average, in ms, and the seconds that it computed."""
        late = self._late / max(1, self._passed)
        print(f"{(DELAY_SECONDS + late) * 1000:.2f} {time.process_time():.3f}", flush=True)


class Told(Exception):
    """The process was told to end."""


def proxy(target: int) -> None:
    """The proxy's process: prints its port, and at SIGTERM what it did."""

    def end(*_: object) -> None:
        raise Told

    one = Proxy(target)
    signal.signal(signal.SIGTERM, end)
    print(one.port, flush=True)
    try:
        one.run()
    except Told:
        one.tell()


class Far:
    """A relay behind the proxy; `delay` in ms and `computed` in seconds are known at the end."""

    port = 0
    delay = 0.0
    computed = 0.0


@contextmanager
def far_sink() -> Iterator[Far]:
    """smtp-sink behind the proxy."""
    with sink() as relay:
        process = subprocess.Popen(
            [sys.executable, __file__, str(relay.port)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        far = Far()
        try:
            far.port = int(process.stdout.readline())
            yield far
            process.terminate()
            delay, computed = process.stdout.readline().split()
            far.delay, far.computed = float(delay), float(computed)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def ours(folder: Path) -> tuple[float, float, float, float]:
    """Mails a second when steady and as a whole, the proxy's delay, and its share of a core."""
    database = Database(f"sqlite:///{folder}/mailer.db")
    digest_id = fill(database, MAILS)
    with (
        far_sink() as far,
        watching(database, digest_id) as watch,
        sending(database, far.port, folder, connections=CONNECTIONS),
    ):
        watch.wait_for_first()
        time.sleep(OPENING_SECONDS)
        begun, before = time.time(), watch.sent()
        whole = watch.seconds()
        steady = time.time() - begun
    database.dispose()
    remove(folder / "mailer.db")
    return (MAILS - before) / steady, MAILS / whole, far.delay, far.computed / whole


def theirs(mail: Path) -> float:
    """Mails a second of smtp-source with as many connections."""
    with far_sink() as far:
        return source(far.port, mail, YARDSTICK_MAILS, CONNECTIONS)


def main() -> None:
    end_in_order()
    print(
        f"\nSending through {DELAY_SECONDS * 1000:.0f} ms each way, {CONNECTIONS} connections: "
        f"at best {BEST:,.0f} mails/s"
    )
    print("database  steady mail/s  ratio  whole mail/s  smtp-source  ratio  delay ms  proxy %")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mail = folder / "mail"
        database = Database(f"sqlite:///{folder}/one.db")
        fill(database, 1)
        mail.write_bytes(one_mail(database).replace(b"\r\n", b"\n"))
        database.dispose()
        yardstick, found = [], []
        for _ in range(ROUNDS):
            yardstick.append(theirs(mail))
            found.append(ours(folder))
        steady, whole, delay, share = (statistics.median(one) for one in zip(*found, strict=True))
        other = statistics.median(yardstick)
        print(
            f"{'SQLite':9} {steady:13,.0f} {steady / BEST:6.2f} {whole:13,.0f} {other:12,.0f} "
            f"{other / BEST:6.2f} {delay:9.1f} {share * 100:8.0f}"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        proxy(int(sys.argv[1]))
    else:
        main()
