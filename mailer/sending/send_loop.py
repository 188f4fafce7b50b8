"""The send loop: one thread turns over all connections of a sender.

A turn reads what the relay said, then has "outcomes of these, starts of those" committed in one small
transaction, and only then lets the final dots go. It decides nothing: verdicts, waits and permission
come from elsewhere. Nothing may raise between a 250 and its record.
"""

import logging
import os
import platform
import random
import ssl
import threading
from collections import deque
from contextlib import ExitStack

from mailer import failpoint
from mailer.clock import Times
from mailer.db import Database
from mailer.errors import MailerError
from mailer.ledger.heartbeat import Figures
from mailer.ledger.transitions import RowId
from mailer.notices.alert import Alerts
from mailer.sending import counters
from mailer.sending.attempts import Attempts
from mailer.sending.config import SendConfig
from mailer.sending.flow_control.back_off import Random
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.outbox import Outbox
from mailer.sending.outgoing import Composer, OutgoingMail, Unsendable
from mailer.sending.replies import ReplyHandler
from mailer.sending.sender_heartbeat import SenderHeartbeat
from mailer.sending.smtp.connection import Unopened, connect
from mailer.sending.smtp.connection_pool import ConnectionPool, PooledConnection
from mailer.sending.smtp.conversation import Step
from mailer.sending.smtp.verdict import (
    UNSENDABLE,
    UNSUPPORTED_EAI,
    OnDelivery,
    OnRun,
    Verdict,
    verdict,
)

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""How long a connection is kept without a mail."""

DRAIN_SECONDS = 25.0
"""How long the relay may take to answer for what is on its way when we are told to stop."""

LAST_RECORD_SECONDS = 3.0
"""How long it is tried to record the last outcomes after that."""

FAULT_PAUSE_SECONDS = 1.0
"""How long the loop rests after a fault of ours, which may be there again at the next turn."""

MOST_FAULTS = 5
"""After so many in a row whatever is amiss does not go away: a new sender must begin from the ledger."""


class Sender:
    """Sends what waits in the ledger until it is told to stop.

    Args:
        composer: makes the bytes.
        alerts: what it takes to tell staff that something was paused.
        random: spreads waits.
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
        random: Random = random.random,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self._config = config
        self._composer = composer
        self._monotonic = times.monotonic
        self._lanes = ConnectionPool(
            lambda: connect(config.relay, tls_context), config.relay.timeouts, times.monotonic
        )
        self._pulse = SenderHeartbeat(
            database,
            times,
            host=platform.node(),
            pid=os.getpid(),
            lease_seconds=config.lease_seconds,
            plan=config.retry,
            resend=config.resend,
            on_recovery=self.wake,
            figures=self._figures,
        )
        self._attempts = Attempts(
            config.retry,
            resend=config.resend,
            times=times,
            random=random,
            counting=self._pulse.counting,
        )
        self._restraint = FlowControl(config.connections, random)
        self._stock = Outbox(
            database,
            composer,
            self._pulse,
            times,
            restraint=self._restraint,
            begun=lambda: [row for lane in self._lanes for row in lane.rows],
            rate=config.rate,
            alerts=alerts,
        )
        self._answers = ReplyHandler(
            self._lanes, self._stock, self._attempts, self._restraint, times.monotonic
        )

    def wake(self) -> None:
        """Look for work at once; from any thread."""
        self._stock.look_soon()
        self._lanes.wake()

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set (then `wake` ends the wait), and drain: at most 30 s.

        However it ends, nothing is held any more by somebody who beats; it cannot run again.

        Raises:
            SQLAlchemyError: the database cannot be used at the very start.
            MailerError: a fault of ours, which the log has, does not go away.
        """
        faults = 0
        with ExitStack() as stack:
            stack.callback(self._sign_off)
            stack.callback(self._lanes.close)
            self._pulse.start()
            while not stop.is_set():
                faults = 0 if self._turn_or_log(claiming=True) else faults + 1
                if faults == MOST_FAULTS:
                    raise MailerError(f"the send loop failed {faults} times in a row")
                if faults:
                    stop.wait(FAULT_PAUSE_SECONDS)
            self._drain()

    def _sign_off(self) -> None:
        is_told = False
        try:
            is_told = self._stock.close()
        finally:
            self._pulse.stop(close=is_told)

    def _turn_or_log(self, *, claiming: bool) -> bool:
        """One turn of the loop; False where a fault of ours ended it."""
        try:
            self._turn(claiming=claiming)
        except Exception:
            # A fault of ours must not end the sending of everything else, nor lose an outcome.
            log.exception("the send loop failed; what it had begun is begun anew")
            for lane in self._lanes:
                if lane.started and lane.step is Step.DOT:
                    # The answer is still to come: without it the mail would be in doubt.
                    self._lanes.flush(lane)
                else:
                    self._answers.end(lane, "the send loop failed")
            self._stock.resync()
            return False
        return True

    def _turn(self, *, claiming: bool) -> None:
        may_begin = self._restraint.may_begin(self._monotonic())
        in_need = not self._stock and may_begin and not self._lanes.are_busy
        happened = self._lanes.wait(self._stock.patience(in_need=in_need))
        while happened:
            self._answers.take_in(happened)
            # A commit costs the same for one mail as for many: first read all that has come.
            happened = self._lanes.wait(0)
        failures = self._lanes.opened()
        self._restraint.are_open(len(self._lanes))
        for failure in failures:
            self._on_unopened(failure)
        if claiming:
            if self._restraint.may_begin(self._monotonic()):
                self._stock.look()
            self._begin()
        self._settle(claiming=claiming)
        if claiming:
            self._begin()

    def _figures(self) -> Figures:
        """What this sender shows of itself; for the heartbeat's thread."""
        number = len(self._lanes)
        return Figures(number, self._restraint.why(number, self._monotonic()))

    # The relay as a whole.

    def _on_unopened(self, failure: Unopened) -> None:
        now = self._monotonic()
        stop = verdict(failure.step, failure.answer).run is OnRun.STOP
        # Those beside which it was tried may have ended since, as each does after its last mail.
        others = max(failure.beside, len(self._lanes) + self._lanes.opening)
        if others and not stop:
            self._restraint.refuses_more(failure.reason, others, now)
        else:
            self._restraint.fails(failure.reason, now, stop=stop)

    # The next mails.

    def _begin(self) -> None:
        now = self._monotonic()
        if self._stock.is_stuck:
            return
        if not self._restraint.may_begin(now):
            self._stock.give_back()
            return
        if self._stock:
            self._begin_on_free_lanes()
        self._lanes.leave_idle(now - IDLE_SECONDS, self._restraint.allowed)
        wanted = min(len(self._stock), self._restraint.room(now) - len(self._lanes))
        self._lanes.open(wanted - self._lanes.opening)

    def _begin_on_free_lanes(self) -> None:
        free = deque(self._lanes.free)
        room = self._restraint.allowed - (len(self._lanes) - len(free))
        while self._stock and free:
            lane = free.popleft()
            if lane.served >= self._config.messages_per_connection:
                self._lanes.leave(lane)
            elif room > 0:
                room -= 1
                lane.letter = self._hand_over(lane)
                self._lanes.flush(lane)

    def _hand_over(self, lane: PooledConnection) -> OutgoingMail | None:
        """Begin the next mail that can be sent at all, if any waits; the caller flushes."""
        conversation = lane.connection.conversation
        while self._stock:
            letter = self._stock.take()
            sender, now = letter.frozen.sender_id, self._monotonic()
            if not self._restraint.lets(sender, letter.claim.digest_id, now):
                self._stock.release(letter.claim.row)
                continue
            made = self._composer.for_relay(letter, conversation.capabilities)
            if not isinstance(made, Unsendable):
                conversation.begin(*made, dotless=True)
                return letter
            found = UNSUPPORTED_EAI if made.lacks_smtputf8 else UNSENDABLE
            self._stock.conclude(
                self._attempts.conclude(
                    letter.claim, "compose", found, counters.UNSENDABLE, made.reason
                )
            )
            self._answers.count(letter, found, made.reason)
        return None

    # The ledger.

    def _settle(self, *, claiming: bool) -> None:
        """Commit what happened and what starts, then let the granted final dots go."""
        # Whoever may be held for dead by others starts nothing.
        alive = self._pulse.alive
        starts = [lane for lane in self._answers.written if alive and lane.awaits_dot]
        rows = [lane.letter.claim.row for lane in starts if lane.letter]
        # Only where the relay would be given what is claimed now.
        claiming_too = claiming and self._restraint.may_begin(self._monotonic())
        granted = self._stock.settle(rows, claiming=claiming_too)
        if granted is None:
            return
        if granted:
            failpoint.reach("worker.after-start-commit")
        self._let_go(starts, granted, claiming=claiming)

    def _let_go(
        self, starts: list[PooledConnection], granted: frozenset[RowId], *, claiming: bool
    ) -> None:
        """Send the final dot of what was granted; what was not goes no further."""
        for lane in starts:
            if lane.letter and lane.letter.claim.row in granted and self._pulse.alive:
                del self._answers.written[lane]
                lane.started = True
                lane.connection.conversation.finish()
                if claiming:
                    self._begin_behind(lane)
                self._lanes.flush(lane)
                failpoint.reach("worker.after-dot")
            else:
                self._abandon(lane)

    def _begin_behind(self, lane: PooledConnection) -> None:
        """Have the next mail begin in the write that holds this one's final dot."""
        is_last = lane.served + 1 >= self._config.messages_per_connection
        if (
            lane.connection.conversation.pipelines
            and not is_last
            and len(self._lanes) <= self._restraint.allowed
            and self._restraint.may_begin(self._monotonic())
        ):
            lane.behind = self._hand_over(lane)

    def _abandon(self, lane: PooledConnection) -> None:
        # The relay has all but the dot: only closing keeps it from taking the mail.
        self._answers.drop(lane)
        if lane.letter is None:
            return
        # Whatever stopped it may stop all that is claimed: the next claim asks again.
        self._stock.give_back(lane.letter.claim.row)
        # The row may say `sending`: our own commit went through although its answer was lost, or
        # the lease ran out since. No dot was sent, so it is not in doubt.
        self._stock.conclude(
            self._attempts.conclude(
                lane.letter.claim,
                Step.BLOCK,
                Verdict(OnDelivery.RELEASE),
                counters.STOPPED,
                "it was stopped before the final dot",
            )
        )

    # The end.

    def _drain(self) -> None:
        """Let finish what is on its way, and record the rest as in doubt."""
        until = self._monotonic() + DRAIN_SECONDS
        self._stock.give_back()
        faults = 0
        while self._lanes.busy and self._monotonic() < until and faults < MOST_FAULTS:
            faults = 0 if self._turn_or_log(claiming=False) else faults + 1
        for lane in self._lanes.busy:
            if lane.started and lane.letter:
                log.warning("no answer before the end, in doubt: %s", lane.letter.claim.row)
            self._answers.end(lane, "the worker stopped before the relay answered")
        for lane in self._lanes.free:
            self._lanes.leave(lane)
        self._stock.give_back()
        until = self._monotonic() + LAST_RECORD_SECONDS
        while self._stock.unsettled and self._monotonic() < until:
            if not self._turn_or_log(claiming=False):
                return
