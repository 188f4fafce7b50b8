"""Keeps the open connections of one sender: opens them, waits for them, and watches their timeouts.

Knows nothing about mails and the ledger: `mailer.sending.in_flight.owner` decides what is written.
"""

import logging
import selectors
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from queue import Empty, SimpleQueue

from mailer import failpoint
from mailer.sending.in_flight.events import Happened, Opened, SendEvent
from mailer.sending.smtp.connection import Connection
from mailer.sending.smtp.conversation import Conversation
from mailer.sending.smtp.events import Answered, BodyWritten, Closed, Step
from mailer.sending.smtp.verdict import Lost, Unopened

log = logging.getLogger(__name__)

_TIMEOUT_CHECK_SECONDS = 0.1
"""How often timeouts are checked: at every event that would cost more than the mails."""

_FAILPOINTS = {
    Step.RCPT: "worker.after-mail",
    Step.DATA: "worker.after-rcpt",
    Step.BLOCK: "worker.mid-data",
}
"""What has just been accepted when this step is next."""


@dataclass(eq=False, slots=True)
class _Pooled:
    """A connection, what it waits for, and since when."""

    id: int
    connection: Connection
    conversation: Conversation
    written: BodyWritten | None = None
    timed_step: Step | None = None
    timed_since: float = 0.0
    mask: int = selectors.EVENT_READ
    is_over: bool = False


class ConnectionPool:
    """All connections of a sender, each with a number of its own.

    Args:
        connect: opens one connection; called in threads.
        timeouts: seconds at each step.
        monotonic: the clock that measures them.

    Attributes:
        opening: how many connections are being opened.
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
        self._numbers = count(1)
        self._connections: dict[int, _Pooled] = {}
        self._results: SimpleQueue[Connection | Unopened] = SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._watched: int | None = None
        self._is_closed = False
        self._check_after = 0.0
        self.opening = 0

    @property
    def awaiting_dot(self) -> frozenset[int]:
        """The connections on which the answer to a final dot is awaited next."""
        return frozenset(
            pooled.id
            for pooled in self._connections.values()
            if pooled.conversation.step is Step.DOT
        )

    def conversation(self, number: int) -> Conversation:
        """Return the conversation on this connection. What it has to say goes out with `flush`."""
        return self._connections[number].conversation

    def wake(self) -> None:
        """End the `wait` of another thread at once."""
        # Full: it is being woken already. Closed: no thread waits any more.
        with suppress(OSError):
            self._waker.send(b"!")

    def watch(self, fileno: int | None) -> None:
        """End a `wait` also if this file can be read, instead of the one that was named before.

        To be called before that one's number may be used again.
        """
        if fileno == self._watched:
            return
        if self._watched is not None:
            self._selector.unregister(self._watched)
        if fileno is not None:
            self._selector.register(fileno, selectors.EVENT_READ)
        self._watched = fileno

    def open(self, number: int) -> None:
        """Begin to open so many connections; `wait` returns what became of each."""
        for _ in range(number):
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
        with suppress(Empty):
            while True:
                yield self._results.get_nowait()

    def _close_results(self) -> None:
        for opened in self._take_results():
            if isinstance(opened, Connection):
                opened.close()

    def wait(self, seconds: float) -> list[SendEvent]:
        """Return what happened on the connections within this time; a timeout is a `Closed` too."""
        events: list[SendEvent] = []
        for key, mask in self._selector.select(seconds):
            pooled: _Pooled | None = key.data
            if pooled is not None:
                self._serve(pooled, mask, events)
            elif key.fileobj is self._woken:
                self._woken.recv(4096)
                events += [self._take_in(opened) for opened in self._take_results()]
        now = self._monotonic()
        if now >= self._check_after:
            self._check_after = now + _TIMEOUT_CHECK_SECONDS
            self._check_timeouts(now, events)
        return events

    def _take_in(self, opened: Connection | Unopened) -> Opened | Unopened:
        self.opening -= 1
        if isinstance(opened, Unopened):
            return opened
        pooled = _Pooled(next(self._numbers), opened, opened.conversation)
        self._connections[pooled.id] = pooled
        self._selector.register(opened, selectors.EVENT_READ, pooled)
        return Opened(pooled.id, opened.conversation.pipelines)

    def _serve(self, pooled: _Pooled, mask: int, events: list[SendEvent]) -> None:
        if mask & selectors.EVENT_READ:
            received = pooled.connection.receive()
            for event in received:
                if isinstance(event, BodyWritten):
                    pooled.written = event
                    continue
                if isinstance(event, Answered) and event.step is Step.DOT and event.reply.accepted:
                    failpoint.reach("worker.before-record")
                events.append(Happened(pooled.id, event))
                if isinstance(event, Closed):
                    self._stop_waiting_for(pooled)
                    return
            if received:
                # It has answered: the next step is timed anew.
                pooled.timed_step = None
        self._flush(pooled)
        if (step := pooled.conversation.step) in _FAILPOINTS:
            failpoint.reach(_FAILPOINTS[step])
        if pooled.written is not None and pooled.connection.flushed:
            events.append(Happened(pooled.id, pooled.written))
            pooled.written = None

    def _stop_waiting_for(self, pooled: _Pooled) -> None:
        # It would go on saying that it can be read.
        pooled.is_over = True
        self._selector.unregister(pooled.connection)

    def _check_timeouts(self, now: float, events: list[SendEvent]) -> None:
        for pooled in self._connections.values():
            if not pooled.is_over and self._is_late(pooled, now):
                late = Closed(pooled.conversation.step, None, Lost.TIMEOUT)
                events.append(Happened(pooled.id, late))
                self._stop_waiting_for(pooled)

    def _is_late(self, pooled: _Pooled, now: float) -> bool:
        step = pooled.conversation.step
        if step is not pooled.timed_step:
            pooled.timed_step, pooled.timed_since = step, now
        if step is None or (step is Step.BLOCK and pooled.connection.flushed):
            # The relay waits for us.
            pooled.timed_since = now
            return False
        return now - pooled.timed_since > self._timeouts[step]

    def flush(self, number: int) -> None:
        """Write what the conversation has to say, now or as soon as the socket takes it."""
        self._flush(self._connections[number])

    def _flush(self, pooled: _Pooled) -> None:
        mask = selectors.EVENT_READ
        if not pooled.connection.flush():
            mask |= selectors.EVENT_WRITE
        if pooled.mask != mask and not pooled.is_over:
            pooled.mask = mask
            self._selector.modify(pooled.connection, mask, pooled)

    def close_one(self, number: int) -> None:
        """Close this connection, whatever is going on."""
        pooled = self._connections.pop(number)
        if not pooled.is_over:
            self._selector.unregister(pooled.connection)
        pooled.connection.close()

    def keep_only(self, numbers: Collection[int]) -> None:
        """Close all connections but these."""
        for number in self._connections.keys() - set(numbers):
            self.close_one(number)

    def close(self) -> None:
        """Close everything. Connections that are still being opened end with the process."""
        self._is_closed = True
        self.keep_only(())
        self._close_results()
        self._selector.close()
        self._waker.close()
        self._woken.close()
