"""Runs the send loop: one thread serves all connections of a sender.

A turn reads what the relay said, then commits "results of these, starts of those" in one small
transaction, and only then sends the final dots. It decides nothing: verdicts, waits and permission
come from elsewhere. Nothing may raise between a 250 and its record.
"""

import logging
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
from mailer.sending.attempt_results import Attempts
from mailer.sending.composer import Composer, OutgoingMail, Unsendable
from mailer.sending.config import SendConfig
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.flow_control.retry_plan import Random
from mailer.sending.outbox import Outbox
from mailer.sending.reply_handler import ReplyHandler, attempt
from mailer.sending.sender_heartbeat import SenderHeartbeat
from mailer.sending.smtp.connection import Unopened, connect
from mailer.sending.smtp.connection_pool import ConnectionPool, PooledConnection
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.verdict import (
    UNSENDABLE,
    UNSUPPORTED_EAI,
    OnDelivery,
    Verdict,
)

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""How long a connection is kept without a mail."""

DRAIN_SECONDS = 25.0
"""How long the relay may take to answer for the mails under way after a stop."""

LAST_RECORD_SECONDS = 3.0
"""How long the sender tries to record the last results after that."""

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
        self._config = config
        self._composer = composer
        self._monotonic = times.monotonic
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
        self._attempts = Attempts(
            config.retry,
            resend=config.resend,
            times=times,
            random=random,
            counts=self._heartbeat.counters,
        )
        self._flow = FlowControl(config.connections, random)
        self._outbox = Outbox(
            database,
            composer,
            self._heartbeat,
            times,
            flow=self._flow,
            in_hand=lambda: [row for pooled in self._pool for row in pooled.rows],
            rate=config.rate,
            alerts=alerts,
        )
        self._replies = ReplyHandler(
            self._pool, self._outbox, self._attempts, self._flow, times.monotonic
        )

    def wake(self) -> None:
        """Look for work at once. Safe from any thread."""
        self._outbox.look_soon()
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
            while not stop.is_set():
                faults = 0 if self._turn_or_log(claiming=True) else faults + 1
                if faults == MOST_FAULTS:
                    raise MailerError(f"the send loop failed {faults} times in a row")
                if faults:
                    stop.wait(FAULT_PAUSE_SECONDS)
            self._drain()

    def _sign_off(self) -> None:
        is_recorded = False
        try:
            is_recorded = self._outbox.close()
        finally:
            self._heartbeat.stop(sign_off=is_recorded)

    def _turn_or_log(self, *, claiming: bool) -> bool:
        """Do one turn of the loop. Return False if a fault of ours ended it."""
        try:
            self._turn(claiming=claiming)
        except Exception:
            # A fault of ours must not end the sending of everything else, nor lose a result.
            log.exception("the send loop failed; the mails that it had begun are started again")
            for pooled in self._pool:
                if pooled.started and pooled.step is Step.DOT:
                    # The answer is still to come: without it the mail would be in doubt.
                    self._pool.flush(pooled)
                else:
                    self._replies.end(pooled, "the send loop failed")
            self._outbox.resync()
            return False
        return True

    def _turn(self, *, claiming: bool) -> None:
        may_begin = self._flow.may_begin(self._monotonic())
        in_need = not self._outbox and may_begin and not self._pool.busy
        happened = self._pool.wait(self._outbox.wait_seconds(in_need=in_need))
        while happened:
            self._replies.take_in(happened)
            # A commit costs the same for one mail as for many: first read all that has come.
            happened = self._pool.wait(0)
        failures = self._pool.opened()
        self._flow.on_connections(len(self._pool))
        for failure in failures:
            self._on_unopened(failure)
        if claiming:
            if self._flow.may_begin(self._monotonic()):
                self._outbox.look()
            self._begin()
        self._settle(claiming=claiming)
        if claiming:
            self._begin()

    def _figures(self) -> Figures:
        # Called in the heartbeat's thread.
        number = len(self._pool)
        return Figures(number, self._flow.why_idle(number, self._monotonic()))

    # The relay as a whole.

    def _on_unopened(self, failure: Unopened) -> None:
        others = len(self._pool) + self._pool.opening
        pause = self._flow.on_unopened(failure, others, self._monotonic())
        if pause is not None:
            self._outbox.pauses.append(pause)

    # The next mails.

    def _begin(self) -> None:
        now = self._monotonic()
        if self._outbox.is_stuck:
            return
        if not self._flow.may_begin(now):
            self._outbox.give_back()
            return
        if self._outbox:
            self._begin_on_free()
        self._pool.close_idle(now - IDLE_SECONDS, self._flow.allowed)
        wanted = min(len(self._outbox), self._flow.room(now) - len(self._pool))
        self._pool.open(wanted - self._pool.opening)

    def _begin_on_free(self) -> None:
        free = deque(self._pool.free)
        room = self._flow.allowed - (len(self._pool) - len(free))
        while self._outbox and free:
            pooled = free.popleft()
            if pooled.served >= self._config.messages_per_connection:
                self._pool.say_goodbye(pooled)
            elif room > 0:
                room -= 1
                pooled.mail = self._hand_over(pooled)
                self._pool.flush(pooled)

    def _hand_over(self, pooled: PooledConnection) -> OutgoingMail | None:
        """Begin the next mail that can be sent at all, if any waits. The caller flushes."""
        conversation = pooled.connection.conversation
        while self._outbox:
            mail = self._outbox.take()
            sender, now = mail.compiled.sender_id, self._monotonic()
            if not self._flow.admits(sender, mail.claim.digest_id, now):
                self._outbox.release(mail.claim.row)
                continue
            made = self._composer.for_relay(mail, conversation.capabilities)
            if not isinstance(made, Unsendable):
                conversation.begin(*made, dotless=True)
                return mail
            refusal = UNSUPPORTED_EAI if made.lacks_smtputf8 else UNSENDABLE
            self._outbox.conclude(
                self._attempts.conclude(
                    mail.claim, "compose", refusal, counters.UNSENDABLE, made.reason
                )
            )
            pause = self._flow.on_unsendable(attempt(mail), refusal, made.reason, now)
            if pause is not None:
                self._outbox.pauses.append(pause)
                self._outbox.give_back()
        return None

    # The ledger.

    def _settle(self, *, claiming: bool) -> None:
        """Commit what happened and what starts, then send the granted final dots."""
        # A worker that others may consider dead starts nothing.
        alive = self._heartbeat.alive
        starts = [pooled for pooled in self._replies.written if alive and pooled.awaits_dot]
        rows = [pooled.mail.claim.row for pooled in starts if pooled.mail]
        # Only if the relay would be given what is claimed now.
        claiming_too = claiming and self._flow.may_begin(self._monotonic())
        granted = self._outbox.settle(rows, claiming=claiming_too)
        if granted is None:
            return
        if granted:
            failpoint.reach("worker.after-start-commit")
        self._finish_granted(starts, granted, claiming=claiming)

    def _finish_granted(
        self, starts: list[PooledConnection], granted: frozenset[RowId], *, claiming: bool
    ) -> None:
        """Send the final dots that were granted, and abandon the other mails."""
        for pooled in starts:
            if pooled.mail and pooled.mail.claim.row in granted and self._heartbeat.alive:
                del self._replies.written[pooled]
                pooled.started = True
                pooled.connection.conversation.finish()
                if claiming:
                    self._begin_next(pooled)
                self._pool.flush(pooled)
                failpoint.reach("worker.after-dot")
            else:
                self._abandon(pooled)

    def _begin_next(self, pooled: PooledConnection) -> None:
        """Begin the next mail in the write that holds this one's final dot."""
        is_last = pooled.served + 1 >= self._config.messages_per_connection
        if (
            pooled.connection.conversation.pipelines
            and not is_last
            and len(self._pool) <= self._flow.allowed
            and self._flow.may_begin(self._monotonic())
        ):
            pooled.next_mail = self._hand_over(pooled)

    def _abandon(self, pooled: PooledConnection) -> None:
        # The relay has all but the dot: only closing keeps it from taking the mail.
        self._replies.drop(pooled)
        if pooled.mail is None:
            return
        # What stopped it may stop all that is claimed: the next claim asks again.
        self._outbox.give_back(pooled.mail.claim.row)
        # The row may say `sending`: our own commit succeeded although its answer was lost, or the lease ran
        # out since. No dot was sent, so it is not in doubt.
        self._outbox.conclude(
            self._attempts.conclude(
                pooled.mail.claim,
                Step.BLOCK,
                Verdict(OnDelivery.RELEASE),
                counters.STOPPED,
                "it was stopped before the final dot",
            )
        )

    # The end.

    def _drain(self) -> None:
        """Finish the mails under way, and record the rest as in doubt."""
        until = self._monotonic() + DRAIN_SECONDS
        self._outbox.give_back()
        faults = 0
        while self._pool.busy and self._monotonic() < until and faults < MOST_FAULTS:
            faults = 0 if self._turn_or_log(claiming=False) else faults + 1
        for pooled in self._pool.busy:
            if pooled.started and pooled.mail:
                log.warning("no answer before the end, in doubt: %s", pooled.mail.claim.row)
            self._replies.end(pooled, "the worker stopped before the relay answered")
        for pooled in self._pool.free:
            self._pool.say_goodbye(pooled)
        self._outbox.give_back()
        until = self._monotonic() + LAST_RECORD_SECONDS
        while self._outbox.unsettled and self._monotonic() < until:
            if not self._turn_or_log(claiming=False):
                return
