"""Handles the relay's replies about the mails in hand, and its silence: records a result for each.

Takes mails off their connections, and closes connections that are lost. Begins nothing and commits nothing.
Nothing may raise between a 250 and its result.
"""

from collections.abc import Callable, Iterable

from mailer import failpoint
from mailer.sending.attempt_results import Attempts
from mailer.sending.composer import OutgoingMail
from mailer.sending.flow_control.attempt import Attempt, Conclusion
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.outbox import Outbox
from mailer.sending.smtp.connection_pool import ConnectionPool, PooledConnection
from mailer.sending.smtp.events import Answered, BodyWritten, Closed, Event, Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import SENT, Lost, OnDelivery, Verdict, verdict_on

ENDED_SECONDS = 2.0
"""How long a mail waits that may be the reason why its connection had to be closed."""

STEPS_OF_A_MAIL = frozenset({Step.MAIL, Step.RCPT, Step.DATA, Step.BLOCK, Step.DOT})


class ReplyHandler:
    """Handles what happens on the connections of one sender.

    Attributes:
        written: the connections on which the relay has all of a mail but the final dot.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        outbox: Outbox,
        attempts: Attempts,
        flow: FlowControl,
        monotonic: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._outbox = outbox
        self._attempts = attempts
        self._flow = flow
        self._monotonic = monotonic
        self.written: dict[PooledConnection, None] = {}

    def take_in(self, happened: Iterable[tuple[PooledConnection, Event]]) -> None:
        """Handle what happened on the connections, in this order."""
        now = self._monotonic()
        for pooled, event in happened:
            pooled.idle_since = now
            if isinstance(event, Answered):
                self._on_answer(pooled, event)
            elif isinstance(event, BodyWritten):
                self.written[pooled] = None
            elif isinstance(event, Closed):
                self._on_closed(pooled, event)

    def _on_answer(self, pooled: PooledConnection, event: Answered) -> None:
        if event.step is Step.DOT and event.reply.accepted:
            failpoint.reach("worker.before-record")
            self._conclude(pooled, event.step, SENT, event.reply)
        else:
            self._conclude(pooled, event.step, verdict_on(event.step, event.reply), event.reply)

    def _on_closed(self, pooled: PooledConnection, event: Closed) -> None:
        self.drop(pooled)
        self._put_back_next(pooled)
        if pooled.mail is None:
            # A relay may close an idle connection, but one that never takes a mail is left alone for a while.
            if not pooled.served and not pooled.is_leaving:
                self._flow.on_lost(event.reason, self._monotonic())
            return
        lost = Lost.TIMEOUT if event.reason == Lost.TIMEOUT else Lost.DROP
        if event.step is Step.MAIL and pooled.served and event.reply is None and lost is Lost.DROP:
            # It had closed the idle connection, and we did not know yet.
            self._outbox.put_back(pooled.mail)
            pooled.mail = None
            return
        step = Step.DOT if pooled.started else event.step or Step.MAIL
        answer = lost if pooled.started else event.reply or lost
        self._conclude(pooled, step, verdict_on(step, answer), answer, event.reason)
        self._flow.on_lost(event.reason, self._monotonic())

    def end(self, pooled: PooledConnection, reason: str) -> None:
        """Close a connection for a reason of ours, for which the relay is not to blame."""
        self.drop(pooled)
        self._put_back_next(pooled)
        step = Step.DOT if pooled.started else pooled.step or Step.MAIL
        wait = ENDED_SECONDS if step in STEPS_OF_A_MAIL else None
        self._take_off(pooled, step, verdict_on(step, Lost.DROP), Lost.DROP, reason, wait)

    def drop(self, pooled: PooledConnection) -> None:
        """Close a connection, without a result for the mails that it has in hand."""
        self._pool.drop(pooled)
        self.written.pop(pooled, None)

    def _put_back_next(self, pooled: PooledConnection) -> None:
        # The relay knows whom it is for, and nothing of its content.
        if pooled.next_mail is not None:
            self._outbox.put_back(pooled.next_mail)
            pooled.next_mail = None

    def _conclude(
        self,
        pooled: PooledConnection,
        step: Step,
        verdict: Verdict,
        answer: Reply | Lost,
        reason: str = "",
    ) -> None:
        said = str(answer) if isinstance(answer, Reply) else reason or answer
        found = Conclusion(verdict)
        if pooled.mail is not None:
            now = self._monotonic()
            found = self._flow.on_answer(attempt(pooled.mail), step, verdict, said, now)
        self._take_off(pooled, step, found.verdict, answer, reason, found.wait_seconds)
        if found.turned_away is not None:
            self._outbox.turned_away.append(found.turned_away)
        for pause in found.pauses:
            self._outbox.pauses.append(pause)
            # What is claimed may belong to what is to be paused, and the next claim knows.
            self._outbox.give_back()

    def _take_off(
        self,
        pooled: PooledConnection,
        step: Step,
        verdict: Verdict,
        answer: Reply | Lost,
        reason: str,
        wait_seconds: float | None,
    ) -> None:
        """Take the mail in hand off this connection, and record what became of it."""
        mail, started = pooled.mail, pooled.started
        pooled.mail, pooled.next_mail, pooled.started = pooled.next_mail, None, False
        pooled.served += 1
        if mail is None:
            return
        if verdict.delivery is OnDelivery.RELEASE and not started:
            if wait_seconds is not None:
                self._outbox.postpone(mail.claim.row, wait_seconds)
            else:
                self._outbox.put_back(mail)
            return
        wait = wait_seconds or 0.0
        self._outbox.conclude(
            self._attempts.conclude(mail.claim, step, verdict, answer, reason, wait_seconds=wait)
        )


def attempt(mail: OutgoingMail) -> Attempt:
    """Return what flow control is told of this mail."""
    return Attempt(mail.claim.row, mail.claim.digest_id, mail.compiled.sender_id)
