"""Runs the send loop of one sender: waits, asks the owner of its mails what is to be done, and does it.

One thread serves all connections. It decides nothing, and does not know why a mail begins, starts or ends:
`mailer.sending.in_flight.owner` does.
"""

import logging
import random
import ssl
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import groupby
from operator import attrgetter

from mailer import failpoint
from mailer.clock import Times
from mailer.db import Database
from mailer.errors import MailerError
from mailer.ledger.heartbeat import Figures
from mailer.notices.alert import Alerts
from mailer.sending.committer import Committer
from mailer.sending.composer import Composer, Unsendable
from mailer.sending.config import SendConfig
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.flow_control.retry_plan import Random
from mailer.sending.in_flight.attempt_results import Attempts
from mailer.sending.in_flight.commit import Committed
from mailer.sending.in_flight.events import (
    Actions,
    Begin,
    Close,
    DotWithheld,
    Fault,
    FinalDot,
    Moment,
    NotComposed,
    Quit,
    SendEvent,
    Stop,
    Wake,
    Write,
)
from mailer.sending.in_flight.owner import InFlight
from mailer.sending.sender_heartbeat import SenderHeartbeat
from mailer.sending.smtp.connection import connect
from mailer.sending.smtp.connection_pool import ConnectionPool

log = logging.getLogger(__name__)

FAULT_PAUSE_SECONDS = 1.0
"""How long the loop pauses after a fault of ours, which the next turn may meet again."""

MOST_FAULTS = 5
"""After so many in a row the fault does not go away: a new sender must begin from the ledger."""


class Sender:
    """Sends what waits in the ledger until it is told to stop.

    Args:
        composer: makes the bytes.
        tls_context: instead of the system's certificate authorities.
    """

    def __init__(
        self,
        database: Database,
        config: SendConfig,
        composer: Composer,
        *,
        times: Times,
        alerts: Alerts,
        random: Random = random.random,  # noqa: S311 -- it only spreads pauses
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self._composer = composer
        self._times = times
        self._pool = ConnectionPool(
            lambda: connect(config.relay, tls_context), config.relay.timeouts, times.monotonic
        )
        self._heartbeat = SenderHeartbeat(
            database,
            times,
            lease_seconds=config.lease_seconds,
            plan=config.retry,
            resend=config.resend,
            on_recovery=self.wake,
            figures=self._figures,
        )
        self._flow = FlowControl(config.connections, random)
        attempts = Attempts(
            config.retry,
            resend=config.resend,
            began=self._moment(),
            random=random,
            counts=self._heartbeat.counters,
        )
        self._in_flight = InFlight(config, attempts, self._flow)
        self._committer = Committer(
            database,
            composer,
            lambda: self._heartbeat.worker_id,
            times,
            rate=config.rate,
            alerts=alerts,
        )
        self._is_woken = False
        self._wait_seconds = 0.0
        self._events: list[SendEvent] = []

    def wake(self) -> None:
        """Look for work at once. Safe from any thread."""
        self._is_woken = True
        self._pool.wake()

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set (then `wake` ends the wait), and drain: at most 30 s.

        However it ends, no row stays held under a heartbeat. It cannot run again.

        Raises:
            SQLAlchemyError: the database cannot be used at the very start.
            MailerError: a fault of ours, which the log has, does not go away.
        """
        faults = 0
        with ExitStack() as stack:
            stack.callback(self._sign_off)
            stack.callback(self._pool.close)
            self._heartbeat.start()
            while not self._in_flight.is_done:
                faults = 0 if self._turn_or_log(stop) else faults + 1
                if faults == MOST_FAULTS and stop.is_set():
                    return
                if faults == MOST_FAULTS:
                    raise MailerError(f"the send loop failed {faults} times in a row")
                if faults:
                    stop.wait(FAULT_PAUSE_SECONDS)

    def _sign_off(self) -> None:
        unrecorded = self._in_flight.unrecorded
        for result in unrecorded:
            log.error("the result of %s could not be recorded", result.row)
        is_released = False
        try:
            is_released = self._committer.close()
        finally:
            self._heartbeat.stop(sign_off=is_released and not unrecorded)

    def _turn_or_log(self, stop: threading.Event) -> bool:
        """Do one turn of the loop. Return False if a fault of ours ended it."""
        try:
            self._wait(stop)
            self._turn(self._take_events())
        except Exception:
            # A fault of ours must not end the sending of everything else, nor lose a result.
            log.exception("the send loop failed; the mails that it had begun are started again")
            self._recover()
            return False
        return True

    def _recover(self) -> None:
        """Go on after a fault half way: only the answers to final dots are still awaited."""
        self._committer.abandon()
        self._pool.watch(None)
        dotted = self._pool.awaiting_dot
        try:
            for number in dotted:
                # The fault may have come before that.
                self._pool.flush(number)
            self._turn([*self._take_events(), Fault(dotted, self._pool.opening)])
            self._pool.keep_only(self._in_flight.connections)
        except Exception:
            # The edge of the loop: the caller has counted a fault, and too many in a row end the sender.
            log.exception("the send loop failed again")

    def _wait(self, stop: threading.Event) -> None:
        """Wait for events. They are kept until the owner is told, whatever fails meanwhile."""
        happened = self._pool.wait(self._wait_seconds)
        while happened:
            self._events += happened
            # A commit costs the same for one mail as for many: first read all that has come.
            happened = self._pool.wait(0)
        if self._is_woken:
            self._is_woken = False
            self._events.append(Wake())
        if stop.is_set():
            self._events.append(Stop())
        self._events += self._committer.poll()
        # What a commit waits for next may be another connection to the database.
        self._pool.watch(self._committer.fileno())

    def _take_events(self) -> list[SendEvent]:
        events, self._events = self._events, []
        return events

    def _turn(self, events: Sequence[SendEvent]) -> None:
        """Let the owner decide, and do what it says, until nothing follows from that."""
        while True:
            for event in events:
                if isinstance(event, Committed) and event.granted:
                    failpoint.reach("worker.after-start-commit")
            actions = self._in_flight.step(events, self._moment())
            self._wait_seconds = actions.wait_seconds
            events = self._do(actions)
            if not events:
                return

    def _figures(self) -> Figures:
        # Called in the heartbeat's thread.
        number = len(self._in_flight.connections)
        return Figures(number, self._flow.why_idle(number, self._times.monotonic()))

    def _moment(self) -> Moment:
        times = self._times
        return Moment(
            times.wall(), times.monotonic(), self._heartbeat.alive, self._heartbeat.worker_id
        )

    def _do(self, actions: Actions) -> list[SendEvent]:
        """Carry out these actions, and return what has happened by that already."""
        events: list[SendEvent] = []
        for number, writes in groupby(actions.writes, attrgetter("connection")):
            self._write_on(number, writes, events)
        if actions.open:
            self._pool.open(actions.open)
        if actions.look:
            events.append(self._committer.look())
        if actions.commit is not None:
            events += self._committer.begin(actions.commit)
            self._pool.watch(self._committer.fileno())
        return events

    def _write_on(self, number: int, writes: Iterable[Write], events: list[SendEvent]) -> None:
        """Write on one connection; all of it goes out in one piece."""
        has_dot = False
        for write in writes:
            match write:
                case Begin():
                    self._begin(write, events)
                case FinalDot() if self._heartbeat.alive:
                    self._pool.conversation(number).finish()
                    has_dot = True
                case FinalDot():
                    events.append(DotWithheld(number))
                    return
                case Quit():
                    self._pool.conversation(number).quit()
                case Close():
                    self._pool.close_one(number)
                    return
        self._pool.flush(number)
        if has_dot:
            failpoint.reach("worker.after-dot")

    def _begin(self, begin: Begin, events: list[SendEvent]) -> None:
        conversation = self._pool.conversation(begin.connection)
        made = self._composer.for_relay(begin.mail, conversation.capabilities)
        if isinstance(made, Unsendable):
            events.append(NotComposed(begin.connection, made))
        else:
            conversation.begin(*made)
