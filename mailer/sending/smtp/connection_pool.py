"""The open connections of one sender: opens them, waits for them, watches their time.

Knows which mail each of them has in hand, and nothing of the ledger.
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
from mailer.sending.outgoing import OutgoingMail
from mailer.sending.smtp.connection import Connection, Unopened
from mailer.sending.smtp.conversation import Closed, Event, Step
from mailer.sending.smtp.verdict import Lost

log = logging.getLogger(__name__)

_OPENERS = 4
"""How many connections are opened at a time."""

_TIME_CHECK_SECONDS = 0.1
"""How often it is looked whether the relay is late: with every event would cost more than the mails."""

_PLACES = {
    Step.RCPT: "worker.after-mail",
    Step.DATA: "worker.after-rcpt",
    Step.BLOCK: "worker.mid-data",
}
"""Failpoints: what has just been accepted when this step is next."""


@dataclass(eq=False)
class PooledConnection:
    """A connection and the mail it has in hand.

    Attributes:
        letter: the mail that the relay has to answer for next.
        behind: the mail that was begun in the write that ended `letter` (RFC 2920).
        started: the ledger says `sending` of `letter`; never of the one behind it.
        served: mails that the relay has answered on it.
    """

    connection: Connection
    letter: OutgoingMail | None = None
    behind: OutgoingMail | None = None
    started: bool = False
    served: int = 0
    leaving: bool = False
    idle_since: float = 0.0
    _step: Step | None = field(default=None, repr=False)
    _since: float = 0.0
    _mask: int = selectors.EVENT_READ

    @property
    def step(self) -> Step | None:
        """The step whose reply is awaited."""
        return self.connection.conversation.step

    @property
    def rows(self) -> list[RowId]:
        """The ledger's rows of all the mails that it has in hand."""
        return [letter.claim.row for letter in (self.letter, self.behind) if letter]

    @property
    def awaits_dot(self) -> bool:
        """Whether the relay has all of the mail but its final dot."""
        return self.letter is not None and self.step is Step.BLOCK and self.connection.flushed


class ConnectionPool:
    """All lanes of a sender.

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
        self._lanes: dict[PooledConnection, None] = {}
        self._opened: SimpleQueue[Connection | Unopened] = SimpleQueue()
        self._unopened: list[Unopened] = []
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._over = False
        self._check_after = 0.0
        self._oldest_idle = 0.0
        self.opening = 0

    def __len__(self) -> int:
        return len(self._lanes)

    def __iter__(self) -> Iterator[PooledConnection]:
        return iter(list(self._lanes))

    @property
    def busy(self) -> list[PooledConnection]:
        """Those with a mail in hand."""
        return [lane for lane in self._lanes if lane.letter is not None]

    @property
    def are_busy(self) -> bool:
        """Whether any of them has a mail in hand."""
        return any(lane.letter is not None for lane in self._lanes)

    @property
    def free(self) -> list[PooledConnection]:
        """Those on which a mail may begin."""
        return [
            lane
            for lane in self._lanes
            if lane.letter is None and lane.step is None and not lane.leaving
        ]

    def wake(self) -> None:
        """End a `wait` of another thread's at once."""
        try:
            self._waker.send(b"!")
        except OSError:
            # Full: it is being woken already. Closed: nobody waits any more.
            return

    def open(self, number: int) -> None:
        """Begin to open up to so many more connections; `opened` hands them out."""
        if self._unopened:
            # What it means is not known yet.
            return
        for _ in range(min(number, _OPENERS - self.opening)):
            self.opening += 1
            # A daemon: a relay that does not answer must not hold up the end of the process.
            threading.Thread(
                target=self._open_one, args=(len(self._lanes),), name="connect", daemon=True
            ).start()

    def _open_one(self, beside: int) -> None:
        try:
            found = self._connect()
        except Exception as error:
            # The edge of a thread: without an answer the loop would wait for it for ever.
            log.exception("a connection could not be opened")
            found = Unopened(Step.CONNECT, Lost.DROP, type(error).__name__)
        self._opened.put(replace(found, beside=beside) if isinstance(found, Unopened) else found)
        self.wake()
        if self._over:
            self._close_opened()

    def _close_opened(self) -> None:
        while not self._opened.empty():
            try:
                found = self._opened.get_nowait()
            except Empty:
                return
            if isinstance(found, Connection):
                found.close()

    def opened(self) -> list[Unopened]:
        """Take in what was opened; why others could not be.

        To be refused takes fewer exchanges than to be let in. So where nothing is open, what could not
        be opened is told only when that is known of all: the relay may allow just fewer connections.
        """
        while True:
            try:
                found = self._opened.get_nowait()
            except Empty:
                break
            self.opening -= 1
            if isinstance(found, Unopened):
                self._unopened.append(found)
                continue
            lane = PooledConnection(found, idle_since=self._monotonic())
            self._lanes[lane] = None
            self._selector.register(found, selectors.EVENT_READ, lane)
        if not self._lanes and self.opening:
            return []
        failures, self._unopened = self._unopened, []
        return failures

    def wait(self, seconds: float) -> list[tuple[PooledConnection, Event]]:
        """What happened on the lanes, after at most so long; a timeout is a `Closed` too."""
        found: list[tuple[PooledConnection, Event]] = []
        for key, mask in self._selector.select(seconds):
            if key.data is None:
                self._woken.recv(4096)
                continue
            lane: PooledConnection = key.data
            if mask & selectors.EVENT_WRITE:
                self.flush(lane)
            if mask & selectors.EVENT_READ:
                events = lane.connection.receive()
                if events:
                    found += [(lane, event) for event in events]
                    # It has answered: whatever it is asked next is measured anew.
                    lane._step = None
                self.flush(lane)
                if (step := lane.step) in _PLACES:
                    failpoint.reach(_PLACES[step])
        now = self._monotonic()
        if now < self._check_after:
            return found
        self._check_after = now + _TIME_CHECK_SECONDS
        closed = {lane for lane, event in found if isinstance(event, Closed)}
        for lane in self._lanes.keys() - closed:
            if self._is_late(lane, now):
                found.append((lane, Closed(lane.step, None, Lost.TIMEOUT)))
        return found

    def _is_late(self, lane: PooledConnection, now: float) -> bool:
        step = lane.step
        if step is not lane._step:
            lane._step, lane._since = step, now
        if step is None or (step is Step.BLOCK and lane.connection.flushed):
            # The relay waits for us.
            lane._since = now
            return False
        return now - lane._since > self._timeouts[step]

    def flush(self, lane: PooledConnection) -> None:
        """Write what there is to say, now or as soon as the socket takes it."""
        mask = selectors.EVENT_READ
        if not lane.connection.flush():
            mask |= selectors.EVENT_WRITE
        if lane._mask != mask:
            lane._mask = mask
            self._selector.modify(lane.connection, mask, lane)

    def drop(self, lane: PooledConnection) -> None:
        """Close this lane, whatever is going on."""
        del self._lanes[lane]
        self._selector.unregister(lane.connection)
        lane.connection.close()

    def leave(self, lane: PooledConnection) -> None:
        """Say good-bye on a lane that is free."""
        lane.leaving = True
        lane.connection.conversation.quit()
        self.flush(lane)

    def leave_idle(self, before: float, most: int) -> None:
        """Say good-bye on free lanes: those idle since `before`, and those that are more than `most`."""
        if len(self._lanes) <= most and before < self._oldest_idle:
            return
        free = self.free
        too_many = len(self._lanes) - most
        for lane in free:
            if lane.idle_since < before or too_many > 0:
                too_many -= 1
                self.leave(lane)
        self._oldest_idle = min((lane.idle_since for lane in self._lanes), default=before)

    def close(self) -> None:
        """Close everything; connections that are still being opened end with the process."""
        self._over = True
        for lane in self:
            self.drop(lane)
        self._close_opened()
        self._selector.close()
        self._waker.close()
        self._woken.close()
