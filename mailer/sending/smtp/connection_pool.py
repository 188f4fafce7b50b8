"""Keeps the open connections of one sender: opens them, waits for them, and watches their timeouts.

Knows which mail each of them has in hand, and nothing about the ledger.
"""

import logging
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue

from mailer import failpoint
from mailer.ledger.transitions import RowId
from mailer.sending.composer import OutgoingMail
from mailer.sending.smtp.connection import Connection, Unopened
from mailer.sending.smtp.events import Closed, Event, Step
from mailer.sending.smtp.verdict import Lost

log = logging.getLogger(__name__)

_OPENERS = 4
"""How many connections are opened at a time."""

_TIMEOUT_CHECK_SECONDS = 0.1
"""How often timeouts are checked: at every event that would cost more than the mails."""

_FAILPOINTS = {
    Step.RCPT: "worker.after-mail",
    Step.DATA: "worker.after-rcpt",
    Step.BLOCK: "worker.mid-data",
}
"""What has just been accepted when this step is next."""


@dataclass(eq=False)
class PooledConnection:
    """A connection and the mail it has in hand.

    Attributes:
        mail: the mail that the relay has to answer for next.
        next_mail: the mail that was begun in the write that ended `mail` (RFC 2920).
        started: the ledger says `sending` about `mail`; never about `next_mail`.
        served: how many mails the relay has answered on it.
    """

    connection: Connection
    mail: OutgoingMail | None = None
    next_mail: OutgoingMail | None = None
    started: bool = False
    served: int = 0
    is_leaving: bool = False
    idle_since: float = 0.0
    _timed_step: Step | None = field(default=None, repr=False)
    _timed_since: float = 0.0
    _mask: int = selectors.EVENT_READ

    @property
    def step(self) -> Step | None:
        """The step whose reply is awaited."""
        return self.connection.conversation.step

    @property
    def rows(self) -> list[RowId]:
        """The ledger's rows of all the mails that it has in hand."""
        return [mail.claim.row for mail in (self.mail, self.next_mail) if mail]

    @property
    def awaits_dot(self) -> bool:
        """Whether the relay has all of the mail but its final dot."""
        return self.mail is not None and self.step is Step.BLOCK and self.connection.flushed


class ConnectionPool:
    """All connections of a sender.

    Args:
        connect: opens one connection; called in threads.
        timeouts: seconds at each step.
        monotonic: the clock that measures them.
    """

    def __init__(
        self,
        connect: Callable[[], Connection | Unopened],
        timeouts: Mapping[Step, float],
        monotonic: Callable[[], float],
    ) -> None:
        self._connect = connect
        self._timeouts = timeouts
        self._monotonic = monotonic
        self._connections: dict[PooledConnection, None] = {}
        self._results: SimpleQueue[Connection | Unopened] = SimpleQueue()
        self._failures: list[Unopened] = []
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._is_closed = False
        self._check_after = 0.0
        self._oldest_idle = 0.0
        self.opening = 0

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[PooledConnection]:
        return iter(list(self._connections))

    @property
    def busy(self) -> list[PooledConnection]:
        """The connections with a mail in hand."""
        return [pooled for pooled in self._connections if pooled.mail is not None]

    @property
    def free(self) -> list[PooledConnection]:
        """The connections on which a mail may begin."""
        return [
            pooled
            for pooled in self._connections
            if pooled.mail is None and pooled.step is None and not pooled.is_leaving
        ]

    def wake(self) -> None:
        """End the `wait` of another thread at once."""
        try:
            self._waker.send(b"!")
        except OSError:
            # Full: it is being woken already. Closed: no thread waits any more.
            return

    def open(self, number: int) -> None:
        """Begin to open up to `number` more connections; `opened` takes them in."""
        if self._failures:
            # Whether the relay allows more is not known yet.
            return
        for _ in range(min(number, _OPENERS - self.opening)):
            self.opening += 1
            # A daemon: a relay that does not answer must not hold up the end of the process.
            threading.Thread(
                target=self._open_one, args=(len(self._connections),), name="connect", daemon=True
            ).start()

    def _open_one(self, beside: int) -> None:
        try:
            opened = self._connect()
        except Exception as error:
            # The edge of a thread: without a result the loop would wait for it for ever.
            log.exception("a connection could not be opened")
            opened = Unopened(Step.CONNECT, Lost.DROP, type(error).__name__)
        self._results.put(
            replace(opened, beside=beside) if isinstance(opened, Unopened) else opened
        )
        self.wake()
        if self._is_closed:
            self._close_results()

    def _take_results(self) -> Iterator[Connection | Unopened]:
        while True:
            try:
                yield self._results.get_nowait()
            except Empty:
                return

    def _close_results(self) -> None:
        for opened in self._take_results():
            if isinstance(opened, Connection):
                opened.close()

    def opened(self) -> list[Unopened]:
        """Take in the connections that were opened, and return why others could not be.

        A refusal takes fewer exchanges than an admission. So while nothing is open, failures are returned
        only when all results are known: the relay may allow just fewer connections.
        """
        for opened in self._take_results():
            self.opening -= 1
            if isinstance(opened, Unopened):
                self._failures.append(opened)
                continue
            pooled = PooledConnection(opened, idle_since=self._monotonic())
            self._connections[pooled] = None
            self._selector.register(opened, selectors.EVENT_READ, pooled)
        if not self._connections and self.opening:
            return []
        failures, self._failures = self._failures, []
        return failures

    def wait(self, seconds: float) -> list[tuple[PooledConnection, Event]]:
        """Return what happened on the connections within this time; a timeout is a `Closed` too."""
        happened: list[tuple[PooledConnection, Event]] = []
        for key, mask in self._selector.select(seconds):
            if key.data is None:
                self._woken.recv(4096)
                continue
            pooled: PooledConnection = key.data
            if mask & selectors.EVENT_WRITE:
                self.flush(pooled)
            if mask & selectors.EVENT_READ:
                events = pooled.connection.receive()
                if events:
                    happened += [(pooled, event) for event in events]
                    # It has answered: the next step is timed anew.
                    pooled._timed_step = None
                self.flush(pooled)
                if (step := pooled.step) in _FAILPOINTS:
                    failpoint.reach(_FAILPOINTS[step])
        now = self._monotonic()
        if now < self._check_after:
            return happened
        self._check_after = now + _TIMEOUT_CHECK_SECONDS
        closed = {pooled for pooled, event in happened if isinstance(event, Closed)}
        for pooled in self._connections.keys() - closed:
            if self._is_late(pooled, now):
                happened.append((pooled, Closed(pooled.step, None, Lost.TIMEOUT)))
        return happened

    def _is_late(self, pooled: PooledConnection, now: float) -> bool:
        step = pooled.step
        if step is not pooled._timed_step:
            pooled._timed_step, pooled._timed_since = step, now
        if step is None or (step is Step.BLOCK and pooled.connection.flushed):
            # The relay waits for us.
            pooled._timed_since = now
            return False
        return now - pooled._timed_since > self._timeouts[step]

    def flush(self, pooled: PooledConnection) -> None:
        """Write what the conversation has to say, now or as soon as the socket takes it."""
        mask = selectors.EVENT_READ
        if not pooled.connection.flush():
            mask |= selectors.EVENT_WRITE
        if pooled._mask != mask:
            pooled._mask = mask
            self._selector.modify(pooled.connection, mask, pooled)

    def drop(self, pooled: PooledConnection) -> None:
        """Close this connection, whatever is going on."""
        del self._connections[pooled]
        self._selector.unregister(pooled.connection)
        pooled.connection.close()

    def say_goodbye(self, pooled: PooledConnection) -> None:
        """Say QUIT on a free connection."""
        pooled.is_leaving = True
        pooled.connection.conversation.quit()
        self.flush(pooled)

    def close_idle(self, before: float, most: int) -> None:
        """Say QUIT on free connections: those idle since `before`, and those beyond `most`."""
        if len(self._connections) <= most and before < self._oldest_idle:
            return
        free = self.free
        too_many = len(self._connections) - most
        for pooled in free:
            if pooled.idle_since < before or too_many > 0:
                too_many -= 1
                self.say_goodbye(pooled)
        self._oldest_idle = min((pooled.idle_since for pooled in self._connections), default=before)

    def close(self) -> None:
        """Close everything. Connections that are still being opened end with the process."""
        self._is_closed = True
        for pooled in self:
            self.drop(pooled)
        self._close_results()
        self._selector.close()
        self._waker.close()
        self._woken.close()
