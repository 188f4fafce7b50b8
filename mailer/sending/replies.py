"""What the relay says of the mails that are in hand, or its silence: each goes to the stock with its outcome.

Takes mails off the lanes and closes those that are lost. Begins nothing and commits nothing; verdicts, waits
and the ledger's words come from elsewhere. Nothing may raise between a 250 and its outcome.
"""

from collections.abc import Callable, Iterable

from mailer import failpoint
from mailer.sending.attempts import Attempts
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.outbox import Outbox
from mailer.sending.outgoing import OutgoingMail
from mailer.sending.smtp.connection_pool import ConnectionPool, PooledConnection
from mailer.sending.smtp.conversation import Answered, BodyWritten, Closed, Event, Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import SENT, Lost, OnDelivery, Verdict, verdict


class ReplyHandler:
    """Takes in what happens on the lanes of one sender.

    Attributes:
        written: the lanes of whose mails the relay has all but the final dot.
    """

    def __init__(
        self,
        lanes: ConnectionPool,
        stock: Outbox,
        attempts: Attempts,
        restraint: FlowControl,
        monotonic: Callable[[], float],
    ) -> None:
        self._lanes = lanes
        self._stock = stock
        self._attempts = attempts
        self._restraint = restraint
        self._monotonic = monotonic
        self.written: dict[PooledConnection, None] = {}

    def take_in(self, happened: Iterable[tuple[PooledConnection, Event]]) -> None:
        """Read what happened on the lanes, in this order."""
        now = self._monotonic()
        for lane, event in happened:
            lane.idle_since = now
            if isinstance(event, Answered):
                self._on_answer(lane, event)
            elif isinstance(event, BodyWritten):
                self.written[lane] = None
            elif isinstance(event, Closed):
                self._lose(lane, event)

    def _on_answer(self, lane: PooledConnection, event: Answered) -> None:
        if event.step is Step.DOT and event.reply.accepted:
            failpoint.reach("worker.before-record")
            self._conclude(lane, event.step, SENT, event.reply)
        else:
            self._conclude(lane, event.step, verdict(event.step, event.reply), event.reply)

    def _lose(self, lane: PooledConnection, event: Closed) -> None:
        self.drop(lane)
        self._put_back_what_is_behind(lane)
        if lane.letter is None:
            # A relay may close an idle connection, but one that never takes a mail must rest.
            if not lane.served and not lane.leaving:
                self._restraint.fails(event.reason, self._monotonic())
            return
        lost = Lost.TIMEOUT if event.reason == Lost.TIMEOUT else Lost.DROP
        if event.step is Step.MAIL and lane.served and event.reply is None and lost is Lost.DROP:
            # It had closed the idle connection, and we did not know yet.
            self._stock.put_back(lane.letter)
            lane.letter = None
            return
        step = Step.DOT if lane.started else event.step or Step.MAIL
        answer = lost if lane.started else event.reply or lost
        self._conclude(lane, step, verdict(step, answer), answer, event.reason)
        self._restraint.fails(event.reason, self._monotonic())

    def end(self, lane: PooledConnection, reason: str) -> None:
        """Close a lane for a reason of ours, for which the relay is not to blame."""
        self.drop(lane)
        self._put_back_what_is_behind(lane)
        step = Step.DOT if lane.started else lane.step or Step.MAIL
        self._enter(lane, step, verdict(step, Lost.DROP), Lost.DROP, reason)

    def drop(self, lane: PooledConnection) -> None:
        """Close a lane, and say nothing of the mails that it has in hand."""
        self._lanes.drop(lane)
        self.written.pop(lane, None)

    def _put_back_what_is_behind(self, lane: PooledConnection) -> None:
        # The relay has been told whom it is for, and nothing of what it says.
        if lane.behind is not None:
            self._stock.put_back(lane.behind)
            lane.behind = None

    def _conclude(
        self,
        lane: PooledConnection,
        step: Step,
        found: Verdict,
        answer: Reply | Lost,
        reason: str = "",
    ) -> None:
        said = str(answer) if isinstance(answer, Reply) else reason or answer
        if lane.letter is not None:
            claim, sender = lane.letter.claim, lane.letter.frozen.sender_id
            found = self._restraint.judge(claim, sender, step, found, said, self._monotonic())
            found = self._restraint.suspect(claim.row, step, found)
        letter = self._enter(lane, step, found, answer, reason)
        if letter is None:
            return
        self._restraint.on_reply(found, letter.claim.digest_id, said, self._monotonic())
        self.count(letter, found, said)

    def count(self, letter: OutgoingMail, found: Verdict, said: str) -> None:
        """Have this attempt counted for its digest, which may be one too many."""
        self._restraint.count(found, letter.claim.digest_id, said, self._monotonic())
        if self._restraint.pauses:
            # What is claimed may be of what is to be paused, and the next claim knows.
            self._stock.give_back()

    def _enter(
        self, lane: PooledConnection, step: Step, found: Verdict, answer: Reply | Lost, reason: str
    ) -> OutgoingMail | None:
        """Take the mail in hand off this lane, with what the ledger is to say of it."""
        letter, started = lane.letter, lane.started
        lane.letter, lane.behind, lane.started = lane.behind, None, False
        lane.served += 1
        if letter is None:
            return None
        row, may_be_at_fault = letter.claim.row, self._restraint.may_be_at_fault(step, found)
        if found.delivery is OnDelivery.RELEASE and not started:
            if may_be_at_fault:
                self._stock.postpone(row)
            else:
                self._stock.put_back(letter)
            return letter
        wait = self._restraint.postponed(row, self._monotonic()) if may_be_at_fault else 0.0
        self._stock.conclude(
            self._attempts.conclude(letter.claim, step, found, answer, reason, wait_seconds=wait)
        )
        return letter
